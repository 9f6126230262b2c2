package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

// TestAssumedRole lets the proxy be a session of the role, and nothing else.
func TestAssumedRole(t *testing.T) {
	b := newBed(t)
	b.runCaddy(sites(styles["short form"]))
	b.do("PUT", "/bucket/k", "hello").expect(t, "put", 200)
	sessions := b.Sessions(readerARN)
	if len(sessions) != 1 || sessions[0].By != brokerARN {
		t.Errorf("sessions: %+v, want one of the broker's", sessions)
	}
	for _, c := range b.Calls() {
		if c.Action != "AssumeRole" || c.Code != "" || c.By != b.broker.AccessKeyID || c.Form.Get("ExternalId") != externalID {
			t.Errorf("a call to STS: %+v", c)
		}
	}
}

// TestBrokerItself lets the proxy be the broker, who may do nothing in S3 but assume the role.
func TestBrokerItself(t *testing.T) {
	b := newBed(t)
	b.runCaddy(strings.ReplaceAll(sites(styles["short form"]), "<target>", strings.Replace(target, "reader", "broker", 1)))
	b.do("GET", "/bucket/k", "").expect(t, "as the broker", 403, "AccessDenied", "User: "+brokerARN)
}

// TestWrongExternalID configures another External ID than the role's owner asks for, or none. Nothing is forwarded.
func TestWrongExternalID(t *testing.T) {
	for _, line := range []string{"external_id another-id", ""} {
		t.Run(line, func(t *testing.T) {
			b := newBed(t)
			b.runCaddy(strings.Replace(sites(styles["short form"]), "external_id <external-id>", line, 1))
			b.do("PUT", "/bucket/k", "hello").expect(t, "put", 502)
			if got := b.Sessions(readerARN); len(got) != 0 {
				t.Errorf("sessions: %+v", got)
			}
			calls := b.Calls()
			if len(calls) == 0 || calls[len(calls)-1].Code != "AccessDenied" {
				t.Errorf("calls to STS: %+v, want AccessDenied", calls)
			}
			log, err := os.ReadFile(b.log)
			if err != nil || !strings.Contains(string(log), "AccessDenied") {
				t.Errorf("the log does not tell of it: %v", err)
			}
			if strings.Contains(string(log), b.broker.SecretAccessKey) {
				t.Error("the log holds the broker's secret")
			}
		})
	}
}

// hammer sends requests from several clients until it is stopped, and returns those that were not answered as wanted.
func (b *bed) hammer(bucket string, want func(reply) bool) (stop func() (sent int64, failed []string)) {
	var sent atomic.Int64
	var failed []string
	var mu sync.Mutex
	var wg sync.WaitGroup
	done := make(chan struct{})
	for client := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				key := fmt.Sprintf("%s/client%d/%d", bucket, client, i%7)
				method, body := http.MethodPut, key
				if i >= 7 && i%2 == 1 {
					method, body = http.MethodGet, ""
				}
				r, err := send(b.site, method, key, body)
				sent.Add(1)
				if err != nil || !want(r) {
					mu.Lock()
					failed = append(failed, fmt.Sprintf("%s %s: %v, %v", method, key, r, err))
					mu.Unlock()
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	return func() (int64, []string) {
		close(done)
		wg.Wait()
		return sent.Load(), failed
	}
}

func isOK(r reply) bool { return r.status == http.StatusOK }

// TestExpiryInTheMiddleOfARun has sessions that last three seconds, and clients that never pause. No request fails.
func TestExpiryInTheMiddleOfARun(t *testing.T) {
	b := newBed(t)
	b.putRole(standin.Role{ARN: readerARN, Lifetime: 3 * time.Second})
	b.runCaddy(sites(styles["short form"]))
	stop := b.hammer("/bucket", isOK)
	time.Sleep(7 * time.Second)
	sent, failed := stop()
	sessions := b.Sessions(readerARN)
	ended := 0
	for _, x := range sessions {
		if x.Expires.Before(time.Now()) {
			ended++
		}
	}
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", len(failed), sent, failed[0])
	}
	if sent < 200 || ended < 2 || len(sessions) > 8 {
		t.Errorf("%d requests, %d sessions, %d of them ended: want at least 200, at most 8, at least 2", sent, len(sessions), ended)
	}
	t.Logf("%d requests, %d sessions, %d of them ended", sent, len(sessions), ended)
}

// TestSTSAwayWhileCredentialsLast has STS fail in each way as soon as there are credentials, for a role each. They are
// served as long as they last; and where STS comes back before that, no request notices anything.
func TestSTSAwayWhileCredentialsLast(t *testing.T) {
	faults := map[string]standin.Fault{
		"down": standin.Down, "throttled": standin.Throttled, "unavailable": standin.Unavailable, "hanging": standin.Hanging,
	}
	b := newBed(t)
	var named, routes strings.Builder
	for name := range faults {
		arn := "arn:aws:iam::123456789012:role/" + name
		b.putRole(standin.Role{ARN: arn, Lifetime: 12 * time.Second})
		if err := b.CreateBucket(name); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&named, "credentials %s assume_role %s {\nfrom broker\nexternal_id <external-id>\n}\n", name, arn)
		fmt.Fprintf(&routes, "handle /%s/* {\naws_sigv4 <s3> {\nservice s3\nregion <region>\ncredentials %s\n}\n}\n", name, name)
	}
	b.runCaddy(strings.Replace(sites(routes.String()), "credentials reader", named.String()+"credentials reader", 1))
	for name := range faults {
		b.do("PUT", "/"+name+"/k", "hello").expect(t, name, 200)
	}
	for name, fault := range faults {
		b.SetFault("arn:aws:iam::123456789012:role/"+name, fault)
	}

	stops := map[string]func() (int64, []string){}
	for name := range faults {
		stops[name] = b.hammer("/"+name, isOK)
	}
	for name, fault := range faults {
		// The refresh is due after 5.3 to 7.4 seconds, and the credentials are good for 10.5.
		waitFor(t, 9*time.Second, "a refresh that fails with "+name, func() bool { return b.count(name, fault) > 0 })
	}
	check := func(name string) {
		if sent, failed := stops[name](); len(failed) > 0 {
			t.Errorf("%s: %d of %d requests failed, the first: %s", name, len(failed), sent, failed[0])
		}
	}
	check("hanging") // This call hangs on, longer than the credentials last.
	delete(faults, "hanging")
	b.ClearFaults()
	for name := range faults {
		waitFor(t, 5*time.Second, "new credentials after "+name, func() bool { return len(b.Sessions("arn:aws:iam::123456789012:role/"+name)) > 1 })
	}
	for name := range faults {
		check(name)
	}
}

// count returns how often a call for a role failed.
func (b *bed) count(name string, fault standin.Fault) int {
	n := 0
	for _, c := range b.Calls() {
		if strings.HasSuffix(c.RoleARN, "/"+name) && c.Code != "" && (fault.Code == "" || c.Code == fault.Code) {
			n++
		}
	}
	return n
}

// TestSTSBack begins without STS: 503, and nothing forwarded. When it is back, so are the answers.
func TestSTSBack(t *testing.T) {
	b := newBed(t)
	b.SetFault("", standin.Unavailable)
	b.runCaddy(sites(styles["short form"]))
	b.do("PUT", "/bucket/k", "hello").expect(t, "without STS", 503)
	b.ClearFaults()
	waitFor(t, 10*time.Second, "an answer", func() bool { return b.do("PUT", "/bucket/k", "hello").status == 200 })
}

// TestSTSOverTLS calls an STS whose certificate only the user's own bundle vouches for.
func TestSTSOverTLS(t *testing.T) {
	b := newBed(t)
	t.Setenv("AWS_ENDPOINT_URL_STS", b.STSTLS())
	b.runCaddy(sites(styles["short form"]))
	b.do("PUT", "/bucket/k", "hello").expect(t, "without the bundle", 503)
	t.Setenv("AWS_CA_BUNDLE", filepath.Join(b.dir, "ca.pem"))
	waitFor(t, 10*time.Second, "an answer with the bundle", func() bool { return b.do("PUT", "/bucket/k", "hello").status == 200 })
}

// TestRevocation revokes the proxy's session. S3's answer reaches the client as it is.
func TestRevocation(t *testing.T) {
	for style, routes := range styles {
		t.Run(style, func(t *testing.T) {
			b := newBed(t)
			b.runCaddy(sites(routes))
			b.do("PUT", "/bucket/k", "hello").expect(t, "put", 200)
			b.RevokeSessions(readerARN)
			r := b.do("GET", "/bucket/k", "")
			r.expect(t, "revoked", 403, "<Code>AccessDenied</Code>", "with an explicit deny in an identity-based policy")
			if r.header.Get("Content-Type") != "application/xml" || r.header.Get("X-Amz-Request-Id") == "" {
				t.Errorf("headers: %v", r.header)
			}
			b.do("HEAD", "/bucket/k", "").expect(t, "head, revoked", 403)
		})
	}
}

// TestExpiredEarly has a session end before its holder was told. With the transport, neither a GET nor an upload notices:
// there is one new session, and the body arrives whole. A handler alone passes on what S3 says.
func TestExpiredEarly(t *testing.T) {
	large := strings.Repeat("body", 1<<16)
	for style, routes := range styles {
		for _, method := range []string{"GET", "PUT"} {
			t.Run(style+"/"+method, func(t *testing.T) {
				b := newBed(t)
				b.runCaddy(sites(routes))
				b.do("PUT", "/bucket/k", large).expect(t, "put", 200)
				b.ExpireSessions(readerARN)
				body := ""
				if method == "PUT" {
					body = large
				}
				r := b.do(method, "/bucket/k", body)
				if style == "handler" {
					r.expect(t, "expired", 400, "<Code>ExpiredToken</Code>")
					return
				}
				r.expect(t, "expired", 200)
				if r = b.do("GET", "/bucket/k", ""); r.body != large {
					t.Errorf("S3 has %d bytes, want %d", len(r.body), len(large))
				}
				if n := len(b.Sessions(readerARN)); n != 2 {
					t.Errorf("%d sessions, want 2", n)
				}
			})
		}
	}
}
