package connect

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Submit takes what a customer typed: it checks it, remembers it, and begins to verify the role in the
// background. If a verification of the session is under way with the same input, that one is returned;
// with other input, it is given up for the new one. What is wrong with the input, or prevents a
// verification, is in what is returned; an error is one of the session or of the storage.
func (s *Service) Submit(ctx context.Context, token, roleARN, region string) (Verification, error) {
	session, err := s.store.Session(ctx, token)
	if err != nil {
		return Verification{}, err
	}
	if session.Succeeded != "" {
		return s.verificationOf(ctx, session)
	}
	c, err := s.integrationOfSession(&session)
	if err != nil {
		return Verification{}, err
	}
	typed := Typed{RoleARN: strings.TrimSpace(roleARN), Region: strings.TrimSpace(region)}
	r := role{integration: c, connection: session.ConnectionID, customer: customerOf(&session), arn: typed.RoleARN, region: regionOf(&session, &c.Integration, typed.Region)}
	p, fields, err := s.admit(ctx, &session, &r)
	if err != nil {
		return Verification{}, err
	}
	v := Verification{RoleARN: r.arn, Region: r.region, Account: r.account}
	if p != nil {
		v.State, v.Step, v.Fields, v.Started, v.Ended = StateFailed, StepInput, fields, s.now(), s.now()
		p.tell(&v)
		// What may be anything is in Typed alone.
		if p.code == CodeInvalidRoleARN {
			v.RoleARN, r.arn = "", ""
		}
		if _, ok := endpoint.PartitionOf(v.Region); !ok {
			v.Region, r.region = "", ""
		}
		err := s.store.refuseInput(ctx, token, typed, v)
		if errors.Is(err, errTooMany) {
			return s.tooMany(v), nil
		}
		s.auditRefusal(ctx, &session, &r, p)
		return v, err
	}
	return s.begin(ctx, token, session.ID, typed, r, v)
}

// admit says whether the role may be verified at all, before AWS is asked about it, and completes it.
func (s *Service) admit(ctx context.Context, session *Session, r *role) (*problem, []FieldError, error) {
	var err error
	r.vendor, err = s.principal(ctx, r.integration)
	fields := checkInput(session, r.integration, r.vendor, r.arn, r.region)
	switch {
	case len(fields) > 0:
		return inputProblem(fields), fields, nil
	case err != nil:
		s.options.Report(err)
		return &problem{code: CodeBrokerUnavailable, text: "it can't be told at the moment who assumes your role", remedy: askVendor, detail: err.Error()}, nil, nil
	}
	parsed, err := sts.ParseRoleARN(r.arn)
	if err != nil {
		return nil, nil, invalid(err)
	}
	r.account = parsed.Account
	if r.externalID, err = s.store.ExternalIDFor(ctx, *session); err != nil {
		return nil, nil, err
	}
	bound, err := s.store.BoundAccount(ctx, r.externalID)
	if err != nil {
		return nil, nil, err
	}
	if bound != "" && bound != r.account {
		return &problem{
			code: CodeWrongAccount, field: FieldRoleARN,
			text:   "this External ID belongs to the AWS account " + bound + ", and the role to " + r.account,
			remedy: "name a role of the account " + bound + ", or ask for a new External ID",
		}, nil, nil
	}
	return nil, nil, nil
}

// begin starts the verification unless one is under way.
func (s *Service) begin(ctx context.Context, token, key string, typed Typed, r role, v Verification) (Verification, error) {
	var mine *run
	var runCtx context.Context
	for mine == nil {
		var other *run
		mine, other, runCtx = s.enterFor(key, r.customer, v)
		if mine != nil {
			break
		}
		if other == nil {
			return s.refused(v, CodeBusy, "too many roles are being verified at the moment", tryLater), nil
		}
		// What is being saved can't be given up any more.
		if now := other.now(); now.RoleARN == v.RoleARN && now.Region == v.Region || now.Step == StepSaving {
			return now, nil
		}
		other.cancel()
		select {
		case <-other.done:
		case <-ctx.Done():
			return other.now(), nil
		}
	}
	session, err := s.store.beginAttempt(ctx, token, mine.id, mine.before, typed, s.lease())
	if CodeOf(err) == CodeStorageUnavailable {
		s.lose(mine, err)
		return Verification{}, err
	}
	if err != nil {
		s.leave(key, mine)
		switch {
		case errors.Is(err, errRunning):
			return s.elsewhere(session), nil
		case errors.Is(err, errTooMany):
			v = s.tooMany(v)
			if err := s.store.refuseAttempt(ctx, token); !errors.Is(err, errTooMany) {
				s.auditRefusal(ctx, &session, &r, &problem{code: v.Code, detail: v.Text})
			}
			return v, nil
		case errors.Is(err, ErrUsed):
			return s.Verification(ctx, token) // Another one went well meanwhile.
		}
		return Verification{}, err
	}
	s.audit(ctx, roleEvent(&session, AuditVerificationStarted, &r))
	if !s.spawn(func() { s.verify(runCtx, token, session, r, mine) }) {
		s.leave(key, mine)
		v = s.refused(v, CodeInterrupted, "the server is being stopped", tryLater)
		return v, s.store.endAttempt(ctx, token, mine.id, v)
	}
	return mine.now(), nil
}

// refused is a verification that was not begun.
func (s *Service) refused(v Verification, code Code, text, remedy string) Verification {
	v.State, v.Step, v.Code, v.Text, v.Remedy, v.Started, v.Ended = StateFailed, StepInput, code, text, remedy, s.now(), s.now()
	return v
}

func (s *Service) tooMany(v Verification) Verification {
	return s.refused(v, CodeTooManyAttempts, "there were too many attempts with this link", "wait ten minutes, or ask for a new link")
}

// auditRefusal tells of a role that AWS was not asked about.
func (s *Service) auditRefusal(ctx context.Context, session *Session, r *role, p *problem) {
	event := roleEvent(session, AuditVerificationFailed, r)
	event.Code, event.Text = p.code, p.detail
	if p.detail == "" {
		event.Text = p.text
	}
	s.audit(ctx, event)
}

// elsewhere is a verification that another process runs.
func (s *Service) elsewhere(session Session) Verification {
	return Verification{
		State: StateRunning, Step: StepAssumeRole, Attempt: 1, RoleARN: session.Typed.RoleARN, Region: session.Typed.Region,
		Started: session.Attempts.Until.Add(-s.lease()),
	}
}

// saveWait is how long the end of a verification may take to be stored.
const saveWait = 45 * time.Second

// verify is the run of a session's verification.
func (s *Service) verify(ctx context.Context, token string, session Session, r role, mine *run) {
	defer close(mine.done)
	defer mine.cancel()
	check := s.newCheck(r, s.options.PropagationWait, mine.update)
	p := check.run(ctx)
	if p == nil {
		mine.update(func(v *Verification) { v.Step, v.Probe = StepSaving, check.probe.Outcome })
		p = s.save(ctx, token, session, r, check, mine)
	}
	v := s.ending(mine, p)
	// Who learns of the end can rely on it: it is stored, and was told, before.
	defer mine.update(func(now *Verification) { *now = v })

	event := roleEvent(&session, AuditVerificationSucceeded, &r)
	event.Took, event.Attempts, event.Probe, event.ProbeReason = v.Ended.Sub(v.Started), v.Attempt, check.probe.Outcome, check.probe.Reason
	if p != nil {
		event.Kind, event.Code, event.AWSCode, event.RequestID, event.Text = AuditVerificationFailed, p.code, p.awsCode, p.requestID, p.detail
		// Not even the end of the server keeps the customer from learning it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveWait)
		defer cancel()
		if err := s.store.endAttempt(ctx, token, mine.id, v); err != nil && CodeOf(err) == CodeStorageUnavailable {
			s.options.Report(err)
		}
	}
	s.audit(ctx, event)
}

// save makes the connection.
func (s *Service) save(ctx context.Context, token string, session Session, r role, check *check, mine *run) *problem {
	// From here on it is not given up: the role was verified.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveWait)
	defer cancel()
	for n := 0; ; n++ {
		connection, created, err := s.store.FinishSession(ctx, token, Verified{
			RoleARN: r.arn, ExternalID: r.externalID, Region: r.region, Account: r.account, Probe: check.probe.Outcome,
			Revision: r.integration.revision(),
		})
		if errors.Is(err, ErrUsed) && n > 0 {
			// The try before went well after all.
			if connection, err = s.store.Connection(ctx, session.ConnectionID); err == nil {
				created = !session.Reconnect
			}
		}
		if err == nil {
			mine.update(func(v *Verification) { v.ConnectionID = connection.ID })
			kind := AuditConnectionRenewed
			if created {
				kind = AuditConnectionCreated
			}
			event := connection.event(kind)
			event.Session, event.Probe, event.ProbeReason = session.ID, check.probe.Outcome, check.probe.Reason
			s.audit(ctx, event)
			return nil
		}
		if !errors.Is(err, ErrUnavailable) || n == 3 {
			s.reportUnavailable(err)
			return storeProblem(err)
		}
		if s.pause(ctx, backOff(n)) != nil {
			return storeProblem(err)
		}
	}
}

func (s *Service) reportUnavailable(err error) {
	if CodeOf(err) == CodeStorageUnavailable {
		s.options.Report(err)
	}
}

// roleEvent is an event about a role in a session.
func roleEvent(session *Session, kind AuditKind, r *role) AuditEvent {
	e := session.event(kind)
	e.RoleARN, e.Region, e.Account = r.arn, r.region, r.account
	return e
}

// Verification says how the verification of a session stands. Its errors are those of Store.Session.
func (s *Service) Verification(ctx context.Context, token string) (Verification, error) {
	session, err := s.store.Session(ctx, token)
	if err != nil {
		return Verification{}, err
	}
	return s.verificationOf(ctx, session)
}

func (s *Service) verificationOf(ctx context.Context, session Session) (Verification, error) {
	r := s.runOf(session.ID)
	switch {
	case session.Succeeded != "":
		if r != nil && r.now().ConnectionID != "" {
			return r.now(), nil
		}
		c, err := s.store.Connection(ctx, session.Succeeded)
		if errors.Is(err, ErrNotFound) {
			err = nil // It was deleted since.
		}
		v := Verification{
			State: StateSucceeded, ConnectionID: session.Succeeded, RoleARN: c.RoleARN, Region: c.Region, Account: c.Account, Probe: c.Probe,
			Started: c.Verified, Ended: c.Verified,
		}
		if r != nil && !r.ended() {
			v.Attempt = r.now().Attempt // It is stored, and about to end.
		}
		return v, err
	case r != nil && !r.ended():
		return r.now(), nil
	case session.Attempts.runs(s.store.now()) && (r == nil || r.id != session.Attempts.Running):
		return s.elsewhere(session), nil
	case r != nil && session.Attempts.Running == r.id:
		return r.now(), nil // Its end could not be stored.
	case session.Failed != nil:
		return *session.Failed, nil
	}
	return Verification{State: StateNone}, nil
}
