package stshelper

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// admit lets in who may ask at all: over a safe connection, with a key.
func (h *Handler) admit(r *http.Request, c *call) *failure {
	if !h.opts.PlainHTTP.admits(r) || !h.opts.PlainHTTP.admitsBeforeProxy(r, h.opts.ProxiedFor) {
		return &failure{
			status: http.StatusForbidden, word: "https_required", outcome: Refused,
			message: "secrets are not accepted over plain HTTP from here: use https, and a new secret, as this one was readable on the way",
		}
	}
	c.key, c.entry.Secret = h.authenticate(r)
	if c.key == nil {
		return &failure{status: http.StatusUnauthorized, word: "invalid_api_key", outcome: Unauthenticated}
	}
	c.entry.Key = c.key.Name
	return nil
}

// assumeRole serves POST /assume-role.
func (h *Handler) assumeRole(w http.ResponseWriter, r *http.Request, c *call) *failure {
	q, f := h.readQuestion(w, r)
	if f != nil {
		return f
	}
	creds, f := h.session(r.Context(), c, q)
	if f != nil {
		return f
	}
	h.answer(w, r, c, struct {
		AccessKeyID     string `json:"accessKeyId"`
		SecretAccessKey string `json:"secretAccessKey"`
		SessionToken    string `json:"sessionToken"`
		ExpiresAt       string `json:"expiresAt"`
	}{creds.Value.AccessKeyID, creds.Value.SecretAccessKey, creds.Value.SessionToken, timestamp(creds.Expires)})
	return nil
}

// containerCredentials serves GET /credentials/NAME in the form of the ECS container endpoint, see
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html.
func (h *Handler) containerCredentials(w http.ResponseWriter, r *http.Request, c *call) *failure {
	// Whether another key of that name exists is nobody's business.
	if strings.TrimPrefix(r.URL.Path, pathCredentials) != c.key.Name {
		return notPermitted("", "key %s may only have /credentials/%s", c.key.Name, c.key.Name)
	}
	if c.key.Role == "" {
		return notPermitted("", "key %s has no role of its own; the operator can give it one", c.key.Name)
	}
	creds, f := h.fetch(r.Context(), c, question{roleARN: c.key.Role, externalID: c.key.ExternalID})
	if f != nil {
		return f
	}
	h.answer(w, r, c, struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string `json:"SecretAccessKey"`
		Token           string `json:"Token"`
		Expiration      string `json:"Expiration"`
		RoleARN         string `json:"RoleArn"`
	}{creds.Value.AccessKeyID, creds.Value.SecretAccessKey, creds.Value.SessionToken, timestamp(creds.Expires), c.key.Role})
	return nil
}

// session returns the credentials of what a caller asks for, if it may.
func (h *Handler) session(ctx context.Context, c *call, q question) (*credentials.Credentials, *failure) {
	c.entry.asks(q)
	if f := h.permit(c.key, q.roleARN, q.externalID); f != nil {
		return nil, f
	}
	return h.fetch(ctx, c, q)
}

// fetch returns the credentials of a role that the caller may have.
func (h *Handler) fetch(ctx context.Context, c *call, q question) (*credentials.Credentials, *failure) {
	c.entry.asks(q)
	region, f := h.region(c.key, q)
	if f != nil {
		return nil, f
	}
	c.entry.Region = region
	creds, err := h.fresh(ctx, h.identity(c.key, q, region))
	h.asked(c.key, q, err)
	if err != nil && ctx.Err() != nil {
		return nil, abandoned(err)
	} else if err != nil {
		return nil, h.explainRegion(q, err)
	}
	c.entry.Outcome = Issued
	c.entry.AccessKeyID, c.entry.Expires = creds.Value.AccessKeyID, creds.Expires
	c.entry.Cached = creds.FetchedAt.Before(c.begun)
	return creds, nil
}

// identity is the session of a role for one key: two keys with other permissions, or other names, never
// share one.
func (h *Handler) identity(k *key, q question, region string) credentials.Identity {
	id := credentials.NewRole(h.opts.Client, &h.opts.Broker, h.opts.BrokerName, h.input(k, q, region))
	id.Key = credentials.NewKey(k.scope, id.Key)
	id.Owner = k.scope
	id.Label += " for key " + k.Name
	return id
}

func (h *Handler) input(k *key, q question, region string) sts.AssumeRoleInput {
	return sts.AssumeRoleInput{
		RoleARN:     q.roleARN,
		ExternalID:  q.externalID,
		SessionName: k.SessionName,
		Duration:    h.opts.Duration,
		Tags:        k.Tags,
		Region:      region,
	}
}

// fresh returns credentials of an identity that live long enough to be handed out, or as long as they do
// if newer ones can't be had soon.
func (h *Handler) fresh(ctx context.Context, id credentials.Identity) (*credentials.Credentials, error) {
	creds, err := h.opts.Cache.Get(ctx, id)
	if err != nil || creds.Expires.IsZero() || time.Until(creds.Expires) >= h.atLeast {
		return creds, err
	}
	ctx, cancel := context.WithTimeout(ctx, renewWait)
	defer cancel()
	if newer, err := h.opts.Cache.Renew(ctx, id, creds); err == nil {
		return newer, nil
	}
	return creds, nil
}

// renewWait is how long a caller waits for newer credentials than those that are valid, but not for
// long. It is enough for a healthy STS.
const renewWait = 2 * time.Second

// minimumLife is how long credentials that are handed out should still live. Other systems ask again
// once less than 15 minutes are left of an hour, so less would have them ask each time; the cache has
// by then long begun to fetch the successor, which it does while 30 % or more are left.
func minimumLife(duration time.Duration) time.Duration {
	return min(duration/4, 16*time.Minute)
}

// timestamp writes a time as both forms want it, and never a later one.
func timestamp(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }
