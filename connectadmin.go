package awssigv4

import (
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/adminweb"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/web"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// ConnectAdmin serves the pages on which the operator looks after customers' connections: integrations and their
// templates, which can be changed if they were written at run time, links for customers, and connections with
// how they stand, which can be verified, paused, renewed and deleted.
//
// Put something that authenticates before it, such as `basic_auth`. A request on which that has not set
// `{http.auth.user.id}` is answered 403, whatever it asks for. Who has logged in may do everything; the name
// stands in the audit log.
//
// To have the pages below another path, put the handler into a `handle_path`. Every path that is none of theirs is
// answered 404; nothing is passed on.
type ConnectAdmin struct {
	// Where customers reach `aws_connect`, such as `https://connect.example.com`, for the links that are
	// made here. Default: the host of these pages.
	ConnectURL string `json:"connect_url,omitempty"`

	handler *adminweb.Handler
}

// CaddyModule returns the Caddy module information.
func (*ConnectAdmin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.aws_connect_admin",
		New: func() caddy.Module { return new(ConnectAdmin) },
	}
}

// Provision sets up the handler. It does not touch the network.
func (c *ConnectAdmin) Provision(ctx caddy.Context) error {
	logger := ctx.Logger()
	mod, err := ctx.App(appName)
	if err != nil {
		return fmt.Errorf("getting the %s app: %w", appName, err)
	}
	app := mod.(*App)
	if app.connect == nil {
		return errNoIntegrations
	}
	o := adminweb.Options{
		Service: app.connect.Service,
		User:    authenticatedUser,
		HTTPS:   overHTTPS,
		Report:  func(err error) { logger.Error("connect", zap.Error(err)) },
		Expires: func(of connect.Connection) (time.Time, bool) {
			id, err := app.connect.Identity(of)
			if err != nil {
				return time.Time{}, false
			}
			st := app.cache.StatusOf(id)
			return st.Expires, st.Valid && !st.Expires.IsZero()
		},
	}
	if o.ConnectURL, err = sources.ResolveFixed(c.ConnectURL); err != nil {
		return fieldError("connect_url", err)
	}
	if _, err := web.ParseBaseURL(o.ConnectURL); err != nil {
		return fieldError("connect_url", err)
	}
	c.handler, err = adminweb.New(o)
	return err
}

// authenticatedUser is who has logged in, as an authentication handler before this one has found on this very
// request; "" if none has. No client can set it.
func authenticatedUser(r *http.Request) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	user, _ := repl.GetString("http.auth.user.id")
	return user
}

// ServeHTTP answers every request.
func (c *ConnectAdmin) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	answerBeforeBody(w, r)
	c.handler.ServeHTTP(w, r)
	return nil
}

var (
	_ caddy.Provisioner           = (*ConnectAdmin)(nil)
	_ caddyhttp.MiddlewareHandler = (*ConnectAdmin)(nil)
)
