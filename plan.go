package awssigv4

import (
	"context"
	"sync/atomic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/payload"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// plan is what the handler decided for a request. It travels in the request's
// context under a key of our own: never in the variables or the replacer,
// which can be printed.
type plan struct {
	// identity is whom to sign as.
	identity credentials.Identity

	// What the handler's configuration says of the target; "" if nothing.
	host, service, region string

	allow     *Allow
	rules     *sigv4.HeaderRules
	mode      payload.Mode
	bodyLimit int64

	body clientBody

	// taken is set by a transport that signed by this plan.
	taken atomic.Bool
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
