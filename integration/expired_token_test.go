package integration_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// refusing starts an endpoint that verifies every request and then refuses, with
// that answer, those that are signed with an access key that refused names.
func refusing(t *testing.T, tls bool, keys *keyring, answer wireverify.Response, refused func(keyID string) bool) *endpoint {
	t.Helper()
	var up *endpoint
	decide := func(*wireverify.Request) (wireverify.Action, bool) {
		return wireverify.Action{Respond: func(r *wireverify.Request) wireverify.Response {
			s, err := up.verify(r)
			switch {
			case err != nil:
				return wireverify.Response{Status: 403, Body: "SignatureDoesNotMatch: " + err.Error()}
			case refused(s.AccessKeyID):
				return answer
			}
			return wireverify.Response{Body: s.AccessKeyID}
		}}, true
	}
	if tls {
		up = newTLSEndpoint(t, keys, decide)
	} else {
		up = newEndpoint(t, keys, decide)
	}
	return up
}

// first is the access key of the first session that the fake STS issues.
func first(keyID string) bool { return keyID == "ASIAROLE0" }

func always(string) bool { return true }

// xmlError is how S3 says it.
func xmlError(status int, code string) wireverify.Response {
	return wireverify.Response{Status: status, Headers: []wireverify.Header{{Name: "Content-Type", Value: "application/xml"}}, Body: fmt.Sprintf(
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>The provided token has expired.</Message>"+
			"<Token-0>IQoJ%s</Token-0><RequestId>R</RequestId></Error>", code, strings.Repeat("x", 900))}
}

func jsonError(status int, body string, headers ...wireverify.Header) wireverify.Response {
	return wireverify.Response{Status: status, Headers: append(headers,
		wireverify.Header{Name: "Content-Type", Value: "application/x-amz-json-1.0"}, wireverify.Header{Name: "x-amzn-RequestId", Value: "R"}), Body: body}
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.String()
}

// withTransport are the styles in which a transport of ours sends.
var withTransport = []string{"transport", "short form", "handler and transport"}

// TestRefusedTokensAreRenewedOnce: however AWS says that it does not know the
// session any more, the client notices nothing, and whatever its body was
// arrives whole, signed anew.
func TestRefusedTokensAreRenewedOnce(t *testing.T) {
	answers := map[string]wireverify.Response{
		"S3":                     xmlError(400, "ExpiredToken"),
		"S3, session to refresh": xmlError(400, "TokenRefreshRequired"),
		"S3, unknown key":        xmlError(403, "InvalidAccessKeyId"),
		"S3, bad token":          xmlError(400, "InvalidToken"),
		"EC2":                    xmlError(400, "RequestExpired"),
		"DynamoDB":               jsonError(400, `{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"The security token included in the request is expired"}`),
		"DynamoDB, gzip": jsonError(400, gzipped(`{"__type":"com.amazon.coral.service#ExpiredTokenException"}`),
			wireverify.Header{Name: "Content-Encoding", Value: "gzip"}),
		"DynamoDB, unknown key": jsonError(400, `{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"The security token included in the request is invalid."}`),
		"Lambda": jsonError(403, `{"message":"The security token included in the request is expired"}`,
			wireverify.Header{Name: "x-amzn-ErrorType", Value: "ExpiredTokenException:http://internal.amazon.com/coral/"}),
		"OpenSearch": jsonError(403, `{"message":"The security token included in the request is expired"}`),
	}
	large := strings.Repeat("body", 25_000)
	bodies := map[string]func(s *server) string{
		"no body":   func(s *server) string { return requestText("GET", "/key", s.addr(), "", "Accept-Encoding: gzip") },
		"in memory": func(s *server) string { return putText(s, "Content-Length", "a short body") },
		"in a file": func(s *server) string { return putText(s, "Content-Length", large) },
		"chunked":   func(s *server) string { return putText(s, "chunked", large) },
	}
	for _, style := range withTransport {
		for said, answer := range answers {
			for kind, request := range bodies {
				if said != "S3" && kind != "no body" && (style != "short form" || kind != "in a file") {
					continue
				}
				t.Run(style+"/"+said+"/"+kind, func(t *testing.T) {
					sts := newSTS(t)
					up := refusing(t, false, sts.keys("Role"), answer, first)
					s := startCaddy(t, styles[style](up.Addr(), setup{
						options: "service s3\nregion eu-west-1\nbody_memory 1KiB\ncredentials Role", global: brokerAnd("Role"),
						proxy: "fail_duration 10s\nmax_fails 1",
					}))
					r := s.exchange(request(s))
					r.expect(t, 200, "ASIAROLE1")
					got := up.all(2)
					if string(got[0].Body) != string(got[1].Body) || got[0].Line != got[1].Line {
						t.Errorf("%s came with %d bytes, then %s with %d", got[0].Line, len(got[0].Body), got[1].Line, len(got[1].Body))
					}
					if kind != "no body" && kind != "in memory" {
						bodyIs(large)(t, got[1])
					}
					s.get("/next").expect(t, 200, "ASIAROLE1")
					up.all(3)
					if n := len(sts.callsFor("Role")); n != 2 {
						t.Errorf("STS was called %d times, want 2", n)
					}
					s.waitForLog("AWS refused the credentials", 1, patience)
				})
			}
		}
	}
}

// TestUpstreamThatRefusesEveryToken: one retry, one fetch, and the client gets
// the upstream's answer as it is.
func TestUpstreamThatRefusesEveryToken(t *testing.T) {
	for _, style := range withTransport {
		t.Run(style, func(t *testing.T) {
			sts := newSTS(t)
			answer := xmlError(400, "ExpiredToken")
			up := refusing(t, false, sts.keys("Role"), answer, always)
			s := startCaddy(t, styles[style](up.Addr(), setup{
				options: "service s3\nregion eu-west-1\ncredentials Role", global: brokerAnd("Role"),
			}))
			for i := range 5 {
				r := s.do("PUT", "/key", "body")
				if r.status != 400 || r.body != answer.Body {
					t.Errorf("answered %v", r)
				}
				up.all(2 + i)
			}
			if n := len(sts.callsFor("Role")); n != 2 {
				t.Errorf("STS was called %d times, want 2", n)
			}
		})
	}
}

// TestRefusedTokenOfAStreamedBody: what was not held can't be sent again, so the
// client gets the answer, and the next request is signed with new credentials.
func TestRefusedTokenOfAStreamedBody(t *testing.T) {
	for _, style := range withTransport {
		t.Run(style, func(t *testing.T) {
			sts := newSTS(t)
			answer := xmlError(400, "ExpiredToken")
			up := refusing(t, true, sts.keys("Role"), answer, first)
			s := startCaddy(t, styles[style]("https://"+up.Addr(), setup{
				options: "service s3\nregion eu-west-1\npayload unsigned\ncredentials Role", global: brokerAnd("Role"),
				host: up.Addr(), http: "tls_insecure_skip_verify",
			}))
			body := strings.Repeat("body", 25_000)
			if r := s.exchange(putText(s, "Content-Length", body)); r.status != 400 || r.body != answer.Body {
				t.Errorf("answered %v", r)
			}
			up.all(1)
			waitFor(t, patience, func() bool { return len(sts.callsFor("Role")) == 2 }, "the renewal")
			waitFor(t, patience, func() bool { return s.get("/").status == 200 }, "new credentials")
			s.exchange(putText(s, "Content-Length", body)).expect(t, 200, "ASIAROLE1")
			bodyIs(body)(t, up.last())
			if n := len(sts.callsFor("Role")); n != 2 {
				t.Errorf("STS was called %d times, want 2", n)
			}
		})
	}
}

// TestRefusedTokenWhileSTSIsDown: nothing becomes worse.
func TestRefusedTokenWhileSTSIsDown(t *testing.T) {
	sts := newSTS(t)
	answer := xmlError(400, "ExpiredToken")
	var lying atomic.Bool
	up := refusing(t, false, sts.keys("Role"), answer, func(string) bool { return lying.Load() })
	s := startCaddy(t, styles["short form"](up.Addr(), setup{
		options: "service s3\nregion eu-west-1\ncredentials Role", global: brokerAnd("Role"),
	}))
	s.get("/").expect(t, 200)
	sts.set("Role", func(r *role) { r.code = "ServiceUnavailable" })
	lying.Store(true)
	for range 3 {
		if r := s.get("/"); r.status != 400 || r.body != answer.Body {
			t.Errorf("answered %v", r)
		}
	}
	lying.Store(false)
	s.get("/").expect(t, 200, "ASIAROLE0")
}

// TestRefusedKeysThatCannotBeRenewed: a key that is written in the configuration
// stays what it is.
func TestRefusedKeysThatCannotBeRenewed(t *testing.T) {
	answer := xmlError(403, "InvalidAccessKeyId")
	up := refusing(t, false, newKeyring(), answer, always)
	s := startCaddy(t, styles["short form"](up.Addr(), setup{options: signFor("s3")}))
	if r := s.get("/"); r.status != 403 || r.body != answer.Body {
		t.Errorf("answered %v", r)
	}
	up.all(1)
}

// TestOtherRefusalsPassUntouched: a larger answer, another error, one that only
// looks like it.
func TestOtherRefusalsPassUntouched(t *testing.T) {
	for name, answer := range map[string]wireverify.Response{
		"denied":            xmlError(403, "AccessDenied"),
		"wrong signature":   xmlError(403, "SignatureDoesNotMatch"),
		"not an error":      xmlError(200, "ExpiredToken"),
		"not found":         xmlError(404, "ExpiredToken"),
		"denied, in JSON":   jsonError(400, `{"__type":"AccessDeniedException","Message":"ExpiredTokenException"}`),
		"odd types":         jsonError(400, `{"__type":7,"code":["ExpiredToken"],"message":{}}`),
		"no JSON":           jsonError(400, `{"__type":"Expir`),
		"another header":    jsonError(400, `{"__type":"ExpiredTokenException"}`, wireverify.Header{Name: "X-Amzn-ErrorType", Value: "AccessDeniedException"}),
		"a text":            {Status: 403, Body: "<Code>ExpiredToken</Code>", Headers: []wireverify.Header{{Name: "Content-Type", Value: "text/plain"}}},
		"a large answer":    jsonError(403, strings.Repeat("x", 1<<20)),
		"nothing":           {Status: 403},
		"gzip that is none": jsonError(400, "no gzip", wireverify.Header{Name: "Content-Encoding", Value: "gzip"}),
	} {
		t.Run(name, func(t *testing.T) {
			sts := newSTS(t)
			up := refusing(t, false, sts.keys("Role"), answer, always)
			s := startCaddy(t, styles["transport"](up.Addr(), setup{
				options: "service s3\nregion eu-west-1\ncredentials Role", global: brokerAnd("Role"),
			}))
			if r := s.do("PUT", "/key", "body", "Accept-Encoding: gzip"); r.status != max(answer.Status, 200) || r.body != answer.Body {
				t.Errorf("answered %d with %d bytes, want %d with %d", r.status, len(r.body), answer.Status, len(answer.Body))
			}
			up.all(1)
			if n := len(sts.callsFor("Role")); n != 1 {
				t.Errorf("STS was called %d times, want once", n)
			}
		})
	}
}

// TestHealthChecksWithARefusedToken are signed again as all else is.
func TestHealthChecksWithARefusedToken(t *testing.T) {
	sts := newSTS(t)
	up := refusing(t, false, sts.keys("Role"), xmlError(403, "ExpiredToken"), first)
	s := startCaddy(t, styles["transport"](up.Addr(), setup{
		options: "service s3\nregion eu-west-1\ncredentials Role", global: brokerAnd("Role"),
		proxy: "health_uri /health\nhealth_interval 20ms\nlb_try_duration 5s",
	}))
	s.get("/").expect(t, 200, "ASIAROLE1")
	for _, r := range up.Requests() {
		if _, err := up.verify(r); err != nil {
			t.Error(err)
		}
	}
	if n := len(sts.callsFor("Role")); n != 2 {
		t.Errorf("STS was called %d times, want 2", n)
	}
}

// TestAnApplicationInAWSsWords: a request that an application has carried out is
// not sent again, whatever its answer says.
func TestAnApplicationInAWSsWords(t *testing.T) {
	for _, service := range []string{"execute-api", "lambda"} {
		t.Run(service, func(t *testing.T) {
			sts := newSTS(t)
			answer := jsonError(403, `{"message":"the payment is booked, but your login has expired","code":"ExpiredToken"}`)
			up := refusing(t, false, sts.keys("Role"), answer, always)
			s := startCaddy(t, styles["short form"](up.Addr(), setup{
				options: "service " + service + "\nregion eu-west-1\ncredentials Role", global: brokerAnd("Role"),
			}))
			if r := s.do("POST", "/pay", "amount=1"); r.status != 403 || r.body != answer.Body {
				t.Errorf("answered %v", r)
			}
			up.all(1)
			if n := len(sts.callsFor("Role")); n != 1 {
				t.Errorf("STS was called %d times, want once", n)
			}
		})
	}
}

// TestRefusalThatStreams: what a service sends with a refusal and goes on
// sending reaches the client while it does.
func TestRefusalThatStreams(t *testing.T) {
	for name, header := range map[string]string{"an application's": "X-Application", "AWS's": "X-Amzn-Requestid"} {
		t.Run(name, func(t *testing.T) {
			newSTS(t)
			up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set(header, "R")
				w.WriteHeader(403)
				io.WriteString(w, "an event")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}))
			t.Cleanup(up.Close)
			s := startCaddy(t, styles["short form"](up.Listener.Addr().String(), setup{
				options: "service es\nregion eu-west-1\ncredentials broker", global: brokerAnd(),
			}))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.addr()+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			tr := new(http.Transport)
			defer tr.CloseIdleConnections()
			res, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			event := make([]byte, len("an event"))
			if _, err := io.ReadFull(res.Body, event); err != nil || string(event) != "an event" || res.StatusCode != 403 {
				t.Errorf("answered %d with %q and %v", res.StatusCode, event, err)
			}
		})
	}
}
