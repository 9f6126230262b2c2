package sts

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestAnswersOfHelpersAreExplained has the words of aws_sts_helper, and of helpers that say less.
func TestAnswersOfHelpersAreExplained(t *testing.T) {
	const id = "fedcba98-7654-3210-fedc-ba9876543210"
	denied := strings.ReplaceAll(notAuthorized, "\n", " ")
	for name, tc := range map[string]struct {
		status      int
		body        string
		noAuth      bool
		code        string
		why, remedy string
		never       string
		temporary   bool
	}{
		"wrong key":     {status: 401, body: `{"error":"invalid_api_key"}`, code: "invalid_api_key", why: "does not know the key", remedy: "write the one that it knows"},
		"no key":        {status: 401, body: `{"error":"invalid_api_key"}`, noAuth: true, code: "invalid_api_key", why: "nothing was sent to authenticate", remedy: "write api_key"},
		"not permitted": {status: 403, body: `{"error":"not_permitted","field":"role_arn","message":"key a may not ask for this role; AWS was not asked"}`, code: "not_permitted", why: "the helper's own rules do not permit this", remedy: "have its operator grant them", never: "or AWS"},
		"https":         {status: 403, body: `{"error":"https_required","message":"x"}`, code: "https_required", why: "over plain HTTP", remedy: "write https://"},
		"AWS denies": {
			status: 403, body: `{"error":"assume_role_failed","code":"AccessDenied","message":"` + denied + `","requestId":"` + id + `"}`, code: "AccessDenied",
			why: "does not accept this broker with this External ID", remedy: "let Principal name arn:aws:iam::111122223333:role/Broker", never: "mfa_serial",
		},
		"AWS denies, with 500": {status: 500, body: `{"error":"assume_role_failed","code":"AccessDenied","message":"` + denied + `"}`, code: "AccessDenied", why: "this External ID"},
		"tags": {
			status: 403, body: `{"error":"assume_role_failed","code":"AccessDenied","message":"` + strings.Replace(denied, "sts:AssumeRole", "sts:TagSession", 1) + `"}`, code: "AccessDenied",
			why: "does not allow sts:TagSession", remedy: `add "sts:TagSession"`, never: "leave out",
		},
		"duration":          {status: 400, body: `{"error":"assume_role_failed","code":"ValidationError","message":"The requested DurationSeconds exceeds the MaxSessionDuration set for this role."}`, code: "ValidationError", why: "a duration that the role does not allow", never: "write duration"},
		"region off":        {status: 403, body: `{"error":"assume_role_failed","code":"RegionDisabledException","message":"x"}`, code: "RegionDisabledException", why: "STS in the region eu-west-1 is not activated", remedy: "write region", never: "sts_region"},
		"other region":      {status: 400, body: `{"error":"assume_role_failed","field":"region","code":"SignatureDoesNotMatch","message":"Credential should be scoped to a valid region."}`, code: "SignatureDoesNotMatch", why: "serves another region than eu-west-1", remedy: "as region of sts_helper"},
		"broker":            {status: 502, body: `{"error":"assume_role_failed","code":"ExpiredToken","message":"x"}`, code: "ExpiredToken", why: "the helper's own broker", remedy: "ask whoever runs the helper"},
		"broker, no word":   {status: 502, body: `{"error":"assume_role_failed","message":"x"}`, code: "assume_role_failed", why: "the helper's broker has no credentials", remedy: "ask whoever"},
		"no STS":            {status: 502, body: `{"error":"sts_missing_credentials"}`, code: "sts_missing_credentials", why: "gave it no credentials", remedy: "ask whoever"},
		"plain failure":     {status: 500, body: `{"error":"assume_role_failed"}`, code: "assume_role_failed", why: "does not say why", remedy: "compare external_id", temporary: true},
		"away":              {status: 503, body: `{"error":"assume_role_failed","message":"STS did not answer"}`, code: "assume_role_failed", why: "can't reach STS", remedy: "wait", temporary: true},
		"throttled":         {status: 503, body: `{"error":"assume_role_failed","code":"Throttling","message":"x"}`, code: "Throttling", why: "call it less often", remedy: "wait", temporary: true},
		"throttled, as 400": {status: 400, body: `{"code":"Throttling","message":"x"}`, code: "Throttling", why: "call it less often", remedy: "wait", temporary: true},
		"busy":              {status: 429, body: `{"error":"too_many_requests"}`, code: "too_many_requests", why: "less often", remedy: "wait", temporary: true},
		"gateway":           {status: 502, body: `<html>`, why: "does not work at the moment", remedy: "wait", temporary: true},
		"no such path":      {status: 404, body: `{"error":"not_found"}`, code: "not_found", why: "nothing at this path", remedy: "/assume-role"},
		"invalid":           {status: 400, body: `{"error":"invalid_request","field":"region","message":"x"}`, code: "invalid_request", why: "does not take", remedy: "correct role_arn"},
		"forbidden":         {status: 403, body: `{"message":"Forbidden"}`, why: "does not say whether", remedy: "compare role_arn"},
		"redirect":          {status: 302, why: "it redirects", remedy: "write the URL where it is"},
		"no credentials":    {status: 200, body: `{}`, why: "the answer has no access key ID", remedy: "it answers {"},
		"an odd word":       {status: 418, body: `{"error":"teapot"}`, code: "teapot", why: "the helper refuses", remedy: "go by its message"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHelper(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				io.WriteString(w, tc.body)
			})
			cfg := HelperConfig{URL: s.URL}
			if !tc.noAuth {
				cfg.Auth = mustAuth(HelperAPIKey("", "topsecret-key"))
			}
			e := askInVain(t, mustHelperClient(t, cfg))
			x := e.Explain()
			likely := x.Likeliest()
			if x.Code != tc.code || x.Status != tc.status || !strings.Contains(likely.Why, tc.why) || !strings.Contains(likely.Remedy, tc.remedy) {
				t.Errorf("got %+v", x)
			}
			if strings.Contains(tc.body, id) != (x.RequestID == id) {
				t.Errorf("got the request ID %q", x.RequestID)
			}
			text := e.Error()
			for _, c := range x.Causes {
				text += " " + c.String()
			}
			if tc.never != "" && strings.Contains(text, tc.never) || strings.Contains(text, "topsecret") || strings.Contains(text, helperInput.ExternalID) {
				t.Errorf("got %s", text)
			}
			if e.Retryable() != tc.temporary {
				t.Errorf("retryable: %v", e.Retryable())
			}
		})
	}
}

func TestHelpersThatAreAwayAreExplained(t *testing.T) {
	s := newHelper(t, func(http.ResponseWriter, *http.Request) {})
	c := mustHelperClient(t, HelperConfig{URL: s.URL})
	s.Close()
	err := askInVain(t, c)
	x := err.Explain()
	if x.Code != "" || x.Status != 0 || !strings.Contains(x.Likeliest().Why, c.Host()+" can't be reached") || !strings.Contains(x.Message, "refused") {
		t.Errorf("got %+v", x)
	}
	// In a container, this machine is the container.
	if remedy := x.Likeliest().Remedy; !strings.Contains(remedy, "in a container 127.0.0.1 is the container itself") || !strings.Contains(err.Error(), remedy) {
		t.Errorf("%+v, %v", x, err)
	}
}
