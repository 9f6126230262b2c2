package integration_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestConnectCallsAfterTheEnd: calls on a customer's behalf end with what the vendor or the operator does to
// the connection, whatever was fetched or remembered before; and only those make calls who may.
func TestConnectCallsAfterTheEnd(t *testing.T) {
	const proxySecret, otherProxySecret = "proxy-key-0123456789abcdef", "other-proxy-key-0123456789"
	t.Setenv("PROXY_KEY", proxySecret)
	t.Setenv("OTHER_PROXY_KEY", otherProxySecret)
	var calls atomic.Int32
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=ASIA") || strings.Contains(r.Header.Get("Authorization"), proxySecret) {
			t.Errorf("signed as %q", r.Header.Get("Authorization"))
		}
	}))
	defer up.Close()
	host := strings.TrimPrefix(up.URL, "http://")
	parts := connectParts{
		integration: "base_url " + up.URL + "\nallow_hosts " + host,
		after: "http://<site2> {\nlog\naws_sigv4 connection {\nid {header.Connection-Id}\nintegration {header.Provider-Config-Key}\n" +
			"api_key proxy {env.PROXY_KEY}\napi_key other {env.OTHER_PROXY_KEY} {\nscopes proxy\nintegrations other-s3\n}\ninsecure\n}\n}\n",
	}
	var config string
	b := newAttackedBed(t, parts, func(caddyfile string) string {
		config = strings.Replace(caddyfile, "scopes connect_sessions:write connections:read connections:delete", "scopes connect_sessions:write connections:read connections:update connections:delete", 1)
		return config
	})
	b.secrets = append(b.secrets, proxySecret, otherProxySecret)
	c, token, externalID := b.invite("globex")
	id := b.connect(c, externalID, customerRole)
	call := func(secret, id, integration string, lines ...string) reply {
		t.Helper()
		at := b.ports["<site2>"]
		lines = append(lines, "Authorization: Bearer "+secret, "Connection-Id: "+id, "Provider-Config-Key: "+integration)
		return b.exchangeAt(at, requestText("GET", "/bucket/key", at, "", lines...))
	}
	served := func(what string) {
		t.Helper()
		before := calls.Load()
		if r := call(proxySecret, id, "acme-s3"); r.status != 200 || calls.Load() != before+1 {
			t.Fatalf("%s: %v", what, r)
		}
	}
	refused := func(what string, r reply) {
		t.Helper()
		if r.status < 400 || r.status > 404 || strings.Contains(r.body, externalID) || strings.Contains(r.body, "issued-") {
			t.Errorf("%s: %v", what, r)
		}
	}
	served("at first")
	before := calls.Load()
	none := "00000000-0000-4000-8000-000000000000"
	for what, r := range map[string]reply{
		"a session's token": call(token, id, "acme-s3"), "the API's key": call(connectSecret, id, "acme-s3"), "no key": call("", id, "acme-s3"),
		"another integration": call(proxySecret, id, "other-s3"), "a path": call(proxySecret, "../connections/"+id, "acme-s3"), "capitals": call(proxySecret, strings.ToUpper(id), "acme-s3"),
		"two connections": call(proxySecret, id, "acme-s3", "Connection-Id: "+none), "two integrations": call(proxySecret, id, "acme-s3", "Provider-Config-Key: other-s3"),
		"elsewhere": call(proxySecret, id, "acme-s3", "Base-Url-Override: https://evil.example"), "at a metadata service": call(proxySecret, id, "acme-s3", "Base-Url-Override: http://169.254.169.254"),
		"in another customer's bucket by name": call(proxySecret, id, "acme-s3", "Base-Url-Override: https://evil.execute-api.eu-west-1.amazonaws.com"),
	} {
		refused(what, r)
	}
	theirs, nothing := call(otherProxySecret, id, "acme-s3"), call(otherProxySecret, id, "nothing")
	if refused("another integration's key", theirs); theirs.status != nothing.status || theirs.body != nothing.body {
		t.Errorf("another integration's key is answered %v, and %v where there is nothing", theirs, nothing)
	}
	theirs, nothing = call(otherProxySecret, id, "other-s3"), call(otherProxySecret, none, "other-s3")
	if refused("another integration's connection", theirs); theirs.status != nothing.status || theirs.body != nothing.body {
		t.Errorf("another integration's connection is answered %v, and %v where there is none", theirs, nothing)
	}

	b.api("POST", "/connections/"+id+"/pause", "").expect(t, 200)
	refused("paused", call(proxySecret, id, "acme-s3"))
	b.api("POST", "/connections/"+id+"/resume", "").expect(t, 200)
	if calls.Load() != before {
		t.Errorf("%d calls came through", calls.Load()-before)
	}
	served("resumed")
	b.reload(strings.Replace(config, "base_url "+up.URL, "deny_accounts 444455556666\nbase_url "+up.URL, 1))
	denied := call(proxySecret, id, "acme-s3")
	if refused("denied", denied); !strings.Contains(denied.body, "account_not_allowed") {
		t.Errorf("denied: %v", denied)
	}
	b.reload(config)
	served("allowed again")
	before = calls.Load()
	b.api("DELETE", "/connections/"+id, "").expect(t, 200)
	refused("deleted", call(proxySecret, id, "acme-s3"))
	if calls.Load() != before {
		t.Errorf("%d calls came through", calls.Load()-before)
	}
}
