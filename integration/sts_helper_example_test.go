package integration_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestHelperExample runs the example as it is, with the variables of the service that it takes the place of.
func TestHelperExample(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "examples", "sts-helper", "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	sts := newSTS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDBROKER")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "broker/secret+key")
	t.Setenv("STS_SHARED_API_KEY", helperKey)

	listens := func() string {
		config, err := adapt(string(text))
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Apps struct {
				HTTP struct {
					Servers map[string]struct{ Listen []string }
				}
			}
		}
		if err := json.Unmarshal(config, &c); err != nil {
			t.Fatal(err)
		}
		return strings.Join(c.Apps.HTTP.Servers["srv0"].Listen, " ")
	}
	if got := listens(); got != ":3055" {
		t.Errorf("it listens on %s, want :3055", got)
	}
	t.Setenv("PORT", "3000")
	if got := listens(); got != ":3000" {
		t.Errorf("with PORT=3000 it listens on %s", got)
	}

	config := strings.Replace(string(text), ":{$PORT:3055}", "<port>", 1)
	s := startCaddy(t, strings.Replace(config, "\taws_sts_helper {", "error /broken 500\naws_sts_helper {", 1))
	s.get("/health").expect(t, 200, `{"status":"ok","region":"us-east-1"}`)
	s.do("POST", "/assume-role", ask("Acme", "acme:1"), jsonType, "x-api-key: "+helperKey).expect(t, 200, `"expiresAt":"20`)
	s.do("POST", "/assume-role", strings.Replace(ask("Acme", "acme:1"), "role/", "role/sts-helper/", 1), jsonType, "x-api-key: "+helperKey).expect(t, 200)
	s.do("POST", "/assume-role", ask("Acme", "acme:1"), jsonType, "x-api-key: wrong-key-0123456789").expect(t, 401, "invalid_api_key")
	s.do("POST", "/assume-role", ask("Acme", ""), jsonType, "x-api-key: "+helperKey).expect(t, 400, `"field":"external_id"`)
	if calls := sts.callsFor("Acme"); len(calls) != 2 || calls[0].form.Get("RoleSessionName") != "shared" {
		t.Errorf("STS was called with %+v", calls)
	}
	s.do("POST", "/broken", "", "X-Api-Key: "+helperKey).expect(t, 500)
	if all := s.logged(); !strings.Contains(all, "handled request") || !strings.Contains(all, "http.log.error") || strings.Contains(all, helperKey) || strings.Contains(all, "wrong-key") {
		t.Errorf("the logs hold a key, or nothing: %s", all)
	}

	t.Setenv("STS_ALLOWED_ROLES", arn("Only"))
	s.reload(config)
	s.do("POST", "/assume-role", ask("Acme", "acme:1"), jsonType, "x-api-key: "+helperKey).expect(t, 403, "not_permitted")
	s.do("POST", "/assume-role", ask("Only", "acme:1"), jsonType, "x-api-key: "+helperKey).expect(t, 200)
	t.Setenv("STS_SHARED_API_KEY", "")
	wantError(t, validate(t, string(text)), "set the environment variable STS_SHARED_API_KEY")
}

// TestHelperComposeFile: the compose file passes on every variable that the Caddyfile reads, and publishes
// the port on this machine alone.
func TestHelperComposeFile(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("..", "examples", "sts-helper", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	compose, caddyfile := read("compose.yaml"), read("Caddyfile")
	var variables []string
	for _, m := range regexp.MustCompile(`\{(?:\$|env\.)([A-Z0-9_]+)`).FindAllStringSubmatch(caddyfile, -1) {
		variables = append(variables, m[1])
	}
	for _, v := range []string{"PORT", "AWS_REGION", "STS_SHARED_API_KEY", "STS_ALLOWED_ROLES"} {
		if !slices.Contains(variables, v) {
			t.Errorf("the Caddyfile does not read %s", v)
		}
	}
	variables = append(variables, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") // The AWS SDK reads these.
	for _, v := range variables {
		if !strings.Contains(compose, "\n      "+v+": \"${"+v+":") {
			t.Errorf("%s is not passed on", v)
		}
	}
	if !strings.Contains(compose, `"127.0.0.1:${PORT:-3055}:${PORT:-3055}"`) {
		t.Error("the port is not published on this machine alone")
	}
	// Each file that the other two name is there.
	if !strings.Contains(compose, "dockerfile: examples/sts-helper/Dockerfile") || !strings.Contains(read("Dockerfile"), "examples/sts-helper/Caddyfile") {
		t.Error("the files don't name each other")
	}
}
