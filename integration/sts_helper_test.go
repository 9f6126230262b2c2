package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
)

const (
	helperKey    = "helper-key-0123456789abcdef"
	helperOldKey = "older-helper-key-0123456789"
)

// helperSite is a site with a helper; keys go into its block.
func helperSite(before, options string) string {
	return "{\n" + before + "aws_sigv4 {\ncredentials broker " + brokerSource + "\n}\n}\nhttp://<site> {\nlog\nhandle_path /sts/* {\naws_sts_helper {\n" +
		"credentials broker\n" + options + "\n}\n}\naws_sts_helper {\ncredentials broker\n" + options + "\n}\n}\n"
}

var acmeKey = "api_key acme " + helperKey + " " + helperOldKey + " {\nroles arn:aws:iam::*:role/Acme*\nrole " + arn("AcmeAgent") + "\nexternal_id agent:id\nprobe\n}"

func ask(role, externalID string) string {
	b, err := json.Marshal(map[string]string{"role_arn": arn(role), "external_id": externalID, "region": "eu-west-1", "service": "s3"})
	if err != nil {
		panic(err)
	}
	return string(b)
}

var jsonType = "Content-Type: application/json"

// TestHelperServes: in a whole Caddy, at the site's root and below a path, a session is handed out, one and
// the same to all who may have it.
func TestHelperServes(t *testing.T) {
	sts := newSTS(t)
	s := startCaddy(t, helperSite("", acmeKey))
	for _, path := range []string{"/assume-role", "/sts/assume-role"} {
		r := s.do("POST", path, ask("Acme", "acme:1"), jsonType, "x-api-key: "+helperKey)
		r.expect(t, 200, `"accessKeyId":"ASIAACME0"`, `"sessionToken":"token/of+ASIAACME0=="`)
		if got := r.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control is %q", got)
		}
	}
	s.do("POST", "/sts/assume-role", ask("Acme", "acme:1"), jsonType, "Authorization: Bearer "+helperOldKey).expect(t, 200, "ASIAACME0")
	calls := sts.callsFor("Acme")
	if len(calls) != 1 || calls[0].by != "AKIDBROKER" || calls[0].form.Get("RoleSessionName") != "acme" || calls[0].form.Get("ExternalId") != "acme:1" {
		t.Errorf("STS was called with %+v", calls)
	}
	s.get("/sts/health").expect(t, 200, `{"status":"ok","region":"us-east-1"}`)
	s.get("/").expect(t, 404, `"not_found"`)
	s.get("/sts/x").expect(t, 404, `"not_found"`)
	s.get("/assume-role").expect(t, 405, `"method_not_allowed"`)
	s.do("POST", "/assume-role", ask("Other", "acme:1"), jsonType, "X-Api-Key: "+helperKey).expect(t, 403, `"field":"role_arn"`)
	s.do("POST", "/assume-role", ask("Acme", "acme:1"), jsonType).expect(t, 401, `{"error":"invalid_api_key"}`)
	sts.set("AcmeDenied", func(r *role) { r.code = "AccessDenied" })
	s.do("POST", "/assume-role", ask("AcmeDenied", "acme:1"), jsonType, "X-Api-Key: "+helperKey).
		expect(t, 403, `"code":"AccessDenied"`, `"requestId":"r"`, "said the fake STS")
	sts.set("AcmeDown", func(r *role) { r.code = "ServiceUnavailable" })
	s.do("POST", "/assume-role", ask("AcmeDown", "acme:1"), jsonType, "X-Api-Key: "+helperKey).expect(t, 503)

	// A client that waits for 100 Continue is told at once that it may not.
	s.exchange(requestText("POST", "/assume-role", s.addr(), "", "Content-Length: 10", "Expect: 100-continue")).expect(t, 401)
}

// helperLog filters all logs, as documented.
const helperLog = "log {\nformat filter {\nrequest>headers>X-Api-Key delete\nrequest>headers>Authorization delete\n}\n}\n"

// TestHelperAudits: one line a call, with who, what and how it ended, and no secret anywhere in the log, access
// log and error log among it, as long as headers are filtered as documented.
func TestHelperAudits(t *testing.T) {
	sts := newSTS(t)
	s := startCaddyAt(t, "DEBUG", strings.Replace(helperSite("debug\nservers {\nlog_credentials\n}\n"+helperLog, acmeKey), "\nlog\n", "\nlog\nerror /broken 500\n", 1))
	sts.set("AcmeDenied", func(r *role) { r.code = "AccessDenied" })
	s.do("POST", "/assume-role", ask("Acme", "acme:private-id"), jsonType, "X-Api-Key: "+helperKey).expect(t, 200)
	s.do("POST", "/assume-role", ask("Acme", "acme:private-id"), jsonType, "X-Api-Key: "+helperOldKey).expect(t, 200)
	s.do("POST", "/assume-role", ask("Other", "acme:private-id"), jsonType, "X-Api-Key: "+helperKey).expect(t, 403)
	s.do("POST", "/assume-role", ask("AcmeDenied", "acme:private-id"), jsonType, "Authorization: "+helperKey).expect(t, 403)
	s.do("POST", "/assume-role", ask("Acme", "acme:private-id"), jsonType, "X-Api-Key: wrong-key-0123456789").expect(t, 401)
	s.get("/credentials/acme", "Authorization: Bearer "+helperKey).expect(t, 200)
	s.do("POST", "/assume-role", `{"role_arn":7}`, jsonType, "X-Api-Key: "+helperKey).expect(t, 400)

	s.do("POST", "/broken", "", "X-Api-Key: "+helperKey).expect(t, 500)
	s.do("POST", "/broken", "", "Authorization: "+helperKey).expect(t, 500)

	var lines []map[string]any
	log := s.logged()
	for line := range strings.Lines(log) {
		var m map[string]any
		if json.Unmarshal([]byte(line), &m) == nil && m["msg"] == "sts helper call" {
			lines = append(lines, m)
		}
	}
	want := []map[string]any{
		{"outcome": "issued", "key": "acme", "secret": 1., "role_arn": arn("Acme"), "status": 200., "cached": false, "access_key_id": "ASIAACME0", "service": "s3", "region": "eu-west-1", "level": "info"},
		{"outcome": "issued", "key": "acme", "secret": 2., "role_arn": arn("Acme"), "status": 200., "cached": true, "access_key_id": "ASIAACME0"},
		{"outcome": "refused", "key": "acme", "role_arn": arn("Other"), "status": 403., "level": "warn"},
		{"outcome": "denied", "key": "acme", "role_arn": arn("AcmeDenied"), "status": 403., "code": "AccessDenied", "request_id": "r", "level": "warn"},
		{"outcome": "unauthenticated", "status": 401.},
		{"outcome": "issued", "endpoint": "/credentials", "role_arn": arn("AcmeAgent")},
		{"outcome": "invalid", "status": 400., "key": "acme", "client_ip": "127.0.0.1"},
	}
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d", len(lines), len(want))
	}
	for i, fields := range want {
		for name, v := range fields {
			if lines[i][name] != v {
				t.Errorf("line %d: %s is %v, want %v: %v", i, name, lines[i][name], v, lines[i])
			}
		}
	}
	if strings.Count(log, `"logger":"http.log.error`) != 2 {
		t.Error("there is no error log")
	}
	if !strings.Contains(log, `"handled request"`) || !strings.Contains(log, `"user_id":"acme"`) {
		t.Error("the access log does not tell the key's name")
	}
	secrets := []string{helperKey, helperOldKey, "wrong-key-0123456789", "private-id", "broker/secret+key"}
	for _, call := range append(sts.callsFor("Acme"), sts.callsFor("AcmeAgent")...) {
		secrets = append(secrets, "secret/of+"+call.issued, "token/of+"+call.issued+"==")
	}
	for _, secret := range secrets {
		for _, spelled := range spellings(secret) {
			if at := strings.Index(log, spelled); at >= 0 {
				t.Errorf("the log holds %q: %s", spelled, log[max(0, at-300):min(len(log), at+100)])
			}
		}
	}
}

// TestHelperSurvivesReloads: sessions are kept, and what a key may no longer have is refused at once.
func TestHelperSurvivesReloads(t *testing.T) {
	sts := newSTS(t)
	s := startCaddy(t, helperSite("", acmeKey))
	post := func() reply {
		return s.do("POST", "/assume-role", ask("Acme", "acme:1"), jsonType, "X-Api-Key: "+helperKey)
	}
	post().expect(t, 200, "ASIAACME0")
	s.reload(helperSite("", acmeKey) + "# changed\n")
	post().expect(t, 200, "ASIAACME0")
	s.reload(helperSite("", strings.Replace(acmeKey, helperKey+" "+helperOldKey, "another-key-0123456789abcdef", 1)))
	post().expect(t, 401)
	s.reload(helperSite("", strings.Replace(acmeKey, "role/Acme*", "role/AcmeA*", 1)))
	post().expect(t, 403)
	if n := len(sts.callsFor("Acme")); n != 1 {
		t.Errorf("STS was called %d times, want 1", n)
	}
}

// TestHelperServesAWSSDK: the AWS SDK for Go takes its credentials from the helper by the environment
// variables alone, with the secret in a variable and in a file, and says what was wrong if it gets none.
func TestHelperServesAWSSDK(t *testing.T) {
	sts := newSTS(t)
	s := startCaddy(t, helperSite("", acmeKey))
	retrieve := func() (string, error) {
		cfg, err := config.LoadDefaultConfig(context.Background(), config.WithRegion("eu-west-1"))
		if err != nil {
			t.Fatal(err)
		}
		v, err := cfg.Credentials.Retrieve(context.Background())
		if err == nil && (v.SessionToken == "" || !v.CanExpire || time.Until(v.Expires) < 50*time.Minute) {
			t.Errorf("got %+v", v)
		}
		return v.AccessKeyID, err
	}
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://"+s.addr()+"/sts/credentials/acme")
	for _, token := range []string{helperKey, "Bearer " + helperKey} {
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", token)
		if id, err := retrieve(); err != nil || id != "ASIAACMEAGENT0" {
			t.Errorf("got %q, %v", id, err)
		}
	}
	os.Unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN")
	file := filepath.Join(tempDir(t), "token")
	if err := os.WriteFile(file, []byte(helperOldKey), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file)
	if id, err := retrieve(); err != nil || id != "ASIAACMEAGENT0" {
		t.Errorf("got %q, %v", id, err)
	}
	if err := os.WriteFile(file, []byte("wrong-key-0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := retrieve(); err == nil || !strings.Contains(err.Error(), "invalid api key") {
		t.Errorf("got %v", err)
	}
	if n := len(sts.callsFor("AcmeAgent")); n != 1 {
		t.Errorf("STS was called %d times, want 1", n)
	}
}

// TestBadHelpers: mistakes are refused where they are written.
func TestBadHelpers(t *testing.T) {
	key := "api_key a secret-0123456789abcdef {\n%s\n}"
	roles := fmt.Sprintf(key, "roles "+arn("A"))
	for _, tt := range []struct{ name, options, want string }{
		{"nothing", "", "has no key"},
		{"unknown option", roles + "\nrate 5", `unknown option "rate": write one of credentials, duration`},
		{"semicolon", roles + " ; region x", "write each option on a line of its own"},
		{"unknown credentials", roles + "\ncredentials nobody", `there are no credentials named "nobody"`},
		{"credentials of a request", roles + "\ncredentials assume_role " + arn("B") + " {\nsession_name {http.auth.user.id}\n}", "the broker's credentials depend on the request"},
		{"credentials twice", roles + "\ncredentials env\ncredentials env", "credentials is given twice"},
		{"duration", roles + "\nduration 5", "with the unit"},
		{"short duration", roles + "\nduration 5m", "write 15m to 12h"},
		{"long for a chain", roles + "\nduration 2h\ncredentials assume_role " + arn("B"), "duration"},
		{"require_external_id", roles + "\nrequire_external_id maybe", "write on or off"},
		{"region", roles + "\nregion x", "is not the name of an AWS region"},
		{"regions", roles + "\nregions", "needs at least one value"},
		{"ignore_region", roles + "\nignore_region on", "takes no value"},
		{"tags", roles + "\ntag a b\ntag a c", "tag a is given twice"},
		{"tag of AWS", roles + "\ntag aws:a b", "AWS keeps aws: for itself"},
		{"session_name", roles + "\nsession_name a/{key}", "session_name"},
		{"origin", roles + "\nallow_origins *", "every web page"},
		{"plain_http", roles + "\nplain_http no", "write loopback, private or any"},
		{"body_limit", roles + "\nbody_limit x", "is not a size"},
		{"no secret", "api_key a {\nroles " + arn("A") + "\n}", "api_key NAME SECRET"},
		{"no password", "basic_auth a b {\nroles " + arn("A") + "\n}", "basic_auth NAME USER PASSWORD"},
		{"short secret", "api_key a hunter2 {\nroles " + arn("A") + "\n}", "openssl rand -hex 32"},
		{"short secret behind a placeholder", "api_key a {env.HELPER_TEST_SHORT} {\nroles " + arn("A") + "\n}", "keys[0].secrets[0]"},
		{"empty secret", "api_key a {env.HELPER_TEST_NOT_SET} {\nroles " + arn("A") + "\n}", "keys[0]: secrets[0]: {env.HELPER_TEST_NOT_SET} is empty"},
		{"secret of a request", "api_key a {header.X} {\nroles " + arn("A") + "\n}", "needs a request"},
		{"name", "api_key a/b secret-0123456789abcdef {\nroles " + arn("A") + "\n}", "can't be the name of a key"},
		{"a name twice", roles + "\n" + roles, `there are two keys "a"`},
		{"a secret twice", roles + "\n" + strings.Replace(roles, "api_key a", "api_key b", 1), `key "b" has a secret of key "a"`},
		{"no roles", fmt.Sprintf(key, ""), "may ask for no role"},
		{"roles without values", fmt.Sprintf(key, "roles"), "roles needs at least one value"},
		{"role pattern", fmt.Sprintf(key, "roles *"), "can match no role"},
		{"External ID pattern", fmt.Sprintf(key, "roles "+arn("A")+"\nexternal_ids a[b]c"), "can match no External ID"},
		{"a role without an External ID", fmt.Sprintf(key, "role "+arn("A")), "write external_id, or require_external_id off"},
		{"role twice", fmt.Sprintf(key, "role "+arn("A")+"\nrole "+arn("B")), "role is given twice"},
		{"role that is a pattern", fmt.Sprintf(key, "role arn:aws:iam::*:role/A"), "not 12 digits"},
		{"probe with a value", fmt.Sprintf(key, "roles "+arn("A")+"\nprobe on"), "takes no value"},
		{"unknown option of a key", fmt.Sprintf(key, "policy x"), `unknown option "policy": write one of roles, external_ids`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("HELPER_TEST_SHORT", "short")
			err := validate(t, "http://site.example {\naws_sts_helper {\n"+tt.options+"\n}\n}\n")
			wantError(t, err, tt.want)
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "secret-0123456789")) {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
	wantError(t, validate(t, "http://site.example {\naws_sts_helper x {\n"+roles+"\n}\n}\n"), "no arguments")
}

// TestHelperWarns: of secrets that stand in the configuration, of short ones, and of plain HTTP for all.
func TestHelperWarns(t *testing.T) {
	t.Setenv("HELPER_TEST_KEY", "only-16-letters.")
	s := startCaddy(t, "http://<site> {\naws_sts_helper {\ncredentials "+brokerSource+"\nplain_http any\n"+acmeKey+
		"\napi_key short {env.HELPER_TEST_KEY} {\nroles "+arn("A")+"\n}\n}\n}\n")
	for _, warning := range []string{"stands literally in the configuration", "fewer than 24 characters", "plain_http any"} {
		if !strings.Contains(s.logged(), warning) {
			t.Errorf("nothing warns of %q", warning)
		}
	}
	if strings.Contains(s.logged(), "only-16-letters.") || strings.Contains(s.logged(), helperKey) {
		t.Error("a warning holds a secret")
	}
}
