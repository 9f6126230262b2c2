package web

import (
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// credentialsJSON are temporary credentials as the API writes them.
func credentialsJSON(c *connect.Connection, service string, creds sigv4.Credentials, expires time.Time) any {
	raw := map[string]any{
		"access_key_id": creds.AccessKeyID, "secret_access_key": creds.SecretAccessKey, "session_token": creds.SessionToken,
		"expires_at": nullable(timestamp(expires)),
	}
	out := map[string]any{
		"type": "AWS_SIGV4", "raw": raw,
		"role_arn": c.RoleARN, "external_id": c.ExternalID, "region": c.Region, "service": service,
	}
	maps.Copy(out, raw)
	return out
}

// noCredentials says why there are none. The connection goes with it, because that is what was asked for.
func (h *Handler) noCredentials(err error, connection map[string]any) error {
	payload := map[string]any{"connection": connection}
	e := &apiError{Status: http.StatusBadGateway, Code: "invalid_credentials", Message: "the connection's role can't be assumed at the moment", Payload: payload}
	switch failed, ok := errors.AsType[*credentials.Error](err); {
	case errors.Is(err, connect.ErrPaused):
		return &apiError{Status: http.StatusForbidden, Code: "connection_paused", Message: "the connection is paused, and has no credentials until it is resumed", Payload: payload}
	case errors.Is(err, connect.ErrExhausted):
		return &apiError{Status: http.StatusFailedDependency, Code: "connection_refresh_exhausted", Message: "the connection's role could not be assumed for days, and is not tried any more: have it mended, and ask with force_refresh", Payload: payload}
	case errors.Is(err, connect.ErrDenied):
		return &apiError{Status: http.StatusForbidden, Code: string(connect.CodeAccountNotAllowed), Message: "roles of the connection's account may not be used any more", Payload: payload}
	case errors.Is(err, connect.ErrDenied):
		return &apiError{Status: http.StatusFailedDependency, Code: string(connect.CodeAccountNotAllowed), Message: "the operator does not allow the connection's account any more", Payload: payload}
	case errors.Is(err, connect.ErrExhausted):
		return &apiError{Status: http.StatusFailedDependency, Code: "connection_refresh_exhausted", Message: err.Error(), Payload: payload}
	case errors.Is(err, connect.ErrNotFound):
		return errNoConnection // It was deleted meanwhile, or its integration is gone.
	case errors.Is(err, connect.ErrUnavailable):
		return err
	case ok:
		if failed.Temporary() {
			e.Status = http.StatusServiceUnavailable
		}
		x := failed.Explain()
		payload["aws_code"], payload["request_id"] = x.Code, x.RequestID
	}
	return e.because(err)
}
