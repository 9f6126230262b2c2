package connect

import (
	"context"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// reverifyPass is how long a service that does not answer is asked again while somebody waits.
const reverifyPass = 5 * time.Second

// Reverify verifies a connection's role anew, with all steps, and keeps in the connection how it went.
// It waits for the end; if ctx ends before, the verification goes on and is returned as it stands. Who
// asks while one is under way gets that one. The error is one of the connection, or of the storage.
func (s *Service) Reverify(ctx context.Context, connectionID string) (Verification, error) {
	c, err := s.store.Connection(ctx, connectionID)
	if err != nil {
		return Verification{}, err
	}
	r, err := s.roleOf(&c)
	if err != nil {
		return Verification{}, err
	}
	v := Verification{RoleARN: c.RoleARN, Region: c.Region, Account: c.Account, ConnectionID: c.ID}
	mine, other, runCtx := s.enter(c.ID, v)
	if mine == nil && other == nil {
		return s.refused(v, CodeBusy, "too many roles are being verified at the moment", tryLater), nil
	}
	if mine != nil {
		other = mine
		who := actor(ctx)
		if !s.spawn(func() { s.reverify(WithActor(runCtx, who), c, r, mine) }) {
			s.leave(c.ID, mine)
			return s.refused(v, CodeInterrupted, "the server is being stopped", tryLater), nil
		}
	}
	select {
	case <-other.done:
	case <-ctx.Done():
	}
	return other.now(), nil
}

func (s *Service) reverify(ctx context.Context, c Connection, r role, mine *run) {
	defer close(mine.done)
	defer mine.cancel()
	event := c.event(AuditVerificationStarted)
	s.audit(ctx, event)
	check := &check{s: s, role: r, pass: reverifyPass, progress: mine.update}
	p := s.stillAllowed(ctx, &check.role)
	if p == nil {
		p = s.ifUnchanged(r.integration, check.run(ctx))
	}
	mine.update(func(v *Verification) { v.Probe = check.probe.Outcome })
	err := s.record(ctx, c, p, check.probe.Outcome, true)
	if err != nil && p == nil {
		p = storeProblem(err)
	}
	v := s.end(mine, p)
	event.Kind, event.Took, event.Attempts = AuditVerificationSucceeded, v.Ended.Sub(v.Started), v.Attempt
	event.Probe, event.ProbeReason = check.probe.Outcome, check.probe.Reason
	if p != nil {
		event.Kind, event.Code, event.AWSCode, event.RequestID, event.Text = AuditVerificationFailed, p.code, p.awsCode, p.requestID, p.detail
	}
	s.audit(ctx, event)
}

// stillAllowed applies the operator's lists as they are now.
func (s *Service) stillAllowed(ctx context.Context, r *role) *problem {
	vendor, err := s.principal(ctx, r.integration)
	if err != nil {
		return &problem{code: CodeBrokerUnavailable, text: "it can't be told at the moment who assumes the role", remedy: askVendor, detail: err.Error()}
	}
	r.vendor = vendor
	if fields := checkInput(&Session{}, r.integration, vendor, r.arn, r.region); len(fields) > 0 {
		return inputProblem(fields)
	}
	return nil
}

// aboutRole says whether a failure is one of the connection's own role, and not of something that all
// connections share.
func (c Code) aboutRole() bool {
	switch c {
	case CodeAssumeRoleDenied, CodeTagSessionDenied, CodeDurationTooLong, CodeWrongAccount, CodeIdentityMismatch,
		CodeExternalIDNotEnforced, CodeTestCallFailed, CodeAccountNotAllowed, CodeRegionNotAllowed, CodePartitionMismatch:
		return true
	default:
		return false
	}
}

// onlyInFull says whether only a verification with all steps finds such a failure.
func (c Code) onlyInFull() bool {
	return c == CodeExternalIDNotEnforced || c == CodeTestCallFailed
}

// record keeps in a connection how its verification went, unless it was renewed meanwhile.
func (s *Service) record(ctx context.Context, of Connection, p *problem, probe sts.Outcome, full bool) error {
	if p != nil && !p.code.aboutRole() {
		return nil // It says nothing about this connection.
	}
	// What was learnt is kept, even if nobody waits for it any more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveWait)
	defer cancel()
	var failing, exhausted, recovered bool
	now := s.now()
	c, err := s.store.UpdateConnection(ctx, of.ID, func(c *Connection) error {
		failing, exhausted, recovered = false, false, false
		if c.RoleARN != of.RoleARN || c.ExternalID != of.ExternalID || c.Verified.After(of.Verified) && p != nil {
			return nil
		}
		if probe == sts.Proven || probe == sts.Open {
			c.Probe = probe
		}
		if p == nil {
			c.Verified = now
			if c.LastError != nil && (full || !c.LastError.Code.onlyInFull()) {
				c.LastError, recovered = nil, true
			}
			return nil
		}
		failing = c.LastError == nil
		was := c.exhausted()
		c.LastError = s.failed(c.LastError, p, now)
		exhausted = c.exhausted() && !was
		return nil
	})
	if err != nil {
		s.reportUnavailable(err)
		return err
	}
	for _, e := range []struct {
		kind AuditKind
		so   bool
	}{{AuditConnectionFailing, failing}, {AuditConnectionExhausted, exhausted}} {
		if e.so {
			event := c.event(e.kind)
			event.Code, event.AWSCode, event.RequestID, event.Text = p.code, p.awsCode, p.requestID, p.detail
			s.audit(ctx, event)
		}
	}
	if recovered {
		s.audit(ctx, c.event(AuditConnectionRecovered))
	}
	return nil
}
