package connect

import (
	"context"
	"time"
)

// awaitEvery is how often a verification is asked for that another process runs.
const awaitEvery = 500 * time.Millisecond

// SubmitAndWait is Submit for those who want to know how the verification ends. If ctx ends before, the
// verification goes on and is returned as it stands.
func (s *Service) SubmitAndWait(ctx context.Context, token, roleARN, region string) (Verification, error) {
	v, err := s.Submit(ctx, token, roleARN, region)
	if err != nil || v.State != StateRunning {
		return v, err
	}
	session, err := s.store.Session(ctx, token)
	if err != nil {
		return Verification{}, err
	}
	for v.State == StateRunning {
		if r := s.runOf(session.ID); r != nil && !r.ended() {
			select {
			case <-r.done:
				return r.now(), nil
			case <-ctx.Done():
				return r.now(), nil
			}
		}
		if s.pause(ctx, awaitEvery) != nil {
			return v, nil //nolint:nilerr // the caller knows that it does not wait any more
		}
		if v, err = s.Verification(ctx, token); err != nil {
			return Verification{}, err
		}
	}
	return v, nil
}
