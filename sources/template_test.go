package sources

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestTemplatesAgreeWithCaddy takes all short values of the characters that matter and compares with
// Caddy's own replacer.
func TestTemplatesAgreeWithCaddy(t *testing.T) {
	repl := caddy.NewEmptyReplacer()
	expand := func(v string) (string, error) { return repl.ReplaceOrErr(v, true, true) }
	// Every placeholder that these characters can spell stands for something.
	names := []string{""}
	for from, depth := 0, 0; depth < 5; depth++ {
		to := len(names)
		for _, n := range names[from:to] {
			for _, c := range `a{}\` {
				names = append(names, n+string(c))
			}
		}
		from = to
	}
	for _, n := range names {
		repl.Set(n, "<"+n+">")
	}
	for _, value := range names {
		want, wantErr := repl.ReplaceOrErr(value, true, true)
		tmpl := template{parse(value)}
		got, err := tmpl.resolve(expand)
		if err != nil || wantErr != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q, %v", value, got, err, want, wantErr)
		}
		if HasPlaceholder(value) != strings.Contains(want, "<") {
			t.Errorf("%q: has a placeholder: %v", value, HasPlaceholder(value))
		}
	}
}

func TestWhatPlaceholdersStandForIsNotExpandedAgain(t *testing.T) {
	t.Setenv("TEST_EVIL", "{env.TEST_SECRET}{http.request.host}")
	t.Setenv("TEST_SECRET", "secret")
	tmpl, err := newTemplate("{env.TEST_EVIL}-{http.request.header.X}")
	if err != nil {
		t.Fatal(err)
	}
	got, err := tmpl.resolve(request(t, map[string]string{
		"http.request.header.X": "{env.TEST_SECRET}{http.request.host}", "http.request.host": "host",
	}))
	if want := "{env.TEST_SECRET}{http.request.host}-{env.TEST_SECRET}{http.request.host}"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestResolveFixed(t *testing.T) {
	dir := t.TempDir()
	file, empty := filepath.Join(dir, "secret"), filepath.Join(dir, "empty")
	for path, text := range map[string]string{file: "from file\n", empty: "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("TEST_SET", "from env")
	t.Setenv("TEST_EMPTY", "")
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		"":                                     "",
		"plain":                                "plain",
		"{env.TEST_SET}":                       "from env",
		"a{env.TEST_SET}b{file." + file + "}c": "afrom envbfrom filec",
		"{system.hostname}":                    hostname,
		`\{env.TEST_SET\}`:                     "{env.TEST_SET}",
		"{open":                                "{open",
	} {
		if got, err := ResolveFixed(value); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", value, got, err, want)
		}
	}
	for value, want := range map[string]string{
		"{env.TEST_EMPTY}":         "{env.TEST_EMPTY} is empty: set the environment variable TEST_EMPTY",
		"x{env.TEST_UNSET}":        "{env.TEST_UNSET} is empty: set the environment variable TEST_UNSET",
		"{file." + empty + "}":     "the file " + empty + " is missing, unreadable or empty",
		"{file." + dir + "/none}":  "the file " + dir + "/none is missing, unreadable or empty",
		"{file." + dir + "}":       "the file " + dir + " is missing, unreadable or empty",
		"{system.nothing}":         "there is no placeholder {system.nothing}",
		"{http.request.host}":      "{http.request.host} needs a request, and there is none: write {env.NAME}",
		"{}":                       "{} needs a request",
		"{time.now.unix}":          "{time.now.unix} needs a request",
		"{env.TEST_SET}{my.thing}": "{my.thing} needs a request",
	} {
		if got, err := ResolveFixed(value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, %v, want %q", value, got, err, want)
		}
	}
}

func TestEmptyInARequestIsAnError(t *testing.T) {
	tmpl := template{parse("a{http.request.header.X}")}
	for name, expand := range map[string]func(string) (string, error){
		"error": func(string) (string, error) { return "", errors.New("unknown") },
		"empty": func(string) (string, error) { return "", nil },
	} {
		if got, err := tmpl.resolve(expand); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestNeedsRequest(t *testing.T) {
	for value, want := range map[string]bool{
		"":                               false,
		"x":                              false,
		"{env.X}{file./x}{system.os}":    false,
		"{http.request.host}":            true,
		"x{env.X}{http.auth.user.id}":    true,
		"{anything}":                     true,
		"{time.now}":                     true,
		`\{http.request.host\}`:          false,
		"{env.X":                         false,
		"{environment}":                  true,
		"{env.{http.request.host}}":      false, // The name of the variable is "{http.request.host".
		"{{env.X}}":                      true,
		"{http.request.host}{unfinished": true,
	} {
		if got := NeedsRequest(value); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func TestCheckIdentityPlaceholders(t *testing.T) {
	for _, p := range []string{
		"http.request.uuid", "time.now", "time.now.unix", "time.now.year", "http.request.remote", "http.request.remote.port",
		"http.request.duration", "http.request.duration_ms", "http.error", "http.error.id", "http.error.status_code", "http.vars.trace_id",
		"http.vars.span_id", "http.vars.uuid", "http.vars.start_time", "http.request.body", "http.request.body_base64", "http.response.header.X",
		"http.reverse_proxy.upstream.latency_ms", "http.reverse_proxy.duration", "http.intercept.status_code",
		"http.request.header.Traceparent", "http.request.header.x-request-id", "http.request.header.X-Amzn-Trace-Id",
	} {
		for _, value := range []string{"{" + p + "}", "a{env.X}{" + p + "}b"} {
			err := CheckIdentityPlaceholders("session_name", value)
			if err == nil || !strings.HasPrefix(err.Error(), "session_name: {"+p+"} is different in every request") {
				t.Errorf("%s: got %v", value, err)
			}
		}
	}
	for _, p := range []string{
		"env.UUID", "file./time", "system.hostname", "http.auth.user.id", "http.request.host", "http.request.remote.host",
		"http.request.remote.host/24", "http.request.header.X-Tenant", "http.vars.tenant", "http.request.tls.client.subject",
		"http.request.host.labels.2", "my.tenant", "tenant", "http.regexp.tenant.1", "http.reverse_proxy.upstream.host",
	} {
		if err := CheckIdentityPlaceholders("session_name", "{"+p+"}"); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	for short, long := range map[string]string{
		"{uuid}": "{http.request.uuid}", "{host}": "{http.request.host}", "{header.X}": "{http.request.header.X}", "{re.a.1}": "{http.regexp.a.1}",
		"{labels.1}": "{http.request.host.labels.1}", "{vars.x}": "{http.vars.x}",
	} {
		err := CheckIdentityPlaceholders("tags.a", short)
		if err == nil || !strings.Contains(err.Error(), "tags.a: "+short+" is a short form") || !strings.HasSuffix(err.Error(), "write "+long) {
			t.Errorf("%s: got %v", short, err)
		}
	}
	for p, ok := range map[string]bool{
		"http.request.header.X": false, "http.request.host": false, "http.request.uri.path.0": false, "http.request.cookie.x": false,
		"http.request.tls.server_name": false, "http.regexp.x.1": false, "http.matchers.file.relative": false,
		"http.vars.client_ip": false, "http.vars.reverse_proxy.proxy_protocol_info": false, "http.aws_sigv4.host": false, "http.aws_sigv4.service": false,
		"http.reverse_proxy.upstream.host": false, "http.reverse_proxy.upstream.hostport": false, "http.url_pattern.pathname.tenant": false,
		"http.auth.http_basic.error": false, "http.auth.user.service": false, "http.unheard.of": false,
		"http.request.tls.client.subject": true, "http.auth.user.id": true, "http.vars.tenant": true, "tenant": true, "env.X": true, "file./x": true,
	} {
		for _, field := range []string{"external_id", "source_identity", "policy"} {
			if err := CheckIdentityPlaceholders(field, "{"+p+"}"); (err == nil) != ok {
				t.Errorf("%s {%s}: got %v", field, p, err)
			}
		}
	}
}
