package connect

import "context"

// SessionID returns the Session.ID that belongs to a token, whether or not there is such a session. It
// reads no session.
func (s *Store) SessionID(ctx context.Context, token string) (string, error) {
	key, err := s.sessionKey(ctx, token)
	if err != nil {
		return "", err
	}
	return sessionID(key), nil
}
