package connect

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Session is a connect session: a short-lived right to make or renew one connection. Whoever holds
// its token has that right; the token itself is stored nowhere.
type Session struct {
	// ID tells sessions apart in logs. It is made from a hash of the token and gives no right.
	ID string `json:"-"`

	// Integration is the key of the integration that the connection will belong to.
	Integration string `json:"integration"`

	// Incarnation is that of the integration, if it was written at run time: see Stored.
	Incarnation string `json:"incarnation,omitempty"`

	// Choices are the integrations that the customer may choose from; Integration is the one that was
	// chosen, or empty. Empty if the session is for one integration.
	Choices []Choice `json:"choices,omitempty"`

	// EndUser and Organization are whom the vendor made the session for.
	EndUser      EndUser      `json:"end_user,omitzero"`
	Organization Organization `json:"organization,omitzero"`

	// ConnectionID is the connection that it will make, chosen beforehand so that no session ever
	// makes two, or the one that it renews.
	ConnectionID string `json:"connection_id"`

	// Reconnect says that it renews a connection.
	Reconnect bool `json:"reconnect,omitempty"`

	// Chosen says that the vendor chose ConnectionID, see Service.OpenSession.
	Chosen bool `json:"chosen,omitempty"`

	// Prefill is what the vendor knows already.
	Prefill Prefill `json:"prefill,omitzero"`

	// ReturnURLs are where the customer's browser goes in the end.
	ReturnURLs ReturnURLs `json:"return_urls,omitzero"`

	// Tags are given to the connection.
	Tags map[string]string `json:"tags,omitempty"`

	// WebhookURL is given to the connection, see Connection.WebhookURL.
	WebhookURL string `json:"webhook_url,omitempty"`

	// Guide is the URL of the guide that the page links to, in place of the integration's own.
	Guide string `json:"guide,omitempty"`

	// Created is when it was made, Expires when it ends unless it is renewed, Limit when it ends
	// however often it is renewed.
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Limit   time.Time `json:"limit"`

	// Succeeded is the connection that it has become, empty before.
	Succeeded string `json:"succeeded,omitempty"`

	// Revoked is when it was revoked, zero if it was not.
	Revoked time.Time `json:"revoked,omitzero"`

	// Typed is what the customer typed last.
	Typed Typed `json:"typed,omitzero"`

	// Attempts are the verifications that were begun.
	Attempts Attempts `json:"attempts,omitzero"`

	// Failed is how the last of them failed, nil if none has.
	Failed *Verification `json:"failed,omitempty"`
}

// Prefill is what a session's page has in its fields from the beginning.
type Prefill struct {
	// ExternalID is the vendor's own External ID for this customer. A customer can never change it,
	// whether or not it is Fixed.
	ExternalID Value `json:"external_id,omitzero"`

	// RoleARN and Region are suggestions, or all that will be accepted.
	RoleARN Value `json:"role_arn,omitzero"`
	Region  Value `json:"region,omitzero"`
}

// Value is a prefilled value.
type Value struct {
	Text string `json:"text"`

	// Fixed says that no other value is accepted.
	Fixed bool `json:"fixed,omitempty"`
}

// refuses says whether the value is fixed and s another one.
func (v Value) refuses(s string) bool { return v.Fixed && s != v.Text }

// ReturnURLs are where a browser is sent from the Connect page. See ReturnList.
type ReturnURLs struct {
	Success string `json:"success,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Typed is what a customer typed, right or wrong.
type Typed struct {
	RoleARN string `json:"role_arn,omitempty"`
	Region  string `json:"region,omitempty"`
}

// tokenPrefix is what tokens begin with, so that scanners for secrets know them.
const tokenPrefix = "aws_connect_session_" //nolint:gosec // what tokens begin with is no token

var tokenGrammar = regexp.MustCompile(`^` + tokenPrefix + `[0-9a-f]{64}$`)

// newToken returns a token of 256 random bits.
func newToken() string {
	b := make([]byte, 32)
	rand.Read(b) // Never fails, says its documentation.
	return tokenPrefix + hex.EncodeToString(b)
}

// IsToken says whether text has the form of a session's token.
func IsToken(text string) bool { return tokenGrammar.MatchString(text) }

// err says why the session can't be used any more.
func (s *Session) err(now time.Time) error {
	switch {
	case !s.Revoked.IsZero():
		return fail(ErrRevoked, "the session was revoked")
	case s.Succeeded != "":
		return fail(ErrUsed, "the session has already made its connection")
	case !now.Before(s.Expires):
		return fail(ErrExpired, "the session has expired")
	}
	return nil
}

// SuccessURL returns where to send the browser of a session that succeeded, with connection_id in the
// query, or "".
func (s *Session) SuccessURL() string {
	return withQuery(s.ReturnURLs.Success, "connection_id", s.Succeeded)
}

// ErrorURL returns where to send the browser of a session that failed, with the error's code in the
// query, or "".
func (s *Session) ErrorURL(code string) string {
	return withQuery(s.ReturnURLs.Error, "error", code)
}

func withQuery(to, name, value string) string {
	u, err := url.Parse(to)
	if to == "" || err != nil {
		return ""
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// NewSession is what the vendor says about a session that it creates.
type NewSession struct {
	// Integration is the key of an integration, which the caller knows to exist.
	Integration string

	// Choices are several of which the customer chooses one, in place of Integration, Prefill and
	// Guide: at most 50.
	Choices []Choice

	// EndUser and Organization are whom it is for. The External ID belongs to the organization if
	// there is one, else to the end user, else to this session alone.
	EndUser      EndUser
	Organization Organization

	// Prefill is what the vendor knows already.
	Prefill Prefill

	// ReturnURLs must be on the operator's list AllowedReturns.
	ReturnURLs     ReturnURLs
	AllowedReturns ReturnList

	// Tags are given to the connection. See CheckTags.
	Tags map[string]string

	// WebhookURL is given to the connection, see Connection.WebhookURL. Empty: a connection that is
	// renewed keeps the one that it has.
	WebhookURL string

	// Guide is the URL of the guide that the page links to, https. Default: the integration's.
	Guide string

	incarnation string // of the integration
}

// check says what is wrong with it, if anything.
func (n *NewSession) check() error {
	for _, check := range []func() error{
		n.checkChoices,
		n.EndUser.Check,
		n.Organization.Check,
		n.Prefill.check,
		func() error { return n.AllowedReturns.check(n.ReturnURLs) },
		func() error { return CheckTags(n.Tags) },
		func() error { return CheckWebhookURL(n.WebhookURL) },
		func() error { return checkOptionalURL("the URL of the guide", n.Guide) },
	} {
		if err := check(); err != nil {
			return invalid(err)
		}
	}
	return nil
}

func checkOptionalURL(name, text string) error {
	if text == "" {
		return nil
	}
	if err := checkWebURL(text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (p Prefill) check() error {
	if p.ExternalID.Text != "" {
		if err := sts.CheckExternalID(p.ExternalID.Text); err != nil {
			return fmt.Errorf("external_id: %w", err)
		}
	}
	if p.RoleARN.Text != "" {
		if err := sts.CheckRoleARN(p.RoleARN.Text); err != nil {
			return fmt.Errorf("role_arn: %w", err)
		}
	}
	if p.Region.Text != "" {
		if _, ok := endpoint.PartitionOf(p.Region.Text); !ok {
			return fmt.Errorf("region: %q is not the name of an AWS region: write one like us-east-1", clip.Text(p.Region.Text))
		}
	}
	for _, f := range []struct {
		name  string
		value Value
	}{{"external_id", p.ExternalID}, {"role_arn", p.RoleARN}, {"region", p.Region}} {
		if f.value.Fixed && f.value.Text == "" {
			return fmt.Errorf("%s is fixed and empty: write its value, or leave it out", f.name)
		}
	}
	return nil
}

// check bounds what a customer may have stored.
func (t Typed) check() error {
	if err := checkText(t.RoleARN, 2048); err != nil {
		return fmt.Errorf("the role ARN %w", err)
	}
	if err := checkText(t.Region, 64); err != nil {
		return fmt.Errorf("the region %w", err)
	}
	return nil
}
