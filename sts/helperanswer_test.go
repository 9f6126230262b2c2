package sts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// answeredAt is when the answers of these tests come, and handedOut what they hold. 1738344480 is the hour
// after it.
var (
	answeredAt  = time.Date(2025, 1, 31, 16, 28, 0, 0, time.UTC)
	answeredFor = answeredAt.Add(time.Hour)
	handedOut   = sigv4.Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "wJalr/XUtn+FEMI", SessionToken: "FwoGZXIvYXdz=="}
)

const (
	camelKeys = `"accessKeyId":"ASIAEXAMPLE","secretAccessKey":"wJalr/XUtn+FEMI","sessionToken":"FwoGZXIvYXdz=="`
	snakeKeys = `"access_key_id":"ASIAEXAMPLE","secret_access_key":"wJalr/XUtn+FEMI","session_token":"FwoGZXIvYXdz=="`
	awsKeys   = `"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"wJalr/XUtn+FEMI","SessionToken":"FwoGZXIvYXdz=="`
)

func TestHelperAnswers(t *testing.T) {
	soon := answeredAt.Add(UnknownHelperLife)
	for body, expires := range map[string]time.Time{
		// The casings, flat and wrapped.
		`{` + camelKeys + `,"expiresAt":"2025-01-31T17:28:00Z"}`:                                                                                                            answeredFor,
		`{` + snakeKeys + `,"expires_at":"2025-01-31T17:28:00Z"}`:                                                                                                           answeredFor,
		`{` + awsKeys + `,"Expiration":"2025-01-31T17:28:00Z"}`:                                                                                                             answeredFor,
		`{` + camelKeys + `,"expiration":"2025-01-31T17:28:00Z"}`:                                                                                                           answeredFor,
		`{"credentials":{` + camelKeys + `,"expiresAt":"2025-01-31T17:28:00.000Z"}}`:                                                                                        answeredFor,
		`{"credentials":{` + snakeKeys + `,"expiration":"2025-01-31T17:28:00Z"}}`:                                                                                           answeredFor,
		`{"Credentials":{` + awsKeys + `,"Expiration":"2025-01-31T17:28:00+00:00"}}`:                                                                                        answeredFor,
		`{"credentials":{` + camelKeys + `},"expiresAt":"2025-01-31T17:28:00Z"}`:                                                                                            answeredFor,
		`{"data":{"credentials":{` + camelKeys + `}},"data2":[],"expires_at":1738344480}`:                                                                                   answeredFor,
		`{"AssumeRoleResponse":{"AssumeRoleResult":{"Credentials":{` + awsKeys + `,"Expiration":1.73834448E9}}}}`:                                                           answeredFor,
		`{"AssumeRoleResponse":{"AssumeRoleResult":{"AssumedRoleUser":{"Arn":"x"},"Credentials":{` + awsKeys + `}}}}`:                                                       soon,
		`{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"wJalr/XUtn+FEMI","Token":"FwoGZXIvYXdz==","Expiration":"2025-01-31T17:28:00Z"}`: answeredFor, // Of a container.
		`{"Version":1,` + awsKeys + `,"Expiration":"2025-01-31T17:28:00Z"}`:                                                                                                 answeredFor, // Of a credential process.

		// When they expire.
		`{` + camelKeys + `,"expiresAt":"2025-01-31T17:28:00"}`:             answeredFor,
		`{` + camelKeys + `,"expiresAt":"2025-01-31t17:28:00z"}`:            answeredFor,
		`{` + camelKeys + `,"expiresAt":"2025-01-31T18:28:00+01:00"}`:       answeredFor,
		`{` + camelKeys + `,"expiresAt":"2025-01-31T18:28:00+0100"}`:        answeredFor,
		`{` + camelKeys + `,"expiresAt":"2025-01-31 17:28:00"}`:             answeredFor,
		`{` + camelKeys + `,"expiresAt":"2025-01-31 17:28:00+00:00"}`:       answeredFor,
		`{` + camelKeys + `,"expiresAt":"2025-01-31T17:28:00.250000"}`:      answeredFor.Add(250 * time.Millisecond),
		`{` + camelKeys + `,"expiresAt":"2025-01-31T17:28:00.123456789Z"}`:  answeredFor.Add(123456789),
		`{` + camelKeys + `,"expiresAt":"20250131T172800Z"}`:                answeredFor,
		`{` + camelKeys + `,"expiresAt":"Fri, 31 Jan 2025 17:28:00 GMT"}`:   answeredFor,
		`{` + camelKeys + `,"expiresAt":"Fri, 31 Jan 2025 18:28:00 +0100"}`: answeredFor,
		`{` + camelKeys + `,"expiresAt":1738344480}`:                        answeredFor,
		`{` + camelKeys + `,"expiresAt":1738344480.5}`:                      answeredFor.Add(500 * time.Millisecond),
		`{` + camelKeys + `,"expiresAt":1738344480000}`:                     answeredFor,
		`{` + camelKeys + `,"expiresAt":"1738344480"}`:                      answeredFor,
		`{` + camelKeys + `,"expiresAt":" 1738344480000 "}`:                 answeredFor,
		`{` + camelKeys + `,"expiresAt":"1.73834448e9"}`:                    answeredFor,
		`{` + camelKeys + `,"expires_in":3600}`:                             answeredFor,
		`{` + camelKeys + `,"expiresIn":"3600"}`:                            answeredFor,
		`{` + camelKeys + `,"expiresIn":60,"expiresAt":1738344480}`:         answeredFor,
		`{` + camelKeys + `,"expiresAt":"2025-02-02T04:28:00Z"}`:            answeredAt.Add(36 * time.Hour),
		`{` + camelKeys + `,"expiresAt":"2025-01-31T16:28:01Z"}`:            answeredAt.Add(time.Second),
		`{` + camelKeys + `}`: soon,
		`{` + camelKeys + `,"expiresAt":null,"expiration":null}`: soon,

		// The same twice, and what nobody asked for.
		`{` + camelKeys + `,` + snakeKeys + `,"expiresAt":1738344480,"expiration":"2025-01-31T17:28:00Z"}`: answeredFor,
		`{` + camelKeys + `,"expiresAt":1738344480,"expiration":"2025-01-31T17:28:00.900Z"}`:               answeredFor,
		`{"accessKeyId":null,` + snakeKeys + `,"expiresAt":1738344480}`:                                    answeredFor,
		`{"region":"x","nested":{"accessKeyId":5},"list":[{"accessKeyId":6}],` + camelKeys + `,"x":true}`:  soon,
		`{"credentials":"see below","result":{` + camelKeys + `}}`:                                         soon,
		`{"ACCESS_KEY_ID":"ASIAEXAMPLE","Secret-Access-Key":"wJalr/XUtn+FEMI","token":"FwoGZXIvYXdz=="}`:   soon,

		"\ufeff \r\n{" + camelKeys + "}\n": soon,

		`<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><Arn>x</Arn></AssumedRoleUser><Credentials>
			<AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>wJalr/XUtn+FEMI</SecretAccessKey><SessionToken>FwoGZXIvYXdz==
			</SessionToken><Expiration>2025-01-31T17:28:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`: answeredFor,
		`<?xml version="1.0"?><AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>wJalr&#47;XUtn+FEMI</SecretAccessKey><SessionToken>FwoGZXIvYXdz==</SessionToken></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`: soon,
	} {
		creds, got, err := parseHelperAnswer([]byte(body), answeredAt)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if creds != handedOut || !got.Equal(expires) || got.Location() != expires.Location() {
			t.Errorf("%s: got %+v until %v, want until %v", body, creds, got, expires)
		}
	}
}

func TestHelperAnswersThatAreNone(t *testing.T) {
	with := func(extra string) string { return `{` + camelKeys + `,` + extra + `}` }
	for body, want := range map[string]string{
		"":                       "the answer is empty",
		" \n":                    "the answer is empty",
		"ok":                     "the answer is not JSON",
		"{":                      "the answer is JSON that breaks off",
		`{` + camelKeys:          "the answer is JSON that breaks off",
		`{` + camelKeys + `} {}`: "something follows the JSON",
		`{` + camelKeys + `}x`:   "something follows the JSON",
		`[{` + camelKeys + `}]`:  "the answer is an array, not a JSON object",
		`"x"`:                    "the answer is a string, not",
		`5`:                      "the answer is a number, not",
		`null`:                   "the answer is null, not",
		`true`:                   "the answer is true or false, not",
		`{}`:                     "the answer has no access key ID",
		`{'a':1}`:                "the answer is not JSON",
		`{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}}}}}`: "more than 8 levels deep",
		strings.Repeat(`[`, 5000):                                 "more than 8 levels deep",
		`<!DOCTYPE html><html><body>`:                             "a page in HTML or XML, and no credentials: is this the URL of an STS helper?",
		`<html><p>503 &nbsp;`:                                     "a page in HTML or XML",
		`<ErrorResponse></ErrorResponse>`:                         "a page in HTML or XML",
		`<AssumeRoleResponse></AssumeRoleResponse>`:               "the answer has no access key ID",
		`<AssumeRoleResponse><AssumeRoleResult>`:                  "XML that breaks off",
		`<AssumeRoleResponse></AssumeRoleResponse><b>`:            "a page in HTML or XML",
		`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><AccessKeyId>B</AccessKeyId></Credentials></AssumeRoleResult></AssumeRoleResponse>`: "the answer has AccessKeyId and AccessKeyId, and they differ",

		`{"accessKeyId":"A","secretAccessKey":"S"}`:                                    "the answer has no session token",
		`{"accessKeyId":"A","sessionToken":"T"}`:                                       "the answer has no secret access key",
		`{"accessKeyId":"","secretAccessKey":"S","sessionToken":"T"}`:                  "accessKeyId in the answer is empty",
		`{"accessKeyId":7,"secretAccessKey":"S","sessionToken":"T"}`:                   "accessKeyId in the answer is a number, not a string",
		`{"accessKeyId":"A","secretAccessKey":["S"],"sessionToken":"T"}`:               "secretAccessKey in the answer is an array",
		`{"accessKeyId":"A","secretAccessKey":"S","sessionToken":{"a":1}}`:             "sessionToken in the answer is an object",
		`{"accessKeyId":"A","secretAccessKey":"S","sessionToken":false}`:               "sessionToken in the answer is true or false",
		`{"accessKeyId":"A","secretAccessKey":"S S","sessionToken":"T"}`:               "secretAccessKey in the answer holds characters that no key has",
		`{"accessKeyId":"A","secretAccessKey":"S\n","sessionToken":"T"}`:               "secretAccessKey in the answer holds characters",
		`{"accessKeyId":"A\u0000","secretAccessKey":"S","sessionToken":"T"}`:           "accessKeyId in the answer holds characters",
		"{\"accessKeyId\":\"A\xff\",\"secretAccessKey\":\"S\",\"sessionToken\":\"T\"}": "accessKeyId in the answer holds characters",

		with(`"accessKeyId":"ASIAOTHER"`):                      "the answer has accessKeyId and accessKeyId, and they differ",
		with(`"access_key_id":"ASIAOTHER"`):                    "the answer has accessKeyId and access_key_id, and they differ",
		with(`"credentials":{"SessionToken":"other"}`):         "the answer has sessionToken and SessionToken, and they differ",
		with(`"expiresAt":1738344480,"expiration":1738344482`): "the answer has expiresAt and expiration, and they differ",
		with(`"expiresIn":60,"expires_in":61`):                 "the answer has expires_in twice, and they differ",

		with(`"expiresAt":""`):                     "expiresAt in the answer is no date: it is a string, and has to be one such as 2006-01-02T15:04:05Z",
		with(`"expiresAt":"tomorrow"`):             "expiresAt in the answer is no date",
		with(`"expiresAt":"2025-01-31"`):           "expiresAt in the answer is no date",
		with(`"expiresAt":"2025-13-31T17:28:00Z"`): "expiresAt in the answer is no date",
		with(`"expiresAt":"17:28"`):                "expiresAt in the answer is no date",
		with(`"expiresAt":"NaN"`):                  "expiresAt in the answer is no date",
		with(`"expiresAt":"Inf"`):                  "expiresAt in the answer is no date",
		with(`"expiresAt":"0x6799"`):               "expiresAt in the answer is no date",
		with(`"expiresAt":1e400`):                  "expiresAt in the answer is no date",
		with(`"expiresAt":1e300`):                  "expiresAt in the answer is no date",
		with(`"expiresAt":-1`):                     "expiresAt in the answer is no date",
		with(`"expiresAt":0`):                      "expiresAt in the answer is no date",
		with(`"expiresAt":true`):                   "expiresAt in the answer is no date: it is true or false",
		with(`"expiresAt":{}`):                     "expiresAt in the answer is no date: it is an object",
		with(`"expiresIn":"soon"`):                 "expiresIn in the answer is no number of seconds",
		with(`"expiresIn":0`):                      "expiresIn in the answer is no number of seconds",
		with(`"expiresIn":-5`):                     "expiresIn in the answer is no number of seconds",
		with(`"expiresAt":"2025-01-31T16:28:00Z"`): "the credentials in the answer expired at 2025-01-31T16:28:00Z by expiresAt, and it is 2025-01-31T16:28:00Z here: is a clock wrong",
		with(`"expiresAt":1`):                      "expired at 1970-01-01T00:00:01Z",
		with(`"expiresAt":3600`):                   "expired at 1970-01-01T01:00:00Z",
		with(`"expiresAt":"2025-02-02T04:28:01Z"`): "expire at 2025-02-02T04:28:01Z by expiresAt, and no session of AWS's lasts longer than 36h0m0s: is the number one of seconds or of milliseconds",
		with(`"expiresAt":1738344480000000`):       "expiresAt in the answer is no date", // Microseconds.
		with(`"expiresAt":99999999999`):            "no session of AWS's lasts longer",
		with(`"expiresIn":1e18`):                   "no session of AWS's lasts longer",
		with(`"expiresIn":129601`):                 "no session of AWS's lasts longer",
	} {
		creds, _, err := parseHelperAnswer([]byte(body), answeredAt)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\ngot  %v\nwant %s", clip.Text(body), err, want)
			continue
		}
		if creds != (sigv4.Credentials{}) {
			t.Errorf("%s: credentials beside an error", clip.Text(body))
		}
		for _, secret := range []string{handedOut.SecretAccessKey, handedOut.SessionToken, "ASIAOTHER"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v holds a secret", clip.Text(body), err)
			}
		}
	}
}

// TestHelperAnswersInEveryOrder: what an answer means does not depend on the order of its members.
func TestHelperAnswersInEveryOrder(t *testing.T) {
	members := []string{`"accessKeyId":"ASIAEXAMPLE"`, `"credentials":{"secret_access_key":"wJalr/XUtn+FEMI"}`, `"SessionToken":"FwoGZXIvYXdz=="`, `"expiresAt":1738344480`}
	var permute func(done, left []string)
	permute = func(done, left []string) {
		if len(left) == 0 {
			body := "{" + strings.Join(done, ",") + "}"
			if creds, expires, err := parseHelperAnswer([]byte(body), answeredAt); err != nil || creds != handedOut || !expires.Equal(answeredFor) {
				t.Errorf("%s: got %v until %v, %v", body, creds, expires, err)
			}
			return
		}
		for i := range left {
			rest := append(append([]string(nil), left[:i]...), left[i+1:]...)
			permute(append(append([]string(nil), done...), left[i]), rest)
		}
	}
	permute(nil, members)
}

func FuzzParseHelperAnswer(f *testing.F) {
	for _, body := range []string{
		`{` + camelKeys + `,"expiresAt":"2025-01-31T17:28:00Z"}`,
		`{"Credentials":{` + awsKeys + `,"Expiration":1738344480}}`,
		`{` + snakeKeys + `,"expires_in":"3600","expires_at":"Fri, 31 Jan 2025 17:28:00 GMT"}`,
		`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
		`<html>`, `[[[[[[[[[`, `{"a":1}{`, `null`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		creds, expires, err := parseHelperAnswer(body, answeredAt)
		if err != nil {
			if creds != (sigv4.Credentials{}) || !expires.IsZero() {
				t.Error("credentials beside an error")
			}
			if strings.ContainsAny(err.Error(), "\r\n") && !strings.ContainsAny(string(body), "\r\n\\") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		for _, v := range []string{creds.AccessKeyID, creds.SecretAccessKey, creds.SessionToken} {
			if v == "" || strings.Trim(v, "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~") != "" {
				t.Errorf("%q is no key", v)
			}
		}
		if left := expires.Sub(answeredAt); left <= 0 || left > maxSession {
			t.Errorf("they expire in %v", left)
		}
		// The same, said in the plainest way, is the same.
		plain := fmt.Sprintf(`{"accessKeyId":%q,"secretAccessKey":%q,"sessionToken":%q,"expiresAt":%q}`,
			creds.AccessKeyID, creds.SecretAccessKey, creds.SessionToken, expires.Format(time.RFC3339Nano))
		if c, e, err := parseHelperAnswer([]byte(plain), answeredAt); err != nil || c != creds || !e.Equal(expires) {
			t.Errorf("%s: got %v until %v, %v", plain, c, e, err)
		}
	})
}
