package connect

import (
	"context"
	"errors"
	"fmt"
)

// Choice is an integration that a session may be for, with what the vendor knows for that one already.
type Choice struct {
	// Integration is its key, which the caller knows to exist.
	Integration string `json:"integration"`

	// Prefill and Guide are those of the session, once it is for this integration.
	Prefill Prefill `json:"prefill,omitzero"`
	Guide   string  `json:"guide,omitempty"`

	// Incarnation is that of the integration, see Session.Incarnation.
	Incarnation string `json:"incarnation,omitempty"`
}

// maxChoices bounds what a session may be for.
const maxChoices = 50

// checkChoices says what is wrong with the integrations that a session may be for, if anything.
func (n *NewSession) checkChoices() error {
	if len(n.Choices) == 0 {
		return CheckIntegrationKey(n.Integration)
	}
	if n.Integration != "" || n.Prefill != (Prefill{}) || n.Guide != "" {
		return errors.New("a session is for one integration, or for one of several")
	}
	if len(n.Choices) > maxChoices {
		return fmt.Errorf("there are %d integrations to choose from: write at most %d", len(n.Choices), maxChoices)
	}
	seen := make(map[string]bool)
	for _, c := range n.Choices {
		if err := CheckIntegrationKey(c.Integration); err != nil {
			return err
		}
		if seen[c.Integration] {
			return fmt.Errorf("the integration %s is there twice", c.Integration)
		}
		seen[c.Integration] = true
		if err := c.Prefill.check(); err != nil {
			return fmt.Errorf("integration %s: %w", c.Integration, err)
		}
		if err := checkOptionalURL("the URL of the guide", c.Guide); err != nil {
			return fmt.Errorf("integration %s: %w", c.Integration, err)
		}
	}
	return nil
}

// As returns the session as it is once it is for one of its choices.
func (s Session) As(c Choice) Session {
	s.Integration, s.Incarnation, s.Prefill, s.Guide = c.Integration, c.Incarnation, c.Prefill, c.Guide
	return s
}

// Choice returns the choice of an integration, if the session has it.
func (s *Session) Choice(integration string) (Choice, bool) {
	for _, c := range s.Choices {
		if c.Integration == integration {
			return c, true
		}
	}
	return Choice{}, false
}

// Integrations are the keys of all that the session is, or may be, for.
func (s *Session) Integrations() []string {
	if len(s.Choices) == 0 {
		return []string{s.Integration}
	}
	keys := make([]string, 0, len(s.Choices))
	for _, c := range s.Choices {
		keys = append(keys, c.Integration)
	}
	return keys
}

// Choose has a session be for one of its choices, or for none yet if integration is empty. The error is
// ErrInvalid if that is none of them, and ErrConflict while a role is being verified for another.
func (s *Store) Choose(ctx context.Context, token, integration string) (Session, error) {
	return s.changeSession(ctx, token, func(ctx context.Context, session *Session) error {
		c, ok := session.Choice(integration)
		switch {
		case integration == session.Integration:
			return nil
		case !ok && (integration != "" || len(session.Choices) == 0):
			return fail(ErrInvalid, "the session is not for this integration")
		case session.Attempts.runs(s.now()):
			return fail(ErrConflict, "a role is being verified for another integration: wait for the end")
		}
		*session = session.As(c)
		session.Typed, session.Failed = Typed{}, nil
		if integration == "" {
			return nil
		}
		_, err := s.ExternalIDFor(ctx, *session)
		return err
	})
}

// presetExternalIDs makes the External IDs of a new session: that of its integration, or those that the vendor
// has for its choices, so that it learns now what can't be.
func (s *Store) presetExternalIDs(ctx context.Context, session Session) error {
	if len(session.Choices) == 0 {
		_, err := s.ExternalIDFor(ctx, session)
		return err
	}
	for _, c := range session.Choices {
		if c.Prefill.ExternalID.Text == "" {
			continue
		}
		if _, err := s.ExternalIDFor(ctx, session.As(c)); err != nil {
			return err
		}
	}
	return nil
}
