package awssigv4

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// signedBy is whom a request was signed as, and for what.
type signedBy struct {
	identity credentials.Identity
	creds    *credentials.Credentials
	service  string // for which service
}

// resign handles an answer that may say that AWS does not, or no longer, know
// the credentials, although they should be valid: a session that was revoked,
// a key that was replaced where it came from. They are renewed, and if the body
// can be sent again, so is the request, once. In all other cases the client
// gets the answer as it came.
func (t *Transport) resign(req *http.Request, by signedBy, res *http.Response) *http.Response {
	code := refusalCode(res, by.service)
	if code == "" {
		return res
	}
	again, outcome, err := t.signAgain(req, by)
	refusedTokensTotal.WithLabelValues(string(outcome)).Inc()
	if c := t.logger.Check(zapcore.WarnLevel, "AWS refused the credentials"); c != nil {
		c.Write(zap.String("code", code), zap.String("identity", by.identity.Label), zap.String("then", then[outcome]), zap.Error(err))
	}
	if again == nil {
		return res
	}
	res.Body.Close()
	return again
}

// renewal is what followed after AWS refused credentials.
type renewal string

const (
	signedAgain   renewal = "signed_again"
	noNewer       renewal = "no_newer"
	notRepeatable renewal = "not_repeatable"
	notSentAgain  renewal = "error"
)

// then says it to people.
var then = map[renewal]string{
	signedAgain:   "they were renewed, and the request was signed and sent again",
	noNewer:       "there are none newer, so the client gets AWS's answer",
	notRepeatable: "they are renewed for the next request: the body of this one was not held, so it can't be sent again",
	notSentAgain:  "they were renewed, but the request could not be sent again",
}

// signAgain renews the credentials and repeats the request. It returns nil if
// either can't be done.
func (t *Transport) signAgain(req *http.Request, by signedBy) (*http.Response, renewal, error) {
	if !t.canRepeat(req) {
		t.app.cache.RenewLater(by.identity, by.creds)
		return nil, notRepeatable, nil
	}
	if _, err := t.app.cache.Renew(req.Context(), by.identity, by.creds); err != nil {
		return nil, noNewer, err
	}
	out, err := t.signedCopy(req, &by)
	if err != nil {
		return nil, notSentAgain, err
	}
	res, err := t.HTTPTransport.RoundTrip(out)
	if err != nil {
		return nil, notSentAgain, err
	}
	return res, signedAgain, nil
}

// canRepeat tells whether all of the request's body, if any, is held.
func (t *Transport) canRepeat(req *http.Request) bool {
	if req.Body == nil || req.Body == http.NoBody {
		return true
	}
	p := planOf(req.Context())
	if p != nil && !p.claim(t) {
		p = nil
	}
	b := bodyOf(req.Context(), p)
	return b.held != nil && b.isOurs(req.Body)
}

// tokenErrors are what AWS services call credentials that they don't, or no
// longer, know: [S3], [the JSON and query protocols], and EC2 for RequestExpired.
//
// [S3]: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
// [the JSON and query protocols]: https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
var tokenErrors = map[string]bool{
	"ExpiredToken":                true,
	"ExpiredTokenException":       true,
	"TokenRefreshRequired":        true,
	"RequestExpired":              true,
	"InvalidToken":                true,
	"InvalidAccessKeyId":          true,
	"InvalidClientTokenId":        true,
	"UnrecognizedClientException": true,
}

// tokenMessages are what services say that send no code, such as OpenSearch.
var tokenMessages = map[string]string{
	"The security token included in the request is expired": "ExpiredTokenException",
	"The security token included in the request is invalid": "UnrecognizedClientException",
}

// maxErrorBody is how much of an answer is looked at; AWS's errors of this kind
// take a few hundred bytes, the token that S3 repeats included.
const maxErrorBody = 16 << 10

// errorPatience is how long an answer is waited for to be looked at; AWS sends
// such an error in one piece.
const errorPatience = time.Second

// applications are the services with which an application of whoever runs it
// answers, in a form of its own. Of these, AWS's own errors are known by a
// header alone: a request that the application has carried out must not be sent
// again because it uses AWS's words.
var applications = map[string]bool{
	"bedrock-agentcore": true,
	"execute-api":       true,
	"lambda":            true,
	"vpc-lattice-svcs":  true,
}

// refusalCode returns the code with which an answer of a service refuses the
// credentials, or "". The answer is as whole afterwards as before.
func refusalCode(res *http.Response, service string) string {
	switch res.StatusCode {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
	default:
		return ""
	}
	if v := res.Header.Get("X-Amzn-Errortype"); v != "" {
		return knownTokenError(v)
	}
	// An answer without AWS's request ID is not AWS's. Of services that are
	// compatible with S3, some send none.
	isAWS := res.Header.Get("X-Amzn-Requestid") != "" || res.Header.Get("X-Amz-Request-Id") != ""
	if applications[service] || !isAWS && service != "s3" {
		return ""
	}
	if kind := strings.ToLower(res.Header.Get("Content-Type")); kind != "" && !strings.Contains(kind, "xml") && (!isAWS || !strings.Contains(kind, "json")) {
		return ""
	}
	if res.Body == nil || res.ContentLength > maxErrorBody {
		return ""
	}
	text, body := lookAhead(res.Body, maxErrorBody, errorPatience)
	res.Body = body
	if res.Header.Get("Content-Encoding") == "gzip" {
		plain, err := gzip.NewReader(bytes.NewReader(text))
		if err != nil {
			return ""
		}
		text, _ = io.ReadAll(io.LimitReader(plain, maxErrorBody))
	}
	return tokenErrorIn(text)
}

// tokenErrorIn returns the code of an error in XML or JSON if it is about the
// credentials.
func tokenErrorIn(text []byte) string {
	if _, rest, found := bytes.Cut(text, []byte("<Code>")); found {
		code, _, _ := bytes.Cut(rest, []byte("</Code>"))
		return knownTokenError(string(code))
	}
	var e struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(text, &e) // What is of another type is left empty.
	for _, code := range []string{e.Type, e.Code, tokenMessages[e.Message]} {
		if code = knownTokenError(code); code != "" {
			return code
		}
	}
	return ""
}

// knownTokenError returns the bare code, if it is known, of what a service
// writes as `code`, `namespace#code` or `code:address`.
func knownTokenError(code string) string {
	code, _, _ = strings.Cut(code, ":")
	if i := strings.LastIndexByte(code, '#'); i >= 0 {
		code = code[i+1:]
	}
	if code = strings.TrimSpace(code); tokenErrors[code] {
		return code
	}
	return ""
}
