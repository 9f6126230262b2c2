package awssigv4

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// plan is what the handler decided for a request. It travels in the request's
// context under a key of our own: never in the variables or the replacer,
// which can be printed.
type plan struct {
	// identity is whom to sign as; nil if the handler's configuration names
	// nobody, and the transport's own counts. perRequest tells whether the
	// request had a say in it.
	identity   *credentials.Identity
	perRequest bool

	// What the handler's configuration says of the target; "" if nothing.
	host, service, region string

	// hostIsFixed tells that the configuration names host itself, rather than
	// where to take it from.
	hostIsFixed bool

	// dest is the destination as far as the handler knows it; what it doesn't
	// know of it is "".
	dest destination

	// raw and target are what the client asked for, and its canonical form by
	// the path rule. They save the transport the same work, if nothing between
	// the two has changed the request.
	raw    rawTarget
	rule   sigv4.PathRule
	target sigv4.Target

	// allow are the allow-lists of this handler and of those before it; own is
	// where they lie if there is none before it.
	allow  []*Allow
	own    [1]*Allow
	rules  *sigv4.HeaderRules
	bodies bodyOptions

	body clientBody

	// call is nil unless the request is a call on a customer's behalf.
	call *call

	// shown is used if this is the request's first plan.
	shown shown

	// owner is the transport that goes by this plan: the first one that meets
	// it. Another that meets it later, in `handle_response` say, has nothing to
	// do with it.
	owner atomic.Pointer[Transport]
}

// claim tells whether the plan is for t.
func (p *plan) claim(t *Transport) bool {
	return p.owner.CompareAndSwap(nil, t) || p.owner.Load() == t
}

// taken tells whether any transport of ours went by the plan.
func (p *plan) taken() bool { return p.owner.Load() != nil }

// canonical returns the canonical form of a target under a rule: the one that
// the handler worked out, or another if any of both has changed since.
func (p *plan) canonical(raw rawTarget, rule sigv4.PathRule) (sigv4.Target, error) {
	if p != nil && p.raw == raw && p.rule == rule {
		return p.target, nil
	}
	return raw.canonical(rule)
}

// label names the identity in logs.
func (p *plan) label() string {
	if p.identity == nil {
		return ""
	}
	return p.identity.Label
}

// permit asks all allow-lists for a destination and the address dialled, if
// that is known.
func (p *plan) permit(d destination, dialled string) error {
	for _, a := range p.allow {
		err := errors.Join(a.permitHost(d.host), a.permitService(d.service), a.permitRegion(d.region))
		if err == nil && dialled != "" {
			err = a.permitHost(dialled)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// permitRole asks all allow-lists for an identity.
func (p *plan) permitRole(id credentials.Identity) error {
	for _, a := range p.allow {
		if err := a.permitRole(id); err != nil {
			return err
		}
	}
	return nil
}

// shown is the plan that answers the placeholders `{http.aws_sigv4.*}` of a
// request: the one of the last handler that it went through. They are looked up
// only where they are used.
type shown struct{ latest atomic.Pointer[plan] }

// shownKey is answered with the *shown itself. No configuration writes a
// placeholder like that.
const shownKey = placeholder + "\x00"

const placeholder = "http.aws_sigv4."

// show lets the request's placeholders speak of p. Its fields must not change
// any more.
func (p *plan) show(repl *caddy.Replacer) {
	// A request may come by several handlers, in error routes too, where no
	// context tells of those before; and of two who answer, the first counts.
	found, _ := repl.Get(shownKey)
	if s, ok := found.(*shown); ok {
		s.latest.Store(p)
		return
	}
	p.shown.latest.Store(p)
	repl.Map(p.shown.answer)
}

func (s *shown) answer(key string) (any, bool) {
	name, ok := strings.CutPrefix(key, placeholder)
	if !ok {
		return nil, false
	}
	p := s.latest.Load()
	switch name {
	case "host":
		return p.dest.host, true
	case "service":
		return p.dest.service, true
	case "region":
		return p.dest.region, true
	case "identity":
		return p.label(), true
	case "connection":
		if p.call == nil {
			return "", true
		}
		return p.call.connection.ID, true
	case "integration":
		if p.call == nil {
			return "", true
		}
		return p.call.integration.Key, true
	case "\x00":
		return s, true
	}
	return nil, false
}

// String keeps the plan out of everything that is printed.
func (*shown) String() string { return "" }

type planKey struct{}

func withPlan(ctx context.Context, p *plan) context.Context {
	return context.WithValue(ctx, planKey{}, p)
}

// planOf returns the plan that a handler left, or nil.
func planOf(ctx context.Context) *plan {
	p, _ := ctx.Value(planKey{}).(*plan)
	return p
}
