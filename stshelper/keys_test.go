package stshelper_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

// TestAuthentication: every way to show a secret, and every way to fail at it.
func TestAuthentication(t *testing.T) {
	b := newBed(t, nil)
	for _, tc := range []struct {
		name  string
		lines []string
		key   string // "" for 401
		which int
	}{
		{"API key", []string{"X-Api-Key: " + acmeSecret}, "acme", 1},
		{"its older secret", []string{"X-Api-Key: acme-older-0123456789abcdef"}, "acme", 2},
		{"bearer", []string{"Authorization: Bearer " + acmeSecret}, "acme", 1},
		{"bearer in lower case", []string{"Authorization: bearer " + acmeSecret}, "acme", 1},
		{"verbatim", []string{"Authorization: " + acmeSecret}, "acme", 1},
		{"basic", []string{basic("umbrella", umbSecret)}, "umbrella", 1},
		{"both", []string{"X-Api-Key: " + acmeSecret, basic("umbrella", umbSecret)}, "acme", 1},

		{"nothing", nil, "", 0},
		{"an empty key", []string{"X-Api-Key: "}, "", 0},
		{"an unknown key", []string{"X-Api-Key: " + acmeSecret + "x"}, "", 0},
		{"the beginning of a key", []string{"X-Api-Key: " + acmeSecret[:len(acmeSecret)-1]}, "", 0},
		{"another case", []string{"X-Api-Key: " + strings.ToUpper(acmeSecret)}, "", 0},
		{"the key's name", []string{"X-Api-Key: acme"}, "", 0},
		{"two keys", []string{"X-Api-Key: " + acmeSecret, "X-Api-Key: " + acmeSecret}, "", 0},
		{"two Authorizations", []string{"Authorization: Bearer " + acmeSecret, "Authorization: Bearer " + acmeSecret}, "", 0},
		{"a wrong key with a right Authorization", []string{"X-Api-Key: x", "Authorization: Bearer " + acmeSecret}, "", 0},
		{"a password as a key", []string{"X-Api-Key: " + umbSecret}, "", 0},
		{"user and password as a key", []string{"X-Api-Key: umbrella:" + umbSecret}, "", 0},
		{"a password as bearer", []string{"Authorization: Bearer " + umbSecret}, "", 0},
		{"a key as a password", []string{basic("acme", acmeSecret)}, "", 0},
		{"a key as a password of nobody", []string{basic("", acmeSecret)}, "", 0},
		{"another user", []string{basic("Umbrella", umbSecret)}, "", 0},
		{"another password", []string{basic("umbrella", umbSecret+"x")}, "", 0},
		{"no base64", []string{"Authorization: Basic umbrella:" + umbSecret}, "", 0},
		{"another scheme", []string{"Authorization: Digest " + acmeSecret}, "", 0},
		{"a scheme alone", []string{"Authorization: Bearer"}, "", 0},
		{"in the query", nil, "", 0},
	} {
		path := "/assume-role"
		if tc.name == "in the query" {
			path += "?x-api-key=" + acmeSecret + "&api_key=" + acmeSecret
		}
		before := len(b.audited())
		r := b.do("POST", path, `{"role_arn":"`+acmeRole+`","external_id":"acme:1"}`, append(tc.lines, isJSON)...)
		if n := len(b.audited()); n != before+1 {
			t.Errorf("%s: %d entries, want one", tc.name, n-before)
			continue
		}
		e := b.lastAudited()
		if tc.key == "" {
			r.expect(t, 401, map[string]string{"error": "invalid_api_key", "message": "", "code": ""})
			if e.Outcome != stshelper.Unauthenticated || e.Key != "" {
				t.Errorf("%s: audited %+v", tc.name, e)
			}
			if got := r.header.Get("Www-Authenticate"); !strings.Contains(got, "ApiKey") || !strings.Contains(got, "Basic") {
				t.Errorf("%s: WWW-Authenticate is %q", tc.name, got)
			}
			continue
		}
		r.issued(t)
		if e.Key != tc.key || e.Secret != tc.which || e.Outcome != stshelper.Issued {
			t.Errorf("%s: audited %+v, want key %s", tc.name, e, tc.key)
		}
	}
}

// TestPermissions: what a key may not have is refused before AWS is asked.
func TestPermissions(t *testing.T) {
	b := newBed(t, nil)
	for _, tc := range []struct {
		secret, role, externalID string
		field                    string // "" if it is permitted
	}{
		{acmeSecret, acmeRole, "acme:1", ""},
		{acmeSecret, acmeRole, "acme-exact", ""},
		{acmeSecret, "arn:aws:iam::999999999999:role/acme-x", "acme:1", ""},

		{acmeSecret, umbRole, "acme:1", "role_arn"},
		{acmeSecret, "arn:aws:iam::123456789012:role/Acme-reader", "acme:1", "role_arn"},
		{acmeSecret, "arn:aws:iam::123456789012:role/acme-x/Admin", "acme:1", "role_arn"},
		{acmeSecret, "arn:aws:iam::123456789012:role/x/acme-reader", "acme:1", "role_arn"},
		{acmeSecret, "arn:aws-us-gov:iam::123456789012:role/acme-reader", "acme:1", "role_arn"},
		{acmeSecret, acmeRole, "umbrella:1", "external_id"},
		{acmeSecret, acmeRole, "acme-exact2", "external_id"},
		{acmeSecret, acmeRole, "acme", "external_id"},
		{acmeSecret, acmeRole, "acme:1:2", "external_id"},
		{acmeSecret, acmeRole, "acme:1/2", "external_id"},
		{acmeSecret, acmeRole, "x/acme:1", "external_id"},
		{roSecret, acmeRole, "acme:container", "role_arn"},
	} {
		before := len(b.sts.Calls())
		r := b.assume(tc.secret, tc.role, tc.externalID, "")
		if tc.field == "" {
			r.issued(t)
			continue
		}
		r.expect(t, 403, map[string]string{"error": "not_permitted", "field": tc.field, "message": "~AWS was not asked", "requestId": ""})
		if n := len(b.sts.Calls()) - before; n != 0 {
			t.Errorf("%s with %s: STS was called %d times", tc.role, tc.externalID, n)
		}
		if e := b.lastAudited(); e.Outcome != stshelper.Refused || e.RoleARN != tc.role || e.Status != 403 {
			t.Errorf("audited %+v", e)
		}
	}
}

// TestOptionalExternalID: off means that requests without one go to AWS without one.
func TestOptionalExternalID(t *testing.T) {
	b := newBed(t, func(o *stshelper.Options) {
		o.OptionalExternalID = true
		o.Keys[0].ExternalIDs = nil
	})
	b.do("POST", "/assume-role", `{"role_arn":"`+acmeRole+`"}`, isJSON, "X-Api-Key: "+acmeSecret).issued(t)
	b.assume(acmeSecret, acmeRole, "", "").issued(t)
	calls := b.sts.Calls()
	if len(calls) != 1 || calls[0].Form.Has("ExternalId") {
		t.Errorf("STS was called with %v", calls)
	}
}

// TestPlainHTTP: secrets are taken over plain HTTP only from where nobody listens in.
func TestPlainHTTP(t *testing.T) {
	for _, tc := range []struct {
		remote                 string
		loopback, private, any bool
	}{
		{"127.0.0.1:1", true, true, true},
		{"[::1]:1", true, true, true},
		{"[::ffff:127.0.0.1]:1", true, true, true},
		{"@", true, true, true},
		{"", true, true, true},
		{"10.1.2.3:1", false, true, true},
		{"172.18.0.2:1", false, true, true},
		{"192.168.1.1:1", false, true, true},
		{"100.64.0.1:1", false, true, true},
		{"[fd00::1]:1", false, true, true},
		{"[fe80::1%eth0]:1", false, true, true},
		{"[::ffff:10.1.2.3]:1", false, true, true},
		{"203.0.113.7:1", false, false, true},
		{"172.32.0.1:1", false, false, true},
		{"[2001:db8::1]:1", false, false, true},
		{"nonsense", false, false, true},
	} {
		for mode, want := range map[stshelper.PlainHTTP]bool{
			stshelper.PlainHTTPLoopback: tc.loopback, stshelper.PlainHTTPPrivate: tc.private, stshelper.PlainHTTPAny: tc.any, "": tc.private,
		} {
			for _, secure := range []bool{false, true} {
				o := (&bed{t: t}).options(noCache{})
				o.PlainHTTP = mode
				h, err := stshelper.New(o)
				if err != nil {
					t.Fatal(err)
				}
				r := httptest.NewRequest("POST", "/assume-role", strings.NewReader("{}"))
				r.RemoteAddr = tc.remote
				r.Header.Set("X-Api-Key", acmeSecret)
				r.Header.Set("Content-Type", "application/json")
				if secure {
					r.TLS = new(tls.ConnectionState)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				status := http.StatusForbidden
				if want || secure {
					status = http.StatusBadRequest // It went on, to read the body.
				}
				if w.Code != status {
					t.Errorf("%s, plain_http %q, TLS %v: got %d, want %d", tc.remote, mode, secure, w.Code, status)
				}
			}
		}
	}
}

type noCache struct{}

func (noCache) Get(context.Context, credentials.Identity) (*credentials.Credentials, error) {
	panic("the cache was asked")
}

func (noCache) Renew(context.Context, credentials.Identity, *credentials.Credentials) (*credentials.Credentials, error) {
	panic("the cache was asked")
}

// TestOptionsThatMakeNoSense: each is refused with the field's name and without a secret.
func TestOptionsThatMakeNoSense(t *testing.T) {
	const secret = "a-secret-0123456789"
	good := func() stshelper.Key {
		return stshelper.Key{Name: "k", Secrets: []string{secret}, Roles: []string{"arn:aws:iam::*:role/*"}}
	}
	key := func(change func(*stshelper.Key)) func(*stshelper.Options) {
		return func(o *stshelper.Options) {
			k := good()
			change(&k)
			o.Keys = []stshelper.Key{k}
		}
	}
	for want, change := range map[string]func(*stshelper.Options){
		"keys: there are none":                  func(o *stshelper.Options) { o.Keys = nil },
		"duration: duration 1m0s":               func(o *stshelper.Options) { o.Duration = 60e9 },
		"duration: duration 2h0m0s: AWS limits": func(o *stshelper.Options) { o.Duration = 7200e9; o.Broker.RoleARN = acmeRole },
		"body_limit: -1":                        func(o *stshelper.Options) { o.BodyLimit = -1 },
		`plain_http: "no"`:                      func(o *stshelper.Options) { o.PlainHTTP = "no" },
		`region: "x"`:                           func(o *stshelper.Options) { o.Region = "x" },
		"region: arn:aws:iam::123456789012:role/acme-reader is in": func(o *stshelper.Options) { o.Region = "cn-north-1"; o.Broker.RoleARN = acmeRole },
		`regions[1]: "y"`:                                       func(o *stshelper.Options) { o.Regions = []string{"eu-west-1", "y"} },
		"allow_origins[0]: `*`":                                 func(o *stshelper.Options) { o.AllowOrigins = []string{"*"} },
		`keys[0].name: "a/b"`:                                   key(func(k *stshelper.Key) { k.Name = "a/b" }),
		`keys[0].name: ".."`:                                    key(func(k *stshelper.Key) { k.Name = ".." }),
		`keys[1].name: there are two keys "k"`:                  func(o *stshelper.Options) { o.Keys = []stshelper.Key{good(), good()} },
		`keys[1].secrets[0]: key "l" has a secret of key "k"`:   func(o *stshelper.Options) { l := good(); l.Name = "l"; o.Keys = []stshelper.Key{good(), l} },
		`keys[0].secrets[1]: key "k" has this secret already`:   key(func(k *stshelper.Key) { k.Secrets = []string{secret, secret} }),
		`keys[0].secrets: key "k" has none`:                     key(func(k *stshelper.Key) { k.Secrets = nil }),
		`keys[0].secrets[0]: key "k": the secret has fewer`:     key(func(k *stshelper.Key) { k.Secrets = []string{"1234567"} }),
		`keys[0].secrets[0]: key "k": the secret holds a line`:  key(func(k *stshelper.Key) { k.Secrets = []string{secret + "\n"} }),
		`keys[0].secrets[0]: key "k": the secret holds a blank`: key(func(k *stshelper.Key) { k.Secrets = []string{"a " + secret} }),
		"keys[0].user: it holds a colon":                        key(func(k *stshelper.Key) { k.User = "a:b" }),
		`keys[0].roles: key "k" may ask for none`:               key(func(k *stshelper.Key) { k.Roles = nil }),
		`keys[0].roles[0]: "*" can match no role`:               key(func(k *stshelper.Key) { k.Roles = []string{"*"} }),
		`keys[0].external_ids[0]: "a[b]" can match no`:          key(func(k *stshelper.Key) { k.ExternalIDs = []string{"a[b]"} }),
		`keys[0].external_ids: key "k" has no roles`:            key(func(k *stshelper.Key) { k.Roles = nil; k.Role = acmeRole; k.ExternalIDs = []string{"ab"} }),
		`keys[0].external_id: key "k" has no role`:              key(func(k *stshelper.Key) { k.ExternalID = "ab" }),
		`keys[0].external_id: the role of key "k" has none`:     key(func(k *stshelper.Key) { k.Role = acmeRole }),
		"keys[0].external_id: an External ID has 2 to":          key(func(k *stshelper.Key) { k.Role = acmeRole; k.ExternalID = "a" }),
		"keys[0].role: \"x\" is not the ARN":                    key(func(k *stshelper.Key) { k.Role = "x" }),
		`keys[0].probe: key "k" has no roles`:                   key(func(k *stshelper.Key) { k.Roles = nil; k.Role = acmeRole; k.ExternalID = "ab"; k.Probe = true }),
		"keys[0].session_name: session name":                    key(func(k *stshelper.Key) { k.SessionName = "a b" }),
		`keys[0].tags: the key of the tag "aws:x"`:              key(func(k *stshelper.Key) { k.Tags = []sts.Tag{{Key: "aws:x"}} }),
		"keys[0].role: arn:aws-cn:iam::123456789012:role/acme-r is": func(o *stshelper.Options) {
			key(func(k *stshelper.Key) { k.Role = "arn:aws-cn:iam::123456789012:role/acme-r" })(o)
			o.Broker.RoleARN = acmeRole
		},
	} {
		o := (&bed{t: t}).options(noCache{})
		change(&o)
		_, err := stshelper.New(o)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("the secret is in %v", err)
		}
	}
}
