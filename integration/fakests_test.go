package integration_test

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// fakeSTS answers AssumeRole: every call gets an access key of its own, with
// which endpoints verify. It verifies the calls themselves, too.
type fakeSTS struct {
	*wireverify.Server
	t       *testing.T
	brokers *keyring
	ended   chan struct{}

	mu    sync.Mutex
	roles map[string]*role
	calls []stsCall
}

// role is what the fake STS does for a role.
type role struct {
	keys *keyring      // of its sessions
	ttl  time.Duration // of a session; default: an hour
	code string        // of the error to answer, if any
	says string        // the error's message, if not the usual one
	hang bool          // instead of an answer
}

// stsCall is one call of AssumeRole.
type stsCall struct {
	by     string // access key ID
	role   string // the last element of the ARN
	issued string // access key ID
	form   url.Values
}

const brokerSource = "static AKIDBROKER broker/secret+key"

// newSTS starts a fake STS and points the AWS SDK at it.
func newSTS(t *testing.T) *fakeSTS {
	t.Helper()
	f := &fakeSTS{t: t, brokers: &keyring{keys: map[string]wireverify.Key{"AKIDBROKER": {Secret: "broker/secret+key"}}}, roles: map[string]*role{}, ended: make(chan struct{})}
	var err error
	f.Server, err = wireverify.Listen("127.0.0.1:0", nil, f.act)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(f.ended); f.Close() })
	t.Setenv("AWS_ENDPOINT_URL_STS", "http://"+f.Addr())
	return f
}

// set changes what happens to a role.
func (f *fakeSTS) set(name string, change func(r *role)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.role(name))
}

// keys returns the keyring of a role's sessions.
func (f *fakeSTS) keys(name string) *keyring {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.role(name).keys
}

func (f *fakeSTS) role(name string) *role {
	if f.roles[name] == nil {
		f.roles[name] = &role{keys: &keyring{keys: map[string]wireverify.Key{}}, ttl: time.Hour}
	}
	return f.roles[name]
}

// callsFor returns the calls for a role so far, those that failed included.
func (f *fakeSTS) callsFor(name string) []stsCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	var calls []stsCall
	for _, c := range f.calls {
		if c.role == name {
			calls = append(calls, c)
		}
	}
	return slices.Clip(calls)
}

func (f *fakeSTS) act(*wireverify.Request) wireverify.Action {
	return wireverify.Action{Respond: f.respond}
}

func (f *fakeSTS) respond(r *wireverify.Request) wireverify.Response {
	v := &wireverify.Verifier{Key: f.brokers.get}
	s, err := v.Verify(r)
	if err == nil && s.Service != "sts" {
		err = fmt.Errorf("signed for %s", s.Service)
	}
	if err != nil {
		f.t.Errorf("a call to STS: %v", err)
		return stsError(403, "SignatureDoesNotMatch")
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil || form.Get("Action") != "AssumeRole" {
		f.t.Errorf("a call to STS: %q, %v", r.Body, err)
		return stsError(400, "InvalidAction")
	}
	name := path.Base(form.Get("RoleArn"))

	f.mu.Lock()
	does := *f.role(name)
	call := stsCall{by: s.AccessKeyID, role: name, form: form}
	if !does.hang && does.code == "" {
		call.issued = fmt.Sprintf("ASIA%s%d", strings.ToUpper(name), len(f.calls))
	}
	f.calls = append(f.calls, call)
	f.mu.Unlock()

	switch {
	case does.hang:
		<-f.ended
		return stsError(503, "ServiceUnavailable")
	case does.code == "AccessDenied":
		return stsError(403, does.code, does.says)
	case does.code == "ValidationError":
		return stsError(400, does.code, does.says)
	case does.code != "":
		return stsError(503, does.code, does.says)
	}
	key := wireverify.Key{Secret: "secret/of+" + call.issued, Token: "token/of+" + call.issued + "=="}
	does.keys.add(call.issued, key)
	f.brokers.add(call.issued, key) // It may assume another role.
	return wireverify.Response{Headers: []wireverify.Header{{Name: "X-Amzn-Requestid", Value: "r"}}, Body: fmt.Sprintf(
		`<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>`+
			`<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey>`+
			`<SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials>`+
			`</AssumeRoleResult></AssumeRoleResponse>`,
		call.issued, key.Secret, key.Token, time.Now().Add(does.ttl).UTC().Format(time.RFC3339Nano))}
}

func stsError(status int, code string, says ...string) wireverify.Response {
	return wireverify.Response{Status: status, Body: fmt.Sprintf(
		`<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error>`+
			`<RequestId>r</RequestId></ErrorResponse>`, code, cmp.Or(strings.Join(says, ""), "said the fake STS"))}
}

// arn returns the ARN of a role.
func arn(name string) string { return "arn:aws:iam::123456789012:role/" + name }

// brokerAnd returns a global option with the broker and roles that it assumes,
// each named as the role.
func brokerAnd(roles ...string) string {
	text := "aws_sigv4 {\ncredentials broker " + brokerSource + "\n"
	for _, r := range roles {
		text += "credentials " + r + " assume_role " + arn(r) + " {\nfrom broker\nexternal_id id-of-" + r + "\n}\n"
	}
	return text + "}\n"
}
