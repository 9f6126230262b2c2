package sts

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"
)

const (
	// helperProbeTimeout bounds a probe: the helper calls STS up to four times for it.
	helperProbeTimeout = 30 * time.Second

	// helperProbeWait is how long a helper that makes another probe is asked again, helperProbePause
	// how often.
	helperProbeWait  = 45 * time.Second
	helperProbePause = time.Second
)

// Probe has the helper find out whether a role asks for the External ID of the input: by `POST` to
// `probe-external-id` beside the URL, which the helper `aws_sts_helper` has for keys with `probe`. Such a
// key has one probe at a time, so another one waits for its turn. An error is as those of AssumeRole.
func (c *HelperClient) Probe(ctx context.Context, in HelperInput) (ProbeResult, error) {
	var none ProbeResult
	if err := in.Check(); err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, helperProbeWait)
	defer cancel()
	probing := *c
	probing.timeout = max(c.timeout, helperProbeTimeout)
	to := c.url.ResolveReference(&url.URL{Path: "probe-external-id"})
	var found ProbeResult
	for {
		err := probing.ask(ctx, to, in, func(_ http.Header, body []byte) (err error) {
			found, err = parseHelperProbe(body, c.teller(in))
			return err
		})
		if e, ok := errors.AsType[*HelperError](err); ok && e.Status == http.StatusTooManyRequests {
			select {
			case <-time.After(helperProbePause):
				continue
			case <-ctx.Done():
			}
		}
		if err != nil {
			return none, err
		}
		return found, nil
	}
}

var errNoProbe = errors.New("it does not say how the probe ended: is it a helper that knows probe-external-id?")

func parseHelperProbe(body []byte, told *teller) (ProbeResult, error) {
	var answer struct {
		Outcome Outcome
		Reason  string
		Steps   []struct{ Sent, Answer, Code, RequestID string }
	}
	if json.Unmarshal(body, &answer) != nil || !slices.Contains([]Outcome{Proven, Unproven, Open}, answer.Outcome) {
		return ProbeResult{}, errNoProbe
	}
	found := ProbeResult{Outcome: answer.Outcome, Reason: told.clean(answer.Reason, 1000)}
	for _, s := range answer.Steps[:min(len(answer.Steps), 8)] {
		found.Steps = append(found.Steps, ProbeStep{
			Sent: told.clean(s.Sent, 20), Answer: told.clean(s.Answer, 20), Code: told.clean(s.Code, 100), RequestID: told.clean(s.RequestID, 100),
		})
	}
	return found, nil
}
