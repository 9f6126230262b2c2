package e2e_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

const (
	frontendPublicKey = "1f7bd0e4-6f0c-4b5c-9a1c-0d2f4c8e7a65"
	frontendHMACKey   = "hmac-key-of-32-letters-or-more-00"
)

// frontendRoutes have all that a client library calls below one place. <vendor> is the only origin that is listed.
const frontendRoutes = `
	handle /app/proxy/* {
		aws_sigv4 connection {
			id {header.connection-id}
			integration {header.provider-config-key}
			api_key backend vendor-key-of-32-letters-or-more
			strip_prefix /app/proxy
		}
	}
	handle /app/* {
		aws_connect {
			api_key backend vendor-key-of-32-letters-or-more {
				scopes connect_sessions:write connections:list connections:read
			}
			public_key ` + frontendPublicKey + ` {
				hmac_key ` + frontendHMACKey + `
			}
			allow_origins <vendor>
			frame_ancestors <vendor>
			base_url http://<site>/app
		}
	}`

// TestFrontendLibrary has Chromium use npm's @nangohq/frontend, of which only the addresses are changed, on pages of an origin that is
// listed and of one that is not.
func TestFrontendLibrary(t *testing.T) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		absent.Skip(t, "chromium", "clients/install installs it")
	}
	if _, err := exec.LookPath("node"); err != nil {
		absent.Skip(t, "node", "clients/install installs it")
	}
	if _, err := os.Stat(filepath.Join("browser", "node_modules")); err != nil {
		absent.Skip(t, "playwright-core in browser/node_modules", "clients/install installs it")
	}
	library := filepath.Join("clients", "js", "node_modules", "@nangohq", "frontend", "dist")
	if _, err := os.Stat(library); err != nil {
		absent.Skip(t, "@nangohq/frontend in clients/js/node_modules", "clients/install installs it")
	}
	b := newBed(t)
	vendor, stranger := b.vendorsPage(library), b.vendorsPage(library)
	b.connectTo(connectParts{sts: byBroker, propagation: "off", routes: strings.ReplaceAll(frontendRoutes, "<vendor>", vendor)})

	in, err := json.Marshal(map[string]string{"program": program, "host": "http://" + b.site + "/app", "vendor": vendor, "stranger": stranger, "key": connectKey, "screenshots": os.Getenv("CONNECT_SCREENSHOTS")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute) // Alone it takes a few seconds.
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join("browser", "frontend.mjs"))
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var seen frontendSeen
	if err := json.Unmarshal(out, &seen); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if strings.Contains(string(out), `"broken"`) {
		t.Errorf("%s", out)
	}
	t.Run("auth", seen.Auth.check)
	t.Run("public key", seen.PublicKey.check)
	t.Run("origins", seen.Origins.check)
	t.Run("frame", seen.Frame.check)
	t.Run("sessions that are over", seen.Over.check)
	t.Run("link in a frame", seen.Link.check)
	t.Run("stranger", seen.Stranger.check)
}

// vendorsPage serves a page that has the library, and what the vendor's server does for it. It returns its origin.
func (b *bed) vendorsPage(library string) string {
	b.t.Helper()
	mux := http.NewServeMux()
	mux.Handle("GET /library/", http.StripPrefix("/library/", http.FileServer(http.Dir(library))))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>Settings</title><h1>Settings</h1><script type="module">
			import Nango, {AuthError} from "/library/index.js";
			Object.assign(globalThis, {Nango, AuthError});
		</script>`)
	})
	mux.HandleFunc("POST /backend", b.vendorsServer)
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		b.t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(mux)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	b.t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "http://localhost:" + port
}

// vendorsServer makes a session, or proves something, or plays the customer's AWS account.
func (b *bed) vendorsServer(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Organization, Connection, Prove, Role string
		ExternalID                            string `json:"external_id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		b.t.Error(err)
		return
	}
	answer := map[string]string{}
	switch {
	case ask.Prove != "":
		m := hmac.New(sha256.New, []byte(frontendHMACKey))
		m.Write([]byte(ask.Prove))
		answer["hmac"], answer["public_key"] = hex.EncodeToString(m.Sum(nil)), frontendPublicKey
	case ask.Role != "":
		answer["arn"] = roles + ask.Role
		if err := b.PutRole(standin.Role{ARN: answer["arn"], TrustPolicy: strings.ReplaceAll(askForID, "<id>", ask.ExternalID)}); err != nil {
			b.t.Error(err)
		}
	default:
		path, body := "/app/connect/sessions", fmt.Sprintf(`{"allowed_integrations":["acme-s3"],"organization":{"id":%q}}`, ask.Organization)
		if ask.Connection != "" {
			path, body = path+"/reconnect", fmt.Sprintf(`{"connection_id":%q,"integration_id":"acme-s3"}`, ask.Connection)
		}
		made, err := send(b.site, "POST", path, body, "Authorization: Bearer "+connectKey, "Content-Type: application/json")
		var data struct {
			Data struct {
				Token string
				Link  string `json:"connect_link"`
			}
		}
		if err != nil || json.Unmarshal([]byte(made.body), &data) != nil || data.Data.Token == "" {
			b.t.Errorf("%s: %v %v", path, err, made)
		}
		answer["token"], answer["link"] = data.Data.Token, data.Data.Link
	}
	json.NewEncoder(w).Encode(answer) //nolint:errchkjson // the browser may be gone
}

// frontendSeen is what frontend.mjs prints.
type frontendSeen struct {
	Auth      authSeen
	PublicKey publicKeySeen
	Origins   originsSeen
	Frame     frameSeen
	Over      overSeen
	Link      linkSeen
	Stranger  strangerSeen
}

// authAnswer is what a call of the library has returned, or thrown.
type authAnswer struct {
	ConnectionID      string `json:"connectionId"`
	ProviderConfigKey string `json:"providerConfigKey"`

	Error, Type, Message string
	Ours                 bool
}

func (a authAnswer) expect(t *testing.T, what, connectionID string) {
	t.Helper()
	if a.Error != "" || a.ProviderConfigKey != "acme-s3" || a.ConnectionID == "" || connectionID != "" && a.ConnectionID != connectionID {
		t.Errorf("%s: %+v", what, a)
	}
}

func (a authAnswer) expectError(t *testing.T, what, code string) {
	t.Helper()
	if a.Error != "AuthError" || !a.Ours || a.Type != code {
		t.Errorf("%s: %+v, want %s", what, a, code)
	}
}

type authSeen struct {
	Mismatch, Denied, Invalid, Base, Made, Again, Used, Unknown, Other authAnswer
}

func (s *authSeen) check(t *testing.T) {
	s.Mismatch.expectError(t, "another External ID", "external_id_mismatch")
	s.Denied.expectError(t, "a role that can't be assumed", "aws_sigv4_sts_request_failed")
	s.Invalid.expectError(t, "what is no role", "invalid_body")
	s.Base.expectError(t, "a base URL from the browser", "invalid_query_params")
	s.Made.expect(t, "the role", "")
	s.Again.expect(t, "the same again", s.Made.ConnectionID)
	s.Used.expectError(t, "a session that was used", "session_used")
	s.Unknown.expectError(t, "a token of nobody's", "unknown_connect_session_token")
	s.Other.expectError(t, "another integration", "unknown_provider_config")
	for want, a := range map[string]authAnswer{"assumed": s.Denied, "is not the ARN of a role": s.Invalid, "a browser does not say": s.Base} {
		if !strings.Contains(a.Message, want) {
			t.Errorf("the message is %q, want %q", a.Message, want)
		}
	}
}

type publicKeySeen struct {
	ID           string
	Forged, Made authAnswer
}

func (s *publicKeySeen) check(t *testing.T) {
	s.Forged.expectError(t, "a proof that is none", "invalid_hmac")
	s.Made.expect(t, "the vendor's proof", s.ID)
}

type originsSeen struct {
	Stranger authAnswer
	Calls    map[string]any
	Simple   any
	Session  int
}

func (s *originsSeen) check(t *testing.T) {
	if s.Stranger.Error != "TypeError" {
		t.Errorf("a page that is not listed: %+v", s.Stranger)
	}
	s.Calls["a form"] = s.Simple
	for call, got := range s.Calls {
		if got != "TypeError" {
			t.Errorf("%s is answered with %v, for a page of another origin to read", call, got)
		}
	}
	if s.Session != http.StatusOK || len(s.Calls) < 7 {
		t.Errorf("%+v", s)
	}
}

// frameEvent is a message of the page's.
type frameEvent struct {
	Type, Origin string
	Payload      struct{ ProviderConfigKey, ConnectionID, ErrorType, ErrorMessage string }
}

func eventTypes(events []frameEvent) (all []string) {
	for _, e := range events {
		all = append(all, e.Type)
	}
	return all
}

type frameSeen struct {
	Waiting, Language, Dark string
	Error, Connect          frameEvent
	Stays, Leaked           int
	Events                  []frameEvent
	Entered                 []string
}

func (s *frameSeen) check(t *testing.T) {
	if s.Waiting != "AWS-Konto verbinden" || s.Language != "de" || s.Dark != "rgb(15, 18, 22)" {
		t.Errorf("it is %q in %s on %s", s.Waiting, s.Language, s.Dark)
	}
	if e := s.Error.Payload; e.ErrorType != "assume_role_denied" || e.ErrorMessage == "" {
		t.Errorf("%+v", s.Error)
	}
	if p := s.Connect.Payload; p.ProviderConfigKey != "acme-s3" || p.ConnectionID == "" {
		t.Errorf("%+v", s.Connect)
	}
	if got := eventTypes(s.Events); !slices.Equal(got, []string{"ready", "error", "connect", "error", "close"}) || s.Events[len(s.Events)-2].Payload.ErrorType != "unknown_link" || s.Stays != 1 {
		t.Errorf("it has said %v: %+v", got, s.Events)
	}
	if !slices.Equal(s.Entered, []string{"token", "other"}) || s.Leaked != 0 {
		t.Errorf("it has taken %v, and the token was in %d URLs", s.Entered, s.Leaked)
	}
}

type overSeen struct {
	Error  frameEvent
	Shown  bool
	Light  string
	Events []frameEvent
}

func (s *overSeen) check(t *testing.T) {
	if got := eventTypes(s.Events); s.Error.Payload.ErrorType != "session_revoked" || !slices.Equal(got, []string{"ready", "error", "close"}) || !s.Shown || s.Light != "rgb(245, 246, 248)" {
		t.Errorf("%+v", s)
	}
}

type linkSeen struct {
	Ready  frameEvent
	Events []frameEvent
}

func (s *linkSeen) check(t *testing.T) {
	if got := eventTypes(s.Events); !slices.Equal(got, []string{"ready", "close"}) || !strings.HasPrefix(s.Ready.Origin, "http://127.0.0.1:") {
		t.Errorf("%+v", s)
	}
}

type strangerSeen struct {
	Events  []frameEvent
	Entered []string
	Window  int
}

func (s *strangerSeen) check(t *testing.T) {
	if len(s.Events)+len(s.Entered)+s.Window > 0 {
		t.Errorf("%+v", s)
	}
}
