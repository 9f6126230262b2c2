package sources

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

const helperURL = "https://sts-helper.example.com/assume-role"

func TestCaddyfileOfSTSHelper(t *testing.T) {
	for text, want := range map[string]string{
		"sts_helper " + helperURL + " {\n role_arn " + role + "\n}":                                                                               `{"source":"sts_helper","url":"` + helperURL + `","role_arn":"` + role + `"}`,
		"sts_helper http://localhost:3055/assume-role {\n role_arn arn:aws:iam::123456789012:role/{http.auth.user.id}\n external_id {vars.id}\n}": "",
		"sts_helper {env.URL} {\n role_arn " + role + "\n external_id {env.ID}\n region eu-west-1\n service s3\n api_key {env.KEY} header X-Key\n client_certificate a.pem b.pem\n ca c.pem\n timeout 5s\n insecure\n}": `{"source":"sts_helper","url":"{env.URL}","role_arn":"` + role + `","external_id":"{env.ID}","region":"eu-west-1","service":"s3",` +
			`"api_key":"{env.KEY}","api_key_header":"X-Key","client_certificate":"a.pem","client_key":"b.pem","ca":"c.pem","timeout":5000000000,"insecure":true}`,
		"sts_helper http://helper.example {\n insecure\n basic user {file./run/password}\n role_arn {env.ROLE}\n}": `{"source":"sts_helper","url":"http://helper.example","insecure":true,"basic_user":"user","basic_password":"{file./run/password}","role_arn":"{env.ROLE}"}`,
		"sts_helper " + helperURL + " {\n basic \"\" \"pass word\"\n role_arn " + role + "\n}":                     `{"source":"sts_helper","url":"` + helperURL + `","basic_password":"pass word","role_arn":"` + role + `"}`,
		"sts_helper " + helperURL + " {\n bearer {env.TOKEN}\n role_arn " + role + "\n}":                           `{"source":"sts_helper","url":"` + helperURL + `","bearer_token":"{env.TOKEN}","role_arn":"` + role + `"}`,
	} {
		got, err := adapt(text)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "{vars.id} is a short form") {
				t.Errorf("%s: got %s, %v", text, got, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var g, w any
		if json.Unmarshal([]byte(got), &g) != nil || json.Unmarshal([]byte(want), &w) != nil || !reflect.DeepEqual(g, w) {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestBadCaddyfileOfSTSHelper(t *testing.T) {
	with := func(options string) string {
		return "sts_helper " + helperURL + " {\n role_arn " + role + "\n " + options + "\n}"
	}
	for text, want := range map[string]string{
		"sts_helper":                                       "sts_helper has no value: write it on the same line, at Testfile:1",
		"sts_helper " + helperURL:                          "role_arn: it is missing: write one like",
		"sts_helper a b":                                   "sts_helper has 2 values, and takes 1",
		"sts_helper helper.example":                        "url: the URL does not begin with https:// and a host: write one like https://sts-helper.example.com/assume-role, at Testfile:1",
		"sts_helper https://u:topsecret@x/":                "url: the URL of x holds a user: write it with the option `basic`",
		"sts_helper https://{http.request.host}/":          "url: {http.request.host} is filled by a request, which has no say in this",
		"sts_helper http://x {\n role_arn " + role + "\n}": "url: http to x would send secrets and credentials in clear: write https, or `insecure`",
		"sts_helper http://localhost {\n role_arn " + role + "\n client_certificate a b\n}": "client_certificate: it is shown over https only",
		"sts_helper http://localhost {\n role_arn " + role + "\n ca a\n}":                   "ca: http has no certificates",
		"sts_helper " + helperURL + " {\n role_arn Proxy\n}":                                `role_arn: "Proxy" is not the ARN of a role`,
		"sts_helper " + helperURL + " {\n role_arn \"\"\n}":                                 "role_arn is empty: write a value, or leave the option out, at Testfile:2",
		with("role_arn x"):    "role_arn is given twice: keep one, at Testfile:3",
		with("role x"):        `unknown option "role": write one of role_arn, external_id, region, service, api_key, basic, bearer, client_certificate, ca, timeout, insecure, at Testfile:3`,
		with("from x"):        `unknown option "from"`,
		with("external_id x"): "external_id: an External ID has 2 to 1224 characters",
		with("external_id {http.request.header.X-Id}"): "external_id: {http.request.header.X-Id} is chosen by the client",
		with("external_id {http.request.uuid}"):        "external_id: {http.request.uuid} is different in every request",
		with("region eu-west-1a"):                      `region: "eu-west-1a" is not the name of an AWS region`,
		with("region cn-north-1"):                      "region: " + role + " is in the partition aws and can't be assumed in the region cn-north-1",
		with("region {http.request.header.R}"):         "region: {http.request.header.R} is filled by a request",
		with("service bedrock-runtime"):                "service: ",
		with("api_key"):                                "api_key has no value",
		with("api_key \"\""):                           "api_key is empty",
		with("api_key \"topsecret key\""):              "api_key: the API key holds a blank, a line break or another character that none has: write it alone, at Testfile:3",
		with("api_key topsecret x-key"):                "api_key takes a key, and may be followed by the word header",
		with("api_key topsecret in x-key"):             "api_key takes a key, and may be followed by the word header",
		with("api_key topsecret header \"\""):          "the header's name is empty",
		with("api_key topsecret header Host"):          `api_key: header "Host" has a meaning of its own in HTTP`,
		with("api_key topsecret header a b"):           "api_key has 4 values, and takes 3",
		with("api_key {http.request.header.X-Key}"):    "api_key: {http.request.header.X-Key} is filled by a request",
		with("basic user"):                             "basic has 1 of 2 values",
		with("basic us:er topsecret"):                  "basic_password: the user holds a colon",
		with("basic user \"\""):                        "basic is empty",
		with("bearer topsecret\n api_key topsecret"):   "bearer_token: api_key is given too: write one of the two",
		with("basic a topsecret\n api_key topsecret"):  "basic_password: api_key is given too: write one of the two",
		with("client_certificate a"):                   "client_certificate has 1 of 2 values",
		with("timeout 5"):                              `timeout "5": write up to 15s, with the unit`,
		with("timeout 0s"):                             `timeout "0s": write up to 15s`,
		with("timeout -1s"):                            `timeout "-1s": write up to 15s`,
		with("timeout 16s"):                            "timeout: 16s: write up to 15s, which is the time that a fetch has",
		with("insecure true"):                          "insecure takes no value",
		with("bearer a ; insecure"):                    "`;` is not a separator",
	} {
		got, err := adapt(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\ngot  %s, %v\nwant %s", text, got, err, want)
			continue
		}
		if !regexp.MustCompile(`, at Testfile:\d+$`).MatchString(err.Error()) || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %v has no file and line, or a secret", text, err)
		}
	}
}

func TestBadSTSHelper(t *testing.T) {
	t.Setenv("TEST_HTTP", "http://helper.example/")
	t.Setenv("TEST_KEY", "topsecret key")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const start = `{"source":"sts_helper","url":"` + helperURL + `","role_arn":"` + role + `"`
	for config, want := range map[string]string{
		`{"source":"sts_helper"}`:                                                     "url: it is missing",
		`{"source":"sts_helper","url":"` + helperURL + `"}`:                           "role_arn: it is missing",
		`{"source":"sts_helper","url":"{env.TEST_HTTP}","role_arn":"` + role + `"}`:   "url: http to helper.example would send",
		`{"source":"sts_helper","url":"{env.TEST_UNSET}","role_arn":"` + role + `"}`:  "url: {env.TEST_UNSET} is empty",
		`{"source":"sts_helper","url":"` + helperURL + `","role_arn":"{uuid}"}`:       "role_arn: {uuid} is a short form",
		start + `,"api_key":"{env.TEST_KEY}"}`:                                        "api_key: the API key holds a blank",
		start + `,"api_key":"{env.TEST_UNSET}"}`:                                      "api_key: {env.TEST_UNSET} is empty: set the environment variable TEST_UNSET",
		start + `,"api_key":"{http.request.header.X}"}`:                               "api_key: {http.request.header.X} is filled by a request",
		start + `,"api_key_header":"x-key"}`:                                          "api_key: there is a header for it, and no key",
		start + `,"basic_user":"user"}`:                                               "basic_password: there is a user, and no password",
		start + `,"client_key":"x.pem"}`:                                              "client_certificate: there is a key, and no certificate",
		start + `,"client_certificate":"x.pem"}`:                                      "client_key: there is a certificate, and no key",
		start + `,"client_certificate":"/nonexistent","client_key":"/nonexistent"}`:   "client_certificate: open /nonexistent",
		start + `,"client_certificate":"` + empty + `","client_key":"` + empty + `"}`: "client_certificate: tls: failed to find any PEM data",
		start + `,"ca":"/nonexistent"}`:                                               "ca: open /nonexistent",
		start + `,"ca":"` + empty + `"}`:                                              "ca: there is no certificate in PEM in " + empty,
		start + `,"basic_password":"topsecret","bearer_token":"topsecret"}`:           "bearer_token: basic_password is given too",
		start + `,"timeout":"1h"}`:                                                    "timeout: 1h0m0s: write up to 15s",
		start + `,"timeout":"-1s"}`:                                                   "timeout: -1s: write up to 15s",
		start + `,"from":"default"}`:                                                  `unknown field "from"`,
	} {
		if _, err := load(t, config); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s:\ngot  %v\nwant %s", config, err, want)
		}
	}
}

// helper answers questions with a session named after the role, and keeps the last question.
type helper struct {
	*httptest.Server
	header http.Header
	got    map[string]string
}

func newHelper(t *testing.T) *helper {
	t.Helper()
	h := &helper{}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.header, h.got = r.Header, nil
		if err := json.NewDecoder(r.Body).Decode(&h.got); err != nil {
			t.Error(err)
		}
		_, name, _ := strings.Cut(h.got["role_arn"], "role/")
		fmt.Fprintf(w, `{"credentials":{"access_key_id":"ASIA%s","secret_access_key":"secret","session_token":"token","expires_at":%d}}`, name, time.Now().Add(time.Hour).Unix())
	}))
	h.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(h.Close)
	return h
}

func TestSTSHelper(t *testing.T) {
	cleanEnvironment(t)
	h := newHelper(t)
	h.Start()
	t.Setenv("TEST_KEY", "topsecret")
	t.Setenv("TEST_URL", h.URL)
	for config, want := range map[string]struct{ region, service, id, header, value string }{
		`"url":"{env.TEST_URL}/assume-role","api_key":"{env.TEST_KEY}"`:                                  {"us-east-1", "sts", "", "X-Api-Key", "topsecret"},
		`"url":"{env.TEST_URL}","external_id":"{env.TEST_KEY}","region":"eu-west-1","service":"s3"`:      {"eu-west-1", "s3", "topsecret", "Authorization", ""},
		`"url":"{env.TEST_URL}","basic_user":"u","basic_password":"{env.TEST_KEY}","external_id":"ab:c"`: {"us-east-1", "sts", "ab:c", "Authorization", "Basic dTp0b3BzZWNyZXQ="},
		`"url":"{env.TEST_URL}","bearer_token":"{env.TEST_KEY}","timeout":"3s"`:                          {"us-east-1", "sts", "", "Authorization", "Bearer topsecret"},
	} {
		source := mustLoad(t, `{"source":"sts_helper","role_arn":"`+role+`",`+config+`}`)
		id := mustIdentity(t, source, nil)
		got, err := fetch(t, id)
		if err != nil || got.Value != (sigv4.Credentials{AccessKeyID: "ASIAProxy", SecretAccessKey: "secret", SessionToken: "token"}) || time.Until(got.Expires) > time.Hour || time.Until(got.Expires) < 59*time.Minute {
			t.Errorf("%s: got %v, %v", config, got, err)
		}
		if asked := map[string]string{"role_arn": role, "external_id": want.id, "region": want.region, "service": want.service}; !reflect.DeepEqual(h.got, asked) || h.header.Get(want.header) != want.value {
			t.Errorf("%s: asked %v with %v, want %v", config, h.got, h.header, asked)
		}
		if host := strings.TrimPrefix(h.URL, "http://"); id.Label != "sts_helper "+role+" (from "+host+")" || id.RoleARN != role || id.From != nil || source.PerRequest() {
			t.Errorf("%s: got %+v", config, id)
		}
	}
	china := mustIdentity(t, mustLoad(t, `{"source":"sts_helper","url":"{env.TEST_URL}","role_arn":"arn:aws-cn:iam::123456789012:role/Proxy"}`), nil)
	if _, err := fetch(t, china); err != nil || h.got["region"] != "cn-northwest-1" {
		t.Errorf("China: asked %v, %v", h.got, err)
	}
}

// TestRegionThatSTSHelpersAreTold: it is the environment's where that can be, as for assume_role.
func TestRegionThatSTSHelpersAreTold(t *testing.T) {
	shared := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(shared, []byte("[default]\nregion = eu-north-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const china = "arn:aws-cn:iam::123456789012:role/Proxy"
	for name, tc := range map[string]struct{ variable, file, role, option, want string }{
		"nothing said":      {role: role, want: "us-east-1"},
		"variable":          {variable: "eu-west-1", file: shared, role: role, want: "eu-west-1"},
		"file":              {file: shared, role: role, want: "eu-north-1"},
		"option":            {variable: "eu-west-1", role: role, option: `,"region":"us-west-2"`, want: "us-west-2"},
		"another partition": {variable: "eu-west-1", role: china, want: "cn-northwest-1"},
		"its partition":     {variable: "cn-north-1", role: china, want: "cn-north-1"},
		"no region":         {variable: "nowhere", role: role, want: "us-east-1"},
		"no file":           {file: filepath.Join(t.TempDir(), "none"), role: role, want: "us-east-1"},
	} {
		t.Run(name, func(t *testing.T) {
			cleanEnvironment(t)
			if tc.variable != "" {
				t.Setenv("AWS_REGION", tc.variable)
			}
			if tc.file != "" {
				t.Setenv("AWS_CONFIG_FILE", tc.file)
			}
			h := newHelper(t)
			h.Start()
			source := mustLoad(t, `{"source":"sts_helper","url":"`+h.URL+`","role_arn":"`+tc.role+`"`+tc.option+`}`)
			if _, err := fetch(t, mustIdentity(t, source, nil)); err != nil || h.got["region"] != tc.want {
				t.Errorf("asked %v, %v, want %s", h.got, err, tc.want)
			}
		})
	}
}

// TestRolesOfRequestsFromSTSHelper: what a request fills in is checked before the helper is asked.
func TestRolesOfRequestsFromSTSHelper(t *testing.T) {
	h := newHelper(t)
	h.Start()
	source := mustLoad(t, `{"source":"sts_helper","url":"`+h.URL+`","role_arn":"arn:aws:iam::123456789012:role/{http.auth.user.id}","external_id":"{http.vars.id}"}`)
	if !source.PerRequest() {
		t.Error("it does not depend on the request")
	}
	if got, want := source.(credentials.Fields).IdentityFields(), []credentials.Field{{Name: "role_arn", Value: "arn:aws:iam::123456789012:role/{http.auth.user.id}"}, {Name: "external_id", Value: "{http.vars.id}"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	a := mustIdentity(t, source, request(t, map[string]string{"http.auth.user.id": "alice", "http.vars.id": "id-a"}))
	b := mustIdentity(t, source, request(t, map[string]string{"http.auth.user.id": "bob", "http.vars.id": "id-b"}))
	again := mustIdentity(t, source, request(t, map[string]string{"http.auth.user.id": "alice", "http.vars.id": "id-a"}))
	if a.Key == b.Key || a.Key != again.Key || b.RoleARN != "arn:aws:iam::123456789012:role/bob" {
		t.Errorf("got %v, %v, %v", a, b, again)
	}
	if got, err := fetch(t, b); err != nil || got.Value.AccessKeyID != "ASIAbob" || h.got["external_id"] != "id-b" {
		t.Errorf("got %v, %v; asked %v", got, err, h.got)
	}
	for want, values := range map[string]map[string]string{
		"role_arn: ":                      {"http.auth.user.id": "a b", "http.vars.id": "id-a"},
		"external_id: an External ID":     {"http.auth.user.id": "alice", "http.vars.id": "a b"},
		"external_id: {http.vars.id}":     {"http.auth.user.id": "alice"},
		"role_arn: evaluated placeholder": {"http.auth.user.id": "", "http.vars.id": "id-a"},
	} {
		if _, err := source.Identity(request(t, values)); err == nil || !strings.HasPrefix(err.Error(), want) && !strings.Contains(err.Error(), "unrecognized placeholder") {
			t.Errorf("%v: got %v, want %s", values, err, want)
		}
	}
	if _, err := source.Identity(nil); err == nil {
		t.Error("an identity without a request")
	}
}

// TestKeysOfSTSHelpers: identities that differ in anything share nothing.
func TestKeysOfSTSHelpers(t *testing.T) {
	ca, cert, key := certificateFiles(t)
	_, cert2, key2 := certificateFiles(t)
	seen := map[string]string{}
	for _, config := range []string{
		`"url":"https://a/"`, `"url":"https://a/?x"`, `"url":"https://b/"`,
		`"url":"https://a/","external_id":"ab"`, `"url":"https://a/","external_id":"abc"`,
		`"url":"https://a/","region":"eu-west-1"`, `"url":"https://a/","service":"s3"`,
		`"url":"https://a/","api_key":"k"`, `"url":"https://a/","api_key":"k2"`, `"url":"https://a/","api_key":"k","api_key_header":"authorization"`,
		`"url":"https://a/","bearer_token":"k"`, `"url":"https://a/","basic_password":"k"`, `"url":"https://a/","basic_user":"u","basic_password":"k"`,
		`"url":"https://a/","timeout":"5s"`, `"url":"https://a/","insecure":true`, `"url":"https://a/","ca":"` + ca + `"`,
		`"url":"https://a/","client_certificate":"` + cert + `","client_key":"` + key + `"`,
		`"url":"https://a/","client_certificate":"` + cert2 + `","client_key":"` + key2 + `"`,
	} {
		config = `{"source":"sts_helper","role_arn":"` + role + `",` + config + `}`
		id := mustIdentity(t, mustLoad(t, config), nil)
		if other, ok := seen[id.Key]; ok {
			t.Errorf("%s and %s have one key", config, other)
		}
		seen[id.Key] = config
		if again := mustIdentity(t, mustLoad(t, config), nil); again.Key != id.Key {
			t.Errorf("%s: two keys", config)
		}
	}
	// A certificate that was renewed in the meantime is another identity after a reload.
	config := `{"source":"sts_helper","role_arn":"` + role + `","url":"https://a/","client_certificate":"` + cert + `","client_key":"` + key + `"}`
	before := mustIdentity(t, mustLoad(t, config), nil)
	for from, to := range map[string]string{cert2: cert, key2: key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if after := mustIdentity(t, mustLoad(t, config), nil); after.Key == before.Key {
		t.Error("another certificate has the same key")
	}
}

// certificateFiles writes a certificate for this machine that issued itself, as CA and as its own.
func certificateFiles(t *testing.T) (ca, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, cert, key
}

func TestSTSHelperOverMutualTLS(t *testing.T) {
	serverCA, serverCert, serverKey := certificateFiles(t)
	_, cert, key := certificateFiles(t)
	clients := x509.NewCertPool()
	load := func() {
		text, err := os.ReadFile(cert)
		if err != nil || !clients.AppendCertsFromPEM(text) {
			t.Fatal(err)
		}
	}
	load()
	h := newHelper(t)
	own, err := tls.LoadX509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	h.TLS = &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	h.StartTLS()
	base := `{"source":"sts_helper","role_arn":"` + role + `","url":"` + h.URL + `"`
	source := mustLoad(t, base+`,"ca":"`+serverCA+`","client_certificate":"`+cert+`","client_key":"`+key+`"}`)
	if _, err := fetch(t, mustIdentity(t, source, nil)); err != nil {
		t.Fatal(err)
	}
	for config, want := range map[string]string{
		base + `,"ca":"` + serverCA + `"}`:                                        "does it ask for a client certificate?",
		base + `,"client_certificate":"` + cert + `","client_key":"` + key + `"}`: "write `ca FILE`",
	} {
		if _, err := fetch(t, mustIdentity(t, mustLoad(t, config), nil)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", config, err, want)
		}
	}
	// The certificate is renewed: the next connection shows the new one, without a reload.
	_, cert2, key2 := certificateFiles(t)
	for from, to := range map[string]string{cert2: cert, key2: key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	load()
	h.CloseClientConnections()
	if _, err := fetch(t, mustIdentity(t, source, nil)); err != nil {
		t.Errorf("after it was renewed: %v", err)
	}
}

func TestFailuresOfSTSHelpersAreTemporaryOrNot(t *testing.T) {
	for status, temporary := range map[int]bool{401: false, 403: false, 400: false, 404: false, 302: false, 200: false, 429: true, 500: true, 503: true} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		_, err := fetch(t, mustIdentity(t, mustLoad(t, `{"source":"sts_helper","role_arn":"`+role+`","url":"`+s.URL+`"}`), nil))
		s.Close()
		if e, ok := err.(*credentials.Error); !ok || e.Temporary() != temporary { //nolint:errorlint // Get returns nothing else.
			t.Errorf("%d: got %v, want temporary: %v", status, err, temporary)
		}
	}
}

func TestLogsOfSTSHelperHaveNoSecret(t *testing.T) {
	t.Setenv("TEST_KEY", "topsecret")
	for _, config := range []string{
		`,"api_key":"{env.TEST_KEY}","external_id":"topsecret"}`, `,"basic_user":"topsecret","basic_password":"topsecret"}`, `,"bearer_token":"topsecret"}`,
	} {
		s := mustLoad(t, `{"source":"sts_helper","role_arn":"`+role+`","url":"https://helper.example:3055/x?key=topsecret"`+config)
		enc := zapcore.NewMapObjectEncoder()
		if err := s.(zapcore.ObjectMarshaler).MarshalLogObject(enc); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprint(enc.Fields, mustIdentity(t, s, nil).Label)
		if strings.Contains(text, "topsecret") || !strings.Contains(text, role) || !strings.Contains(text, "helper.example:3055") {
			t.Errorf("%s: logged as %s", config, text)
		}
	}
	if err := new(STSHelper).MarshalLogObject(zapcore.NewMapObjectEncoder()); err != nil {
		t.Error(err)
	}
}

func TestLiteralSecretsOfSTSHelperAreWarnedOf(t *testing.T) {
	t.Setenv("TEST_KEY", "topsecret")
	for option, literal := range map[string]bool{
		`"api_key":"literal"`: true, `"basic_password":"literal"`: true, `"bearer_token":"literal"`: true,
		`"api_key":"{env.TEST_KEY}"`: false, `"basic_password":"{env.TEST_KEY}"`: false, `"bearer_token":"{env.TEST_KEY}"`: false, `"region":"us-east-1"`: false,
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		stderr := os.Stderr
		os.Stderr = w
		_, err = load(t, `{"source":"sts_helper","role_arn":"`+role+`","url":"https://a/",`+option+`}`)
		os.Stderr = stderr
		w.Close()
		out, readErr := io.ReadAll(r)
		if err != nil || readErr != nil {
			t.Fatal(err, readErr)
		}
		if got := strings.Contains(string(out), "stands literally in the configuration"); got != literal || strings.Contains(string(out), `"literal"`) {
			t.Errorf("%s: warned: %v: %s", option, got, out)
		}
	}
}
