package stshelper

import (
	"net/http"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// probes says whether any key may probe; without one, the path does not exist.
func (h *Handler) probes() bool {
	for _, k := range h.keys {
		if k.Probe {
			return true
		}
	}
	return false
}

// probe serves POST /probe-external-id, for those who keep customers' External IDs but not the broker.
// Each probe is up to four calls to STS that nothing caches, so a key has one at a time.
func (h *Handler) probe(w http.ResponseWriter, r *http.Request, c *call) *failure {
	q, f := h.readQuestion(w, r)
	if f != nil {
		return f
	}
	c.entry.asks(q)
	if !c.key.Probe {
		return notPermitted("", "key %s may not probe; the operator can let it", c.key.Name)
	}
	if q.externalID == "" {
		return invalid("external_id", errNoExternalID)
	}
	if f := h.permit(c.key, q.roleARN, q.externalID); f != nil {
		return f
	}
	region, f := h.region(c.key, q)
	if f != nil {
		return f
	}
	c.entry.Region = region
	if !c.key.probing.TryLock() {
		return &failure{
			status: http.StatusTooManyRequests, word: "busy", outcome: Refused, retryAfter: 1,
			message: "a probe for this key is under way: wait for its answer",
		}
	}
	defer c.key.probing.Unlock()

	broker, err := h.opts.Cache.Get(r.Context(), h.opts.Broker)
	if err != nil && r.Context().Err() != nil {
		return abandoned(err)
	} else if err != nil {
		f := explain(err)
		f.message = "the helper's broker has no credentials at the moment; the log of the helper says more"
		return f
	}
	found := sts.Probe(r.Context(), h.opts.Client.Assumer(broker.Value, h.input(c.key, q, region)), q.externalID)
	if found.Outcome == sts.Unproven && r.Context().Err() != nil {
		return abandoned(found.Err)
	}
	h.asked(c.key, q, found.Err)
	c.entry.Outcome, c.entry.Probe, c.entry.Message = Probed, string(found.Outcome), found.Reason
	body := probeAnswer{Outcome: found.Outcome, Reason: reasonFor(found)}
	for _, s := range found.Steps {
		body.Steps = append(body.Steps, probeStep(s))
	}
	h.answer(w, r, c, body)
	return nil
}

// reasonFor is what a caller is told of a probe: of an error, no more than POST /assume-role tells.
func reasonFor(found sts.ProbeResult) string {
	if found.Err == nil {
		return found.Finding
	}
	return found.Finding + ": " + explain(&credentials.Error{Err: found.Err}).message
}

type probeAnswer struct {
	Outcome sts.Outcome `json:"outcome"`
	Reason  string      `json:"reason"`
	Steps   []probeStep `json:"steps"`
}

// probeStep is sts.ProbeStep as callers see it.
type probeStep struct {
	Sent      string `json:"sent"`
	Answer    string `json:"answer"`
	Code      string `json:"code,omitempty"`
	RequestID string `json:"requestId,omitempty"`
}
