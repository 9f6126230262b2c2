package connect

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// role is a customer's role and all that it is assumed with.
type role struct {
	integration *Configured
	connection  string   // the connection's ID, which the session's name tells the role's owner
	customer    customer // in whose session it was named, if in one
	arn, region string
	externalID  string
	account     string
	vendor      Principal
}

// defaultDuration is how long sessions last unless the integration says otherwise: what every role
// allows.
const defaultDuration = time.Hour

func (r *role) input() sts.AssumeRoleInput {
	in := sts.AssumeRoleInput{
		RoleARN:     r.arn,
		ExternalID:  r.externalID,
		SessionName: sts.SessionName("connect-" + r.connection),
		Duration:    r.integration.Duration,
		Policy:      r.integration.Policy,
		Region:      r.region,
	}
	if in.Duration == 0 {
		in.Duration = defaultDuration
	}
	for _, k := range slices.Sorted(maps.Keys(r.integration.Tags)) {
		in.Tags = append(in.Tags, sts.Tag{Key: k, Value: r.integration.Tags[k]})
	}
	return in
}

// check is one verification of a role, which may be asked several times.
type check struct {
	s    *Service
	role role

	// settle is how long to go on when the reason may be that IAM does not know everywhere yet what
	// was changed, and pass how long when a service does not answer.
	settle, pass time.Duration

	// progress changes what others see of it.
	progress func(func(*Verification))

	begun time.Time
	probe sts.ProbeResult
}

// passingWait is how long a service that does not answer is asked again.
const passingWait = 15 * time.Second

func (s *Service) newCheck(r role, settle time.Duration, progress func(func(*Verification))) *check {
	return &check{s: s, role: r, settle: max(settle, 0), pass: min(max(settle, 0), passingWait), progress: progress}
}

// assumable finds out whether the role can be assumed, and is the one that was named. The credentials
// are the caller's to drop.
func (c *check) assumable(ctx context.Context) (sigv4.Credentials, *problem) {
	var creds sigv4.Credentials
	if p := c.role.denied(); p != nil {
		return creds, p
	}
	p := c.retry(ctx, StepAssumeRole, func(ctx context.Context) *problem {
		c.progress(func(v *Verification) { v.Attempt++ })
		got, _, err := c.role.integration.Mode.AssumeRole(ctx, c.role.input())
		if err != nil {
			return assumeProblem(err, c.role.vendor)
		}
		creds = got
		return nil
	})
	if p == nil {
		p = c.retry(ctx, StepIdentity, func(ctx context.Context) *problem { return c.identify(ctx, creds) })
	}
	return creds, p
}

// run is the whole verification.
func (c *check) run(ctx context.Context) *problem {
	creds, p := c.assumable(ctx)
	if p == nil && c.role.integration.ExternalIDProbe != ProbeOff {
		p = c.retry(ctx, StepExternalID, c.externalID)
		if p != nil && c.role.integration.ExternalIDProbe == ProbeWarn && c.probe.Outcome != "" && p.code != CodeInterrupted {
			p = nil // The outcome says it.
		}
	}
	if p == nil && c.role.integration.TestCall != nil {
		p = c.retry(ctx, StepTestCall, func(ctx context.Context) *problem { return c.testCall(ctx, creds) })
	}
	return p
}

// retry makes attempts until one goes well, or none can any more.
func (c *check) retry(ctx context.Context, step Step, attempt func(context.Context) *problem) *problem {
	if c.begun.IsZero() {
		c.begun = c.s.options.Clock()
	}
	begun := c.s.options.Clock()
	c.progress(func(v *Verification) { v.Step = step })
	for n := range 64 {
		p := c.call(ctx, attempt)
		switch passed := c.s.options.Clock().Sub(c.begun); {
		case p == nil:
			c.progress(func(v *Verification) { (&problem{}).tell(v) })
			return nil
		case ctx.Err() != nil:
			return interrupted()
		case p.again == settles && passed < c.settle:
			waiting := *p
			waiting.code, waiting.text = CodeRoleNotReady, "not yet: "+p.text
			if p.code == CodeAssumeRoleDenied {
				waiting.text = "AWS does not let us assume the role yet; a role that was just made or changed takes up to a minute, and is tried again"
			}
			c.progress(waiting.tell)
		case p.again == passing && c.s.options.Clock().Sub(begun) < c.pass:
			c.progress(p.tell)
		default:
			return p
		}
		if c.s.pause(ctx, backOff(n)) != nil {
			return interrupted()
		}
	}
	return interrupted()
}

// call lets an attempt ask AWS when its turn has come.
func (c *check) call(ctx context.Context, attempt func(context.Context) *problem) *problem {
	select {
	case c.s.calls <- struct{}{}:
		defer func() { <-c.s.calls }()
		return attempt(ctx)
	case <-ctx.Done():
		return interrupted()
	}
}

func interrupted() *problem {
	return &problem{code: CodeInterrupted, text: "the verification was given up before it had come to its end", remedy: tryLater, detail: "interrupted"}
}

// backOff is how long to wait after so many attempts: a second, doubling up to eight, more or less.
func backOff(n int) time.Duration {
	d := time.Second << min(n, 3)
	return d*3/4 + rand.N(d/2) //nolint:gosec // a jitter is no secret
}

// identify sees that the credentials are those of the role: not of one of the same name in another
// account, nor of whatever else a helper may have handed out.
func (c *check) identify(ctx context.Context, creds sigv4.Credentials) *problem {
	id, err := c.s.options.STS.GetCallerIdentity(ctx, creds, c.role.integration.Mode.Where(c.role.region))
	if err != nil {
		p := &problem{code: CodeSTSUnavailable, text: "the role was assumed, and AWS does not say who we are with it", remedy: tryLater, detail: err.Error()}
		if e, ok := errors.AsType[*sts.Error](err); ok {
			p.awsCode, p.requestID = e.Code, e.RequestID
			switch {
			case e.Retryable():
				p.again = passing
			case e.Code == "InvalidClientTokenId":
				p.again = settles // The session is not known everywhere yet.
			}
		}
		return p
	}
	if err := id.CheckRole(c.role.arn); err != nil {
		p := &problem{code: CodeIdentityMismatch, text: "the credentials that were handed out are not those of the role that was named", remedy: askVendor, detail: err.Error()}
		if id.Account != c.role.account {
			p.code, p.text = CodeWrongAccount, "the credentials that were handed out are of another account than the role that was named"
		}
		return p
	}
	return nil
}

// externalID finds out whether the role asks for its External ID.
func (c *check) externalID(ctx context.Context) *problem {
	c.probe = c.role.integration.Mode.Probe(ctx, c.role.input())
	if ctx.Err() != nil {
		return interrupted()
	}
	p := &problem{field: FieldRoleARN, detail: c.probe.Reason}
	if n := len(c.probe.Steps); n > 0 {
		p.awsCode, p.requestID = c.probe.Steps[n-1].Code, c.probe.Steps[n-1].RequestID
	}
	switch c.probe.Outcome {
	case sts.Proven:
		return nil
	case sts.Open:
		p.code = CodeExternalIDNotEnforced
		p.text = "the role can be assumed without its External ID, or with any: whoever learns its ARN could have us use it"
		p.remedy = "add the condition StringEquals on sts:ExternalId with the External ID shown here to every statement of the role's trust policy that trusts us, wait a minute, and try again"
		p.awsCode, p.requestID = "", ""
	default:
		p.code = CodeExternalIDUnproven
		p.text = "it could not be shown that the role asks for its External ID: something else than its trust policy decided"
		p.remedy = "try again in a minute; if it stays, look for policies besides the role's own that deny sts:AssumeRole, or ask whoever sent you here"
		switch {
		case deniedRight(c.probe):
			p.code, p.again = CodeRoleNotReady, settles
			p.text = "AWS lets us assume the role at one time and not at another, as it does while a change is on its way"
			p.remedy = "try again in a minute"
		case throttled(c.probe):
			p.again = passing
		}
	}
	return p
}

// deniedRight says whether AWS refused the right External ID, with which the role had been assumed
// before.
func deniedRight(r sts.ProbeResult) bool {
	return slices.ContainsFunc(r.Steps, func(s sts.ProbeStep) bool {
		return s.Answer == "denied" && (s.Sent == "right" || s.Sent == "right again")
	})
}

// throttled says whether AWS asked to be called less often, or failed.
func throttled(r sts.ProbeResult) bool {
	return slices.ContainsFunc(r.Steps, func(s sts.ProbeStep) bool {
		return s.Answer == "unclear" && (strings.Contains(s.Code, "Throttl") || s.Code == "ServiceUnavailable" || s.Code == "InternalFailure")
	})
}
