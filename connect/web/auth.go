package web

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// authQuery are the parameters of a call of /auth/aws-sigv4/.
type authQuery struct {
	token        string // of a session
	publicKey    string
	proof        string
	connectionID string
	externalID   string
	region       string

	err error // what is wrong with them
}

// readAuthQuery reads them. A browser chooses nothing of a connection but its role and its region.
func readAuthQuery(r *http.Request) *authQuery {
	q := readQuery(r)
	a := &authQuery{
		token: q.text("connect_session_token"), publicKey: q.text("public_key"), proof: q.text(proofParameter), connectionID: q.text("connection_id"),
	}
	q.text("user_scope") // That is about other kinds of credentials.
	params := q.members("params")
	a.externalID, a.region = params["external_id"], params["region"]
	for _, name := range slices.Sorted(maps.Keys(params)) {
		switch name {
		case "external_id", "region":
		case "base_url", "webhook_url":
			q.problem("custom", "a browser does not say where calls are sent, nor who is told of them: leave it out, and have your server say so", "params", name)
		default:
			q.problem("custom", "nothing is kept of it: leave it out, and have your server write tags or metadata", "params", name)
		}
	}
	if a.token != "" && a.connectionID != "" {
		q.problem("custom", "the session makes the ID of its connection: leave it out", "connection_id")
	}
	a.err = q.done()
	return a
}

// session returns the session that a request stands on, and its token.
func (h *Handler) session(r *http.Request, q *authQuery, integration string) (token string, session connect.Session, err error) {
	if q.token == "" && r.Header.Get("Authorization") == "" {
		return h.openByPublicKey(r, q, integration)
	}
	if token = q.token; token == "" {
		if token, err = bearer(r.Header); err != nil {
			return "", connect.Session{}, unauthorized(err)
		}
	}
	if !connect.IsToken(token) {
		return "", connect.Session{}, errTokenFormat
	}
	session, err = h.store.Session(r.Context(), token)
	switch {
	case errors.Is(err, connect.ErrNotFound):
		err = errUnknownToken
	case err == nil:
		err = q.err
	}
	if err != nil {
		return "", connect.Session{}, err
	}
	_, known := h.service.Integration(integration)
	choice, chooses := session.Choice(integration)
	switch {
	case !known:
		err = errUnknownIntegration
	case session.Integration == integration:
	case !chooses || session.Succeeded != "":
		err = refuse(http.StatusBadRequest, "integration_not_allowed", "the session is not for this integration")
	case r.Method == http.MethodPost:
		session, err = h.store.Choose(r.Context(), token, integration)
	default:
		session = session.As(choice)
	}
	return token, session, err
}

var (
	errTokenFormat  = refuse(http.StatusUnauthorized, "invalid_connect_session_token_format", "this is not the token of a connect session")
	errUnknownToken = refuse(http.StatusUnauthorized, "unknown_connect_session_token", "there is no such connect session")
)

// integrationOf returns the integration that a path names.
func integrationOf(r *http.Request) (string, error) {
	key := r.PathValue("integration")
	if err := connect.CheckIntegrationKey(key); err != nil {
		return "", &apiError{Status: http.StatusBadRequest, Code: "invalid_uri_params", Errors: []fieldProblem{{"custom", err.Error(), []any{"providerConfigKey"}}}}
	}
	return key, nil
}

// readAuth answers GET /auth/aws-sigv4/INTEGRATION: which External ID the role's trust policy has to ask for.
func (h *Handler) readAuth(r *http.Request) (int, any, error) {
	integration, err := integrationOf(r)
	if err != nil {
		return 0, nil, err
	}
	_, session, err := h.session(r, readAuthQuery(r), integration)
	if err == nil && session.Succeeded != "" {
		err = connect.ErrUsed
	}
	if err != nil {
		return 0, nil, err
	}
	externalID, err := h.store.ExternalIDFor(r.Context(), session)
	if err != nil {
		return 0, nil, gone(err)
	}
	return http.StatusOK, map[string]any{"providerConfigKey": integration, "connectionId": session.ConnectionID, "external_id": externalID}, nil
}

// authorize answers POST /auth/aws-sigv4/INTEGRATION: it verifies a role as the page does, waits for the end, and
// says which connection it has become.
func (h *Handler) authorize(r *http.Request) (int, any, error) {
	integration, err := integrationOf(r)
	if err != nil {
		return 0, nil, err
	}
	q := readAuthQuery(r)
	f, bodyErr := body(r)
	token, session, err := h.session(r, q, integration)
	if err = cmp.Or(err, bodyErr); err != nil {
		return 0, nil, err
	}
	role, region := strings.TrimSpace(f.text("role_arn")), strings.TrimSpace(f.text("region"))
	f.text("type") // Some clients say which kind of credentials it is about.
	if role == "" {
		f.problem("too_small", "write the ARN of the role", "role_arn")
	}
	f.done()
	if len(*f.problems) > 0 {
		return 0, nil, invalidBody(*f.problems...)
	}
	if err := h.mayAuthorize(r, q, &session, &region); err != nil {
		return 0, nil, err
	}
	v, err := h.service.SubmitAndWait(r.Context(), token, role, region)
	switch {
	case err != nil:
		return 0, nil, gone(err)
	case v.State == connect.StateRunning:
		return 0, nil, refuse(http.StatusServiceUnavailable, "verification_running", "the role is still being verified: ask again with the same")
	case v.State != connect.StateSucceeded:
		return 0, nil, verificationError(&v)
	case v.RoleARN != role || session.Succeeded != "" && region != "" && v.Region != region:
		return 0, nil, connect.ErrUsed
	}
	return http.StatusOK, map[string]string{"connectionId": v.ConnectionID, "providerConfigKey": integration}, nil
}

// mayAuthorize compares what a browser says with what is known already, and completes the region: that of a
// connection that is renewed, else the body's, else the parameter's.
func (h *Handler) mayAuthorize(r *http.Request, q *authQuery, session *connect.Session, region *string) error {
	if q.externalID != "" {
		externalID, err := h.store.ExternalIDFor(r.Context(), *session)
		if err != nil {
			return gone(err)
		}
		if subtle.ConstantTimeCompare([]byte(externalID), []byte(q.externalID)) != 1 {
			return refuse(http.StatusBadRequest, "external_id_mismatch", "the External ID of this connection is another one, which the server makes: put that into the role's trust policy")
		}
	}
	if *region = cmp.Or(*region, q.region); session.Reconnect && session.Prefill.Region.Fixed {
		*region = session.Prefill.Region.Text
	}
	c, ok := h.service.Integration(session.Integration)
	if ok && *region == "" && session.Prefill.Region.Text == "" && c.Region == "" {
		return refuse(http.StatusBadRequest, "missing_aws_sigv4_region", "which region? write one like us-east-1")
	}
	return nil
}

// gone says that what a session was made for is not there any more.
func gone(err error) error {
	if errors.Is(err, connect.ErrNotFound) {
		return refuse(http.StatusBadRequest, "invalid_connection", "the connection, or its integration, is not there any more")
	}
	return err
}
