package sources

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// uniquePlaceholders differ in every request, or in nearly every one, or are not known before the
// request is answered. One that ends in a dot stands for all that begin with it.
var uniquePlaceholders = []string{
	"http.error",
	"http.error.",
	"http.intercept.",
	"http.request.body",
	"http.request.body_base64",
	"http.request.duration",
	"http.request.duration_ms",
	"http.request.remote",
	"http.request.remote.port",
	"http.request.uuid",
	"http.response.",
	"http.reverse_proxy.duration",
	"http.reverse_proxy.duration_ms",
	"http.reverse_proxy.header.",
	"http.reverse_proxy.retries",
	"http.reverse_proxy.status_code",
	"http.reverse_proxy.status_text",
	"http.reverse_proxy.upstream.duration",
	"http.reverse_proxy.upstream.duration_ms",
	"http.reverse_proxy.upstream.fails",
	"http.reverse_proxy.upstream.latency",
	"http.reverse_proxy.upstream.latency_ms",
	"http.reverse_proxy.upstream.requests",
	"http.time_until_shutdown",
	"http.vars.span_id",
	"http.vars.start_time",
	"http.vars.trace_id",
	"http.vars.uuid",
	"time.",
}

// uniqueHeaders are made to differ in every request.
var uniqueHeaders = []string{
	"Idempotency-Key", "Traceparent", "Tracestate", "X-Amzn-Trace-Id", "X-B3-Spanid", "X-B3-Traceid",
	"X-Correlation-Id", "X-Request-Id",
}

func isUnique(placeholder string) bool {
	if h, ok := strings.CutPrefix(placeholder, "http.request.header."); ok {
		for _, u := range uniqueHeaders {
			if strings.EqualFold(h, u) {
				return true
			}
		}
		return false
	}
	for _, u := range uniquePlaceholders {
		if placeholder == u || strings.HasSuffix(u, ".") && strings.HasPrefix(placeholder, u) {
			return true
		}
	}
	return false
}

// CheckIdentityPlaceholders says whether the placeholders in a field of an identity, named as in JSON,
// make sense there. One that is unique to each request does not: each request would be an identity
// of its own, with a call to STS of its own. Nor does an external_id, a policy or a source_identity that
// the client chooses, as it proves nothing then; for {http.request.tls.client.*} see NeedsVerifiedCertificate. A short
// form that the Caddyfile adapter did not expand stands for nothing.
func CheckIdentityPlaceholders(field, value string) error {
	return checkPlaceholders(field, parse(value))
}

// clientHasNoSay are the fields that protect only if the client does not choose them.
var clientHasNoSay = map[string]string{
	"external_id":     "an External ID protects only if it is not",
	"policy":          "a session policy limits only if it is not",
	"source_identity": "a source identity says who somebody is only if it is not",
}

func checkPlaceholders(field string, parts []part) error {
	for _, p := range parts {
		switch {
		case !p.needsRequest():
		case longForm(p.text) != p.text:
			return fmt.Errorf("%s: %s is a short form, which Caddy knows only in a site's block of a Caddyfile: write %s",
				field, p.text, longForm(p.text))
		case isUnique(p.placeholder):
			return fmt.Errorf("%s: %s is different in every request, so each would be a call to AWS STS of its own: "+
				"write a placeholder that few values are behind, such as {http.auth.user.id}, or a fixed value", field, p.text)
		case clientHasNoSay[field] != "" && isClientChosen(p.placeholder):
			return fmt.Errorf("%s: %s is chosen by the client, and %s: "+
				"write a fixed value, {env.NAME}, {file./PATH}, or a placeholder that you set with map or vars", field, p.text, clientHasNoSay[field])
		}
	}
	return nil
}

// longForm returns what the Caddyfile adapter makes of a placeholder.
func longForm(placeholder string) string {
	token := caddyfile.Segment{{Text: placeholder}}
	shorthands.ApplyToSegment(&token)
	return token[0].Text
}

var shorthands = httpcaddyfile.NewShorthandReplacer()

// isClientChosen says whether a placeholder repeats what the client sent, or may. Of Caddy's own, only
// those are known not to that come from whoever authenticated the client or from the operator; what the operator
// sets with map has no fixed name.
func isClientChosen(placeholder string) bool {
	if !strings.HasPrefix(placeholder, "http.") || isOfCertificate(placeholder) {
		return false
	}
	for prefix, except := range map[string][]string{
		"http.auth.user.": {"service", "region"},
		"http.vars.":      {"client_ip", "reverse_proxy."}, // Behind a trusted proxy, from X-Forwarded-For.
	} {
		if name, ok := strings.CutPrefix(placeholder, prefix); ok {
			return slices.ContainsFunc(except, func(e string) bool { return strings.HasPrefix(name, e) })
		}
	}
	return true
}

// isOfCertificate says whether a placeholder comes from the client's TLS certificate, which is as good as whoever
// verified it.
func isOfCertificate(placeholder string) bool {
	return strings.HasPrefix(placeholder, "http.request.tls.client.")
}

// NeedsVerifiedCertificate says whether a source, or one that its role is assumed from, takes from the
// client's TLS certificate what protects only if the client does not choose it. The identity must not be asked
// for then unless the certificate was verified: anybody can make one that says anything.
func NeedsVerifiedCertificate(s credentials.Source) bool {
	c, ok := s.(interface{ needsVerifiedCertificate() bool })
	return ok && c.needsVerifiedCertificate()
}

func (a *AssumeRole) needsVerifiedCertificate() bool {
	return ofCertificate(a.values.externalID.parts, a.values.sourceIdentity.parts, a.values.policy.parts) || NeedsVerifiedCertificate(a.from)
}

func (h *STSHelper) needsVerifiedCertificate() bool { return ofCertificate(h.values.externalID.parts) }

func ofCertificate(values ...[]part) bool {
	return slices.ContainsFunc(values, func(parts []part) bool {
		return slices.ContainsFunc(parts, func(p part) bool { return !p.isText && isOfCertificate(p.placeholder) })
	})
}
