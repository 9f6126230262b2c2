package awssigv4

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
)

// callsTotal has no label of a connection: there may be any number of them.
var callsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "caddy", Subsystem: appName, Name: "calls_total",
	Help: "Calls on behalf of customers, by integration (empty if it is not known) and outcome " +
		"(ok, service_error, no_answer, limited, refused, no_credentials, unauthorized, unavailable).",
}, []string{"integration", "outcome"})

// callRetriesTotal counts attempts beside the first.
var callRetriesTotal = prometheus.NewCounter(prometheus.CounterOpts{
	Namespace: "caddy", Subsystem: appName, Name: "call_retries_total",
	Help: "Calls on behalf of customers that were sent again, because their callers asked for that.",
})

// serveCall hands a call on, or answers why it is not made.
func (h *Handler) serveCall(w http.ResponseWriter, r, out *http.Request, p *plan, err error, next caddyhttp.Handler) error {
	if err == nil {
		answered := newResponseWriter(w, h.logger, p, false)
		err = next.ServeHTTP(answered, out)
		switch {
		case err == nil && answered.status < http.StatusBadRequest:
			countCall(p, "ok")
			return nil
		case answered.status != 0:
			countCall(p, "service_error")
			return err
		case err == nil:
			countCall(p, "ok") // Nothing was written: an empty answer.
			return nil
		}
		countCall(p, "no_answer")
	} else {
		countUnsigned(err)
		countCall(p, refusedOutcome(err))
	}
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		tellErrorRoutes(repl, err, h.app.nameOf)
		repl.Set("http.aws_sigv4.error.reason", asCallError(err).code)
	}
	return refuseCall(w, r, h.logger, err)
}

func countCall(p *plan, outcome string) {
	integration := ""
	if p.call != nil && p.call.connection != nil {
		integration = p.call.integration.Key
	}
	callsTotal.WithLabelValues(integration, outcome).Inc()
}

func refusedOutcome(err error) string {
	e := asCallError(err)
	switch {
	case e.status == http.StatusUnauthorized:
		return "unauthorized"
	case e.status == http.StatusTooManyRequests:
		return "limited"
	case e.code == "credentials_unavailable", e.code == "connection_refresh_exhausted":
		return "no_credentials"
	case e.status >= http.StatusInternalServerError:
		return "unavailable"
	}
	return "refused"
}
