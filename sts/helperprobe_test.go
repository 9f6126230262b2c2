package sts

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestHelperProbes: the helper's word is taken for what a probe found out, cleaned of secrets, and a helper
// that makes another probe is asked again.
func TestHelperProbes(t *testing.T) {
	in := HelperInput{RoleARN: "arn:aws:iam::123456789012:role/Acme", ExternalID: "acme:0123456789", Region: "eu-west-1", Service: "s3"}
	answers := map[string]struct {
		status  int
		body    string
		outcome Outcome
		want    string
	}{
		"proven":   {200, `{"outcome":"proven","reason":"only the right External ID was accepted","steps":[{"sent":"right","answer":"granted"},{"sent":"wrong","answer":"denied","code":"AccessDenied","requestId":"r-1"}]}`, Proven, "only the right"},
		"open":     {200, `{"outcome":"open","reason":"without acme:0123456789 too, says key-0123456789"}`, Open, "without [redacted] too, says [redacted]"},
		"nonsense": {200, `{"outcome":"fine"}`, "", "does not say how the probe ended"},
		"no JSON":  {200, `<html>`, "", "does not say how the probe ended"},
		"refused":  {403, `{"error":"not_permitted","message":"key acme may not probe"}`, "", "may not probe"},
	}
	for name, tt := range answers {
		t.Run(name, func(t *testing.T) {
			var busy atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/sts/probe-external-id" || r.Method != http.MethodPost || r.Header.Get("X-Api-Key") != "key-0123456789" {
					t.Errorf("asked %s %s with %v", r.Method, r.URL, r.Header)
				}
				if busy.Add(1) == 1 && name == "proven" {
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			}))
			defer server.Close()
			auth, err := HelperAPIKey("", "key-0123456789")
			if err != nil {
				t.Fatal(err)
			}
			c, err := NewHelperClient(HelperConfig{URL: server.URL + "/sts/assume-role", Auth: auth})
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Probe(t.Context(), in)
			if tt.outcome == "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if err != nil || got.Outcome != tt.outcome || !strings.Contains(got.Reason, tt.want) {
				t.Errorf("got %+v, %v", got, err)
			}
			if name == "proven" && (len(got.Steps) != 2 || got.Steps[1] != ProbeStep{"wrong", "denied", "AccessDenied", "r-1"}) {
				t.Errorf("got the steps %+v", got.Steps)
			}
			if name == "proven" && busy.Load() != 2 {
				t.Errorf("asked %d times, want 2", busy.Load())
			}
		})
	}
}
