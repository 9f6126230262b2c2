package awssigv4

import (
	"context"
	"errors"
	"sync/atomic"

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

	// allow are the allow-lists of this handler and of those before it.
	allow  []*Allow
	rules  *sigv4.HeaderRules
	bodies bodyOptions

	body clientBody

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

type planKey struct{}

func withPlan(ctx context.Context, p *plan) context.Context {
	return context.WithValue(ctx, planKey{}, p)
}

// planOf returns the plan that a handler left, or nil.
func planOf(ctx context.Context) *plan {
	p, _ := ctx.Value(planKey{}).(*plan)
	return p
}
