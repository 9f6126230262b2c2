package sigv4

import (
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// verifyInput is a signed input as it arrives.
func verifyInput(in Input) VerifyInput {
	return VerifyInput{
		Method: in.Method, Host: in.Host, RawPath: in.Target.Path, RawQuery: in.Target.Query,
		Header: in.Header, PayloadHash: in.PayloadHash,
	}
}

// exampleVerifier knows three identities: one with a session token, one
// without, and one that must never match because it has no secret.
func exampleVerifier() *Verifier {
	signers := map[string]*Signer{}
	for _, c := range []Credentials{exampleCredentials, {AccessKeyID: "AKIDLONGTERM", SecretAccessKey: "other"}, {AccessKeyID: "AKIDBROKEN"}} {
		signers[c.AccessKeyID] = NewSigner(c)
	}
	v := NewVerifier(func(id string) (*Signer, bool) {
		s, ok := signers[id]
		return s, ok
	}, 0)
	v.Now = func() time.Time { return exampleTime }
	return v
}

// signedExample is a PUT with a body and a few headers, signed.
func signedExample(t testing.TB, c Credentials, change func(*Input)) VerifyInput {
	t.Helper()
	in := exampleInput(t)
	in.Method = http.MethodPut
	in.Target = mustTarget(t, "/a/b%20c", "x=1&y=2", PathDouble)
	in.Header = http.Header{"Content-Type": {"text/plain"}, "X-Amz-Meta-A": {"one", "two"}, "Accept": {"*/*"}}
	in.PayloadHash, in.PayloadHeader = HashPayload([]byte("body")), true
	if change != nil {
		change(&in)
	}
	if err := NewSigner(c).Sign(in); err != nil {
		t.Fatal(err)
	}
	return verifyInput(in)
}

func TestVerifyAccepts(t *testing.T) {
	longTerm := Credentials{AccessKeyID: "AKIDLONGTERM", SecretAccessKey: "other"}
	tests := []struct {
		name   string
		creds  Credentials
		change func(*Input)
		wire   func(*VerifyInput)
	}{
		{name: "temporary credentials", creds: exampleCredentials},
		{name: "long-term credentials", creds: longTerm},
		{name: "unsigned headers added by a hop", creds: longTerm, wire: func(in *VerifyInput) {
			in.Header["X-Forwarded-For"] = []string{"192.0.2.1"}
			in.Header["X-Amzn-Trace-Id"] = []string{"Root=1"}
			in.Header["Host"] = []string{"ignored"}
		}},
		{name: "blanks and spelling changed by a hop", creds: longTerm, wire: func(in *VerifyInput) {
			in.Header["x-amz-META-a"] = []string{" one ", "\ttwo"}
			delete(in.Header, "X-Amz-Meta-A")
		}},
		{name: "header values joined by a hop", creds: longTerm, wire: func(in *VerifyInput) { in.Header["X-Amz-Meta-A"] = []string{"one,two"} }},
		{name: "query in another order and escaping", creds: longTerm, wire: func(in *VerifyInput) { in.RawQuery = "&%79=%32&x=1&" }},
		{name: "path not normalised", creds: longTerm, wire: func(in *VerifyInput) { in.RawPath = "//a/./x/../b%20c" }},
		{name: "no payload header", creds: longTerm, change: func(in *Input) { in.PayloadHeader = false }},
		{name: "unsigned payload that the caller takes", creds: longTerm, change: func(in *Input) { in.PayloadHash = UnsignedPayload }},
		{name: "s3 path in another escaping", creds: longTerm, change: func(in *Input) {
			in.Service, in.Target = "s3", mustTarget(t, "//a/../(b)%20c", "", PathSingle)
		}, wire: func(in *VerifyInput) { in.RawPath = "//a/../(b)%20%63" }},
		{name: "early by the skew", creds: longTerm, change: func(in *Input) { in.Time = exampleTime.Add(-5 * time.Minute) }},
		{name: "late by the skew", creds: longTerm, change: func(in *Input) { in.Time = exampleTime.Add(5 * time.Minute) }},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			in := signedExample(t, c.creds, c.change)
			if c.wire != nil {
				c.wire(&in)
			}
			before := in.Header.Clone()
			auth, err := exampleVerifier().Verify(in)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "access key", auth.AccessKeyID, c.creds.AccessKeyID)
			if !reflect.DeepEqual(in.Header, before) {
				t.Error("the header was changed")
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	tests := []struct {
		name   string
		reason Reason
		change func(*Input)
		wire   func(*VerifyInput)
	}{
		{name: "no authorization", reason: ReasonMissingAuthorization, wire: func(in *VerifyInput) { delete(in.Header, "Authorization") }},
		{name: "nil header", reason: ReasonMissingAuthorization, wire: func(in *VerifyInput) { in.Header = nil }},
		{name: "two authorizations", reason: ReasonDuplicateHeader, wire: func(in *VerifyInput) {
			in.Header["Authorization"] = append(in.Header["Authorization"], in.Header["Authorization"][0])
		}},
		{name: "two authorizations, spelled differently", reason: ReasonDuplicateHeader, wire: func(in *VerifyInput) { in.Header["authorization"] = []string{"Basic eDp5"} }},
		{name: "other authorization", reason: ReasonMalformedAuthorization, wire: func(in *VerifyInput) { in.Header.Set("Authorization", "Basic eDp5") }},
		{name: "presign parameters", reason: ReasonQueryAuthentication, wire: func(in *VerifyInput) { in.RawQuery += "&X%2DAmz-Signature=1" }},
		{name: "presign parameters, signed", reason: ReasonQueryAuthentication, change: func(in *Input) { in.Target.Query = "X-Amz-Expires=60" }},

		{name: "no date", reason: ReasonMissingDate, wire: func(in *VerifyInput) { delete(in.Header, "X-Amz-Date") }},
		{name: "two dates", reason: ReasonDuplicateHeader, wire: func(in *VerifyInput) {
			in.Header["X-Amz-Date"] = []string{"20250102T030405Z", "20250102T030405Z"}
		}},
		{name: "date with fractions", reason: ReasonMalformedDate, wire: func(in *VerifyInput) { in.Header.Set("X-Amz-Date", "20250102T030405.5Z") }},
		{name: "date in words", reason: ReasonMalformedDate, wire: func(in *VerifyInput) { in.Header.Set("X-Amz-Date", exampleTime.Format(http.TimeFormat)) }},
		{name: "impossible date", reason: ReasonMalformedDate, wire: func(in *VerifyInput) { in.Header.Set("X-Amz-Date", "20250132T030405Z") }},
		{name: "date of another day", reason: ReasonScopeDateMismatch, wire: func(in *VerifyInput) { in.Header.Set("X-Amz-Date", "20250103T030405Z") }},
		{name: "date of the same day", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) { in.Header.Set("X-Amz-Date", "20250102T030406Z") }},
		{name: "too early", reason: ReasonExpired, change: func(in *Input) { in.Time = exampleTime.Add(-5*time.Minute - time.Second) }},
		{name: "too late", reason: ReasonNotYetValid, change: func(in *Input) { in.Time = exampleTime.Add(5*time.Minute + time.Second) }},

		{name: "payload changed", reason: ReasonPayloadMismatch, wire: func(in *VerifyInput) { in.PayloadHash = EmptyPayloadHash }},
		{name: "payload changed, no header", reason: ReasonSignatureMismatch, change: func(in *Input) { in.PayloadHeader = false }, wire: func(in *VerifyInput) { in.PayloadHash = EmptyPayloadHash }},
		{name: "payload said to be unsigned", reason: ReasonPayloadMismatch, change: func(in *Input) { in.PayloadHash = UnsignedPayload }, wire: func(in *VerifyInput) { in.PayloadHash = HashPayload([]byte("body")) }},
		{name: "payload header changed", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) {
			in.Header.Set("X-Amz-Content-Sha256", EmptyPayloadHash)
			in.PayloadHash = EmptyPayloadHash
		}},
		{name: "payload header changed to unsigned", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) {
			in.Header.Set("X-Amz-Content-Sha256", UnsignedPayload)
			in.PayloadHash = UnsignedPayload
		}},
		{name: "two payload headers", reason: ReasonDuplicateHeader, wire: func(in *VerifyInput) { in.Header["x-amz-content-sha256"] = in.Header["X-Amz-Content-Sha256"] }},
		{name: "no payload hash", reason: ReasonMalformedRequest, wire: func(in *VerifyInput) { in.PayloadHash = "" }},
		{name: "payload hash with a newline", reason: ReasonMalformedRequest, wire: func(in *VerifyInput) { in.PayloadHash = "UNSIGNED\n" }},

		{name: "method changed", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) { in.Method = http.MethodDelete }},
		{name: "no method", reason: ReasonMalformedRequest, wire: func(in *VerifyInput) { in.Method = "" }},
		{name: "host changed", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) { in.Host = "evil.example.com" }},
		{name: "port added to host", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) { in.Host += ":8443" }},
		{name: "no host", reason: ReasonMalformedRequest, wire: func(in *VerifyInput) { in.Host = "" }},
		{name: "path changed", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) { in.RawPath = "/a/b%20d" }},
		{name: "path with another escape", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) { in.RawPath = "/a/%62%20c" }},
		{name: "s3 path normalised", reason: ReasonSignatureMismatch, change: func(in *Input) {
			in.Service, in.Target = "s3", mustTarget(t, "/a//b", "", PathSingle)
		}, wire: func(in *VerifyInput) { in.RawPath = "/a/b" }},
		{name: "s3 path with a raw plus for a space", reason: ReasonSignatureMismatch, change: func(in *Input) {
			in.Service, in.Target = "s3", mustTarget(t, "/a%20b", "", PathSingle)
		}, wire: func(in *VerifyInput) { in.RawPath = "/a+b" }},
		{name: "broken escape in the path", reason: ReasonMalformedRequest, wire: func(in *VerifyInput) { in.RawPath = "/a%zz" }},
		{name: "asterisk", reason: ReasonMalformedRequest, wire: func(in *VerifyInput) { in.RawPath = "*" }},
		{name: "query changed", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) { in.RawQuery = "x=1&y=3" }},
		{name: "query added", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) { in.RawQuery += "&z" }},
		{name: "query removed", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) { in.RawQuery = "x=1" }},
		{name: "broken escape in the query", reason: ReasonMalformedRequest, wire: func(in *VerifyInput) { in.RawQuery += "&a=%z" }},

		{name: "signed header changed", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) { in.Header.Set("Content-Type", "text/html") }},
		{name: "signed header removed", reason: ReasonSignedHeaderMissing, wire: func(in *VerifyInput) { delete(in.Header, "Content-Type") }},
		{name: "signed header emptied", reason: ReasonSignedHeaderMissing, wire: func(in *VerifyInput) { in.Header["Content-Type"] = []string{} }},
		{name: "signed header twice", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) { in.Header["content-type"] = []string{"text/html"} }},
		{name: "values in another order", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) { in.Header["X-Amz-Meta-A"] = []string{"two", "one"} }},
		{name: "newline in a header", reason: ReasonMalformedRequest, wire: func(in *VerifyInput) { in.Header["X-Amz-Meta-A"] = []string{"one\nx-amz-b:1"} }},
		{name: "unsigned x-amz header", reason: ReasonHeaderNotSigned, wire: func(in *VerifyInput) { in.Header["X-Amz-Acl"] = []string{"public-read"} }},
		{name: "unsigned x-amz header, spelled otherwise", reason: ReasonHeaderNotSigned, wire: func(in *VerifyInput) { in.Header["x-AMZ-acl"] = []string{"public-read"} }},
		{name: "unsigned token", reason: ReasonHeaderNotSigned, wire: func(in *VerifyInput) {
			in.Header.Set("Authorization", strings.Replace(in.Header.Get("Authorization"), ";x-amz-security-token", "", 1))
		}},
		{name: "unsigned host", reason: ReasonHeaderNotSigned, wire: func(in *VerifyInput) {
			in.Header.Set("Authorization", strings.Replace(in.Header.Get("Authorization"), "host;", "", 1))
		}},

		{name: "unknown key", reason: ReasonUnknownKey, wire: func(in *VerifyInput) {
			in.Header.Set("Authorization", strings.Replace(in.Header.Get("Authorization"), "AKIDEXAMPLE", "AKIDNOBODY", 1))
		}},
		{name: "another's key", reason: ReasonTokenMismatch, wire: func(in *VerifyInput) {
			in.Header.Set("Authorization", strings.Replace(in.Header.Get("Authorization"), "AKIDEXAMPLE", "AKIDLONGTERM", 1))
		}},
		{name: "key without a secret", reason: ReasonUnknownKey, wire: func(in *VerifyInput) {
			in.Header.Set("Authorization", strings.Replace(in.Header.Get("Authorization"), "AKIDEXAMPLE", "AKIDBROKEN", 1))
		}},
		{name: "other region", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) {
			in.Header.Set("Authorization", strings.Replace(in.Header.Get("Authorization"), "us-east-1", "us-east-2", 1))
		}},
		{name: "other service", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) {
			in.Header.Set("Authorization", strings.Replace(in.Header.Get("Authorization"), "execute-api", "es", 1))
		}},
		{name: "other signature", reason: ReasonSignatureMismatch, wire: func(in *VerifyInput) {
			in.Header.Set("Authorization", in.Header.Get("Authorization")[:len(in.Header.Get("Authorization"))-64]+exampleSignature)
		}},
		{name: "other token", reason: ReasonTokenMismatch, wire: func(in *VerifyInput) { in.Header.Set("X-Amz-Security-Token", "session-tokeN") }},
		{name: "longer token", reason: ReasonTokenMismatch, wire: func(in *VerifyInput) { in.Header.Set("X-Amz-Security-Token", "session-token2") }},
		{name: "two tokens", reason: ReasonTokenMismatch, wire: func(in *VerifyInput) {
			in.Header["X-Amz-Security-Token"] = []string{"session-token", "session-token"}
		}},
		{name: "empty token", reason: ReasonTokenMismatch, wire: func(in *VerifyInput) { in.Header["X-Amz-Security-Token"] = []string{""} }},
		{name: "token removed", reason: ReasonSignedHeaderMissing, wire: func(in *VerifyInput) { delete(in.Header, "X-Amz-Security-Token") }},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			in := signedExample(t, exampleCredentials, c.change)
			if c.wire != nil {
				c.wire(&in)
			}
			auth, err := exampleVerifier().Verify(in)
			wantReason(t, err, c.reason)
			if !reflect.DeepEqual(auth, Authorization{}) {
				t.Errorf("got %+v beside the error", auth)
			}
			for _, secret := range []string{exampleCredentials.SecretAccessKey, "session-token\"", exampleSignature} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error tells a secret: %v", err)
				}
			}
		})
	}
}

// TestVerifyTokens: temporary credentials must come with their token, and
// long-term ones without any.
func TestVerifyTokens(t *testing.T) {
	withoutToken := exampleCredentials
	withoutToken.SessionToken = ""
	withToken := Credentials{AccessKeyID: "AKIDLONGTERM", SecretAccessKey: "other", SessionToken: "forged"}
	for name, c := range map[string]Credentials{"token left out": withoutToken, "token too many": withToken} {
		_, err := exampleVerifier().Verify(signedExample(t, c, nil))
		if err == nil {
			t.Errorf("%s: not refused", name)
			continue
		}
		wantReason(t, err, ReasonTokenMismatch)
	}
	if NewSigner(Credentials{}).hasToken([]string{""}) {
		t.Error("an empty token passes for none")
	}
}

// TestVerifyReadsPlusBothWays signs the query as two kinds of clients do.
func TestVerifyReadsPlusBothWays(t *testing.T) {
	c := Credentials{AccessKeyID: "AKIDLONGTERM", SecretAccessKey: "other"}
	for signed, want := range map[string]bool{"a=b%2Bc": true, "a=b%20c": true, "a=b-c": false} {
		in := signedExample(t, c, func(in *Input) { in.Target = mustTarget(t, "/", signed, PathDouble) })
		in.RawQuery = "a=b+c"
		if _, err := exampleVerifier().Verify(in); (err == nil) != want {
			t.Errorf("a raw plus for %s: %v", signed, err)
		}
	}
	// One query is read in one way: not each plus in another.
	in := signedExample(t, c, func(in *Input) { in.Target = mustTarget(t, "/", "a=b%2Bc%20d", PathDouble) })
	in.RawQuery = "a=b+c+d"
	_, err := exampleVerifier().Verify(in)
	wantReason(t, err, ReasonSignatureMismatch)
}

// TestVerifyPathNotNormalised: the AWS SDK for Go signs paths as they are.
func TestVerifyPathNotNormalised(t *testing.T) {
	c := Credentials{AccessKeyID: "AKIDLONGTERM", SecretAccessKey: "other"}
	in := exampleInput(t)
	in.Target = Target{Path: "/a//b/../c%20d", CanonicalPath: "/a//b/../c%2520d"}
	in.Header = sdkSign(t, c, in)
	if _, err := exampleVerifier().Verify(verifyInput(in)); err != nil {
		t.Fatal(err)
	}
	wire := verifyInput(in)
	wire.RawPath = "/a/c%20d"
	_, err := exampleVerifier().Verify(wire)
	wantReason(t, err, ReasonSignatureMismatch)
}

func TestVerifyDateHeader(t *testing.T) {
	// Signed by hand, because Sign always sends X-Amz-Date.
	signer := NewSigner(Credentials{AccessKeyID: "AKIDLONGTERM", SecretAccessKey: "other"})
	for _, date := range []string{"20250102T030405Z", "Thu, 02 Jan 2025 03:04:05 GMT"} {
		canonical := "GET\n/\n\ndate:" + date + "\nhost:example.com\n\ndate;host\n" + EmptyPayloadHash
		toSign := "AWS4-HMAC-SHA256\n20250102T030405Z\n20250102/us-east-1/es/aws4_request\n" + HashPayload([]byte(canonical))
		key := newSigningKey("other", keyScope{"20250102", "us-east-1", "es"})
		in := VerifyInput{Method: "GET", Host: "example.com", RawPath: "/", PayloadHash: EmptyPayloadHash, Header: http.Header{
			"Date": {date},
			"Authorization": {"AWS4-HMAC-SHA256 Credential=AKIDLONGTERM/20250102/us-east-1/es/aws4_request, SignedHeaders=date;host, Signature=" +
				hex.EncodeToString(key.appendMAC(nil, []byte(toSign)))},
		}}
		v := NewVerifier(func(string) (*Signer, bool) { return signer, true }, time.Minute)
		v.Now = func() time.Time { return exampleTime }
		if _, err := v.Verify(in); err != nil {
			t.Errorf("%s: %v", date, err)
		}
		v.Now = func() time.Time { return exampleTime.Add(61 * time.Second) }
		_, err := v.Verify(in)
		wantReason(t, err, ReasonExpired)
	}
}

// TestVerifyDoesNotTrustTheLookup: a lookup that answers wrongly admits nobody.
func TestVerifyDoesNotTrustTheLookup(t *testing.T) {
	in := signedExample(t, exampleCredentials, nil)
	lookups := map[string]func(string) (*Signer, bool){
		"nil signer":      func(string) (*Signer, bool) { return nil, true },
		"found, said not": func(string) (*Signer, bool) { return NewSigner(exampleCredentials), false },
		"another identity": func(string) (*Signer, bool) {
			return NewSigner(Credentials{AccessKeyID: "AKIDOTHER", SecretAccessKey: exampleCredentials.SecretAccessKey, SessionToken: "session-token"}), true
		},
	}
	for name, lookup := range lookups {
		v := NewVerifier(lookup, 0)
		v.Now = func() time.Time { return exampleTime }
		if _, err := v.Verify(in); err == nil {
			t.Errorf("%s: not refused", name)
		} else {
			wantReason(t, err, ReasonUnknownKey)
		}
	}
	// Knowing the stand-in for unknown keys helps nobody.
	v := exampleVerifier()
	stranger := v.stranger.credentials
	_, err := v.Verify(signedExample(t, stranger, nil))
	wantReason(t, err, ReasonUnknownKey)
}

// TestVerifyWhatArrives has the AWS SDK sign, net/http send and a server
// verify, on real connections of both HTTP versions.
func TestVerifyWhatArrives(t *testing.T) {
	c := exampleCredentials
	v := NewVerifier(func(string) (*Signer, bool) { return NewSigner(c), true }, 0)
	refused := make(chan error, 1)
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = v.Verify(VerifyInput{
				Method: r.Method, Host: r.Host, RawPath: RawPath(r), RawQuery: r.URL.RawQuery, Header: r.Header, PayloadHash: HashPayload(body),
			})
		}
		refused <- err
	})
	for _, http2 := range []bool{false, true} {
		server := httptest.NewUnstartedServer(handler)
		server.EnableHTTP2 = http2
		server.StartTLS()
		defer server.Close()
		for _, path := range []string{"/", "//a/../b%2Fc/(x)*", "/%C3%A9+~"} {
			for _, service := range []string{"s3", "es"} {
				for _, body := range []string{"", "a body"} {
					target := mustTarget(t, path, "b=c+d&a=%2F;&acl", PathRuleFor(service))
					r, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					target.SetURL(r.URL)
					r.Header.Set("X-Amz-Meta-A", " a  b ")
					rules := &HeaderRules{names: map[string]struct{}{"content-length": {}}}
					if body != "" {
						r.Header.Set("Content-Length", "6")
					}
					in := Input{
						Method: r.Method, Host: r.URL.Host, Target: target, Header: r.Header, Rules: rules,
						PayloadHash: HashPayload([]byte(body)), PayloadHeader: service == "s3", Service: service, Region: "us-east-1", Time: time.Now(),
					}
					r.Header = sdkSign(t, c, in)
					response, err := server.Client().Do(r)
					if err != nil {
						t.Fatal(err)
					}
					response.Body.Close()
					if err := <-refused; err != nil {
						t.Errorf("HTTP/%d %s %s: %v", response.ProtoMajor, service, target.RequestURI(), err)
					}
					if response.ProtoMajor == 2 != http2 {
						t.Errorf("HTTP/%d", response.ProtoMajor)
					}
				}
			}
		}
	}
}

// TestVerifierAgreesWithSigners verifies generated requests of both signers.
func TestVerifierAgreesWithSigners(t *testing.T) {
	g := newGenerator()
	for i := range 5_000 {
		c, in := g.input(t)
		signer := NewSigner(c)
		v := NewVerifier(func(string) (*Signer, bool) { return signer, true }, 0)
		v.Now = func() time.Time { return in.Time }
		wire := verifyInput(in)
		wire.Header = in.Header.Clone()
		maps.Copy(wire.Header, sdkSign(t, c, in))
		if _, err := v.Verify(wire); err != nil {
			t.Fatalf("request %d of the SDK: %v\n%+v", i, err, in)
		}
		if err := signer.Sign(in); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(verifyInput(in)); err != nil {
			t.Fatalf("request %d: %v\n%+v", i, err, in)
		}
		// One bit of the signature.
		value := []byte(in.Header.Get("Authorization"))
		at := len(value) - 1 - g.IntN(64)
		const hexDigits = "0123456789abcdef"
		value[at] = hexDigits[strings.IndexByte(hexDigits, value[at])^1]
		in.Header.Set("Authorization", string(value))
		_, err := v.Verify(verifyInput(in))
		wantReason(t, err, ReasonSignatureMismatch)
	}
}
