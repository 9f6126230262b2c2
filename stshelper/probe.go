package stshelper

import (
	"context"
	"net/http"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Prober finds out whether a role really asks for its External ID, with the credentials of the broker.
// The outcome is one word (proven, unproven or open), and the reason a sentence.
type Prober func(ctx context.Context, from sigv4.Credentials, in sts.AssumeRoleInput) (outcome, reason string)

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
// Each probe is several calls to STS that nothing caches, so a key has one at a time.
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
	if err != nil {
		f := explain(err)
		f.message = "the helper's broker has no credentials at the moment; the log of the helper says more"
		return f
	}
	in := h.input(c.key, q, region)
	outcome, reason := h.opts.Probe(r.Context(), broker.Value, in)
	c.entry.Outcome, c.entry.Probe, c.entry.Message = Probed, outcome, reason
	h.answer(w, r, c, struct {
		Outcome string `json:"outcome"`
		Reason  string `json:"reason"`
	}{outcome, reason})
	return nil
}
