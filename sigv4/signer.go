package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	headerAuthorization = "Authorization"
	headerDate          = "X-Amz-Date"
	headerToken         = "X-Amz-Security-Token"
	headerPayload       = "X-Amz-Content-Sha256"

	dateFormat = "20060102T150405Z"
	dayLength  = len("20060102")
)

// inputError is a mistake in what a caller of this package gave it.
type inputError string

func (e inputError) Error() string { return "sigv4: " + string(e) }

// Signer signs for exactly one identity. It keeps the signing keys that it
// derived, by day, region and service, at most 64 of them. It is safe for
// concurrent use and never prints its secrets.
type Signer struct {
	credentials Credentials
	// invalid is why the credentials can't sign, or nil.
	invalid error
	// tokenSum is the SHA-256 of the session token, by which the verifier
	// compares it without telling its length.
	tokenSum [sha256.Size]byte
	keys     keyCache
}

// NewSigner returns a signer for the credentials. Credentials that can't sign
// are reported by [Signer.Sign].
func NewSigner(c Credentials) *Signer {
	return &Signer{credentials: c, invalid: c.check(), tokenSum: sha256.Sum256([]byte(c.SessionToken))}
}

// AccessKeyID returns the access key ID of the identity.
func (s *Signer) AccessKeyID() string { return s.credentials.AccessKeyID }

// String returns the access key ID and no secret.
func (s *Signer) String() string { return "sigv4.Signer{" + s.credentials.AccessKeyID + "}" }

// Format writes String for every verb, so that no verb reaches the fields.
func (s *Signer) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, s.String())
}

// Input is a request to sign.
type Input struct {
	// Method is the request's method, as sent.
	Method string
	// Host is the Host that is sent, with its port unless that is the default
	// one: see [StripDefaultPort].
	Host string
	// Target is the path and query that are sent: see [Canonicalize] and
	// [Target.SetURL].
	Target Target
	// Header is the caller's own map, which no one else holds. Sign sets
	// Authorization, X-Amz-Date, X-Amz-Security-Token and, with
	// PayloadHeader, X-Amz-Content-Sha256, and deletes other spellings of
	// these, and the token if the credentials have none. Nothing else is
	// written. A Host in it is ignored, as net/http ignores it.
	Header http.Header
	// Rules choose the headers to sign; nil is the default.
	Rules *HeaderRules
	// PayloadHash is the lower-case hexadecimal SHA-256 of the body, or
	// [UnsignedPayload].
	PayloadHash string
	// PayloadHeader asks for X-Amz-Content-Sha256, which the S3 family and
	// OpenSearch Serverless require.
	PayloadHeader bool
	// Service and Region are the signing name and region of the credential
	// scope.
	Service, Region string
	// Time is the time of signing.
	Time time.Time
	// Trace, if not nil, is filled with what was signed.
	Trace *Trace
}

// Sign signs the request and writes the headers that carry the signature. On
// an error nothing is written. Errors never hold a secret.
func (s *Signer) Sign(in Input) error {
	if err := s.check(&in); err != nil {
		return err
	}
	work := scratches.Get().(*scratch)
	defer work.release()

	// The day for the key cache is a part of the date, which is needed as a
	// string anyway.
	var dateSpace [len(dateFormat)]byte
	date := string(appendDate(dateSpace[:0], in.Time))
	scope := keyScope{day: date[:dayLength], region: in.Region, service: in.Service}

	if err := s.collect(work, &in, date); err != nil {
		return err
	}
	work.sortFields()
	b := work.appendCanonicalRequest(work.buffer, in.Method, in.Target.CanonicalPath, in.Target.Query, in.PayloadHash)
	canonicalEnd := len(b)
	sum := sha256.Sum256(b)

	b = append(b, algorithm+"\n"...)
	b = append(append(b, date...), '\n')
	b = appendScope(b, scope)
	b = append(b, '\n')
	b = hex.AppendEncode(b, sum[:])
	toSignEnd := len(b)

	b = s.keys.get(s.credentials.SecretAccessKey, scope).appendMAC(b, b[canonicalEnd:toSignEnd])
	macEnd := len(b)

	b = append(b, algorithm+" Credential="...)
	b = append(append(b, s.credentials.AccessKeyID...), '/')
	b = appendScope(b, scope)
	b = append(b, ", SignedHeaders="...)
	b = work.appendSignedHeaders(b)
	b = append(b, ", Signature="...)
	b = hex.AppendEncode(b, b[toSignEnd:macEnd])
	work.buffer = b

	s.write(work, &in, string(b[macEnd:]), date)
	if in.Trace != nil {
		*in.Trace = Trace{
			CanonicalRequest: string(b[:canonicalEnd]),
			StringToSign:     string(b[canonicalEnd:toSignEnd]),
			SignedHeaders:    string(work.appendSignedHeaders(nil)),
			Signature:        hex.EncodeToString(b[toSignEnd:macEnd]),
			CredentialScope:  string(appendScope(nil, scope)),
		}
	}
	return nil
}

// check refuses an input that would be signed wrongly or not be sent as signed.
func (s *Signer) check(in *Input) error {
	if s.invalid != nil {
		return s.invalid
	}
	if in.Method == "" || !tokenBytes.all(in.Method) {
		return inputError("method " + quoteClipped(in.Method, 32) + " is no HTTP method: give it as it is sent, such as GET")
	}
	if err := checkHost(in.Host); err != nil {
		return err
	}
	if err := checkScopePart("service", in.Service); err != nil {
		return err
	}
	if err := checkScopePart("region", in.Region); err != nil {
		return err
	}
	if !isTarget(in.Target) {
		return inputError("the target has no path, or bytes that are not canonical: make it with Canonicalize")
	}
	if in.PayloadHash != EmptyPayloadHash && in.PayloadHash != UnsignedPayload && !isHexSHA256(in.PayloadHash) {
		return inputError("payload hash " + quoteClipped(in.PayloadHash, 80) + " is no SHA-256 in 64 lower-case hexadecimal digits: take it from HashPayload, or give " + UnsignedPayload)
	}
	if in.Header == nil {
		return inputError("the header map is nil: give the map of the request that is sent")
	}
	// Other years do not fit the four digits of the date.
	if year := in.Time.UTC().Year(); in.Time.IsZero() || year < 1 || year > 9999 {
		return inputError("the time of signing is not set: give the current time")
	}
	return nil
}

// checkScopePart refuses what would break out of the credential scope.
func checkScopePart(what, value string) error {
	if value == "" {
		return inputError("the " + what + " is empty: give the " + what + " of the credential scope, such as " + scopeExample(what))
	}
	for i := range len(value) {
		if c := value[i]; c <= ' ' || c >= 0x7f || c == '/' || c == ',' {
			return inputError(what + " " + quoteClipped(value, 64) + " holds a byte that can't be in a credential scope: give one such as " + scopeExample(what))
		}
	}
	return nil
}

func scopeExample(what string) string {
	if what == "region" {
		return "us-east-1"
	}
	return "execute-api"
}

// isTarget reports whether a Target is fit to be a part of the canonical
// request: its parts are bytes that only Canonicalize leaves.
func isTarget(t Target) bool {
	if t.Path == "" || t.Path[0] != '/' || t.CanonicalPath == "" || t.CanonicalPath[0] != '/' {
		return false
	}
	return noneOf(t.CanonicalPath, "\n ") && noneOf(t.Query, "\n +")
}

// noneOf reports whether s has none of a few bytes. Looking for each alone is
// faster than strings.ContainsAny.
func noneOf(s, few string) bool {
	for i := range len(few) {
		if strings.IndexByte(s, few[i]) >= 0 {
			return false
		}
	}
	return true
}

// collect gathers the headers to sign, those that Sign is going to set among
// them.
func (s *Signer) collect(work *scratch, in *Input, date string) error {
	for key, values := range in.Header {
		if !in.Rules.concerns(key) {
			continue
		}
		name := work.lower(key)
		switch string(name) {
		case "host":
			continue
		case "authorization", "x-amz-date", "x-amz-security-token":
			work.stray(key)
			continue
		case "x-amz-content-sha256":
			if in.PayloadHeader {
				work.stray(key)
				continue
			}
			for _, v := range values {
				if v != in.PayloadHash {
					return inputError("the header x-amz-content-sha256 contradicts the payload hash: remove it, or sign with the payload header")
				}
			}
		}
		if !in.Rules.isSigned(name) {
			continue
		}
		if err := work.addHeader(name, key, values); err != nil {
			return err
		}
	}
	work.add("host", in.Host)
	work.add("x-amz-date", date)
	if s.credentials.SessionToken != "" {
		work.add("x-amz-security-token", s.credentials.SessionToken)
	}
	if in.PayloadHeader {
		work.add("x-amz-content-sha256", in.PayloadHash)
	}
	return nil
}

// stray notes a key that Sign replaces.
func (s *scratch) stray(key string) { s.strays = append(s.strays, key) }

// write puts the results into the caller's header map.
func (s *Signer) write(work *scratch, in *Input, authorization, date string) {
	for _, key := range work.strays {
		delete(in.Header, key)
	}
	// One array for all values. Each slice is full, so that an append to it
	// copies.
	values := make([]string, 0, 4)
	set := func(key, value string) {
		values = append(values, value)
		in.Header[key] = values[len(values)-1 : len(values) : len(values)]
	}
	set(headerAuthorization, authorization)
	set(headerDate, date)
	if s.credentials.SessionToken != "" {
		set(headerToken, s.credentials.SessionToken)
	}
	if in.PayloadHeader {
		set(headerPayload, in.PayloadHash)
	}
}

func appendScope(b []byte, scope keyScope) []byte {
	b = append(append(b, scope.day...), '/')
	b = append(append(b, scope.region...), '/')
	b = append(append(b, scope.service...), '/')
	return append(b, terminator...)
}

// appendDate appends the time in UTC as in X-Amz-Date: ISO 8601's basic
// format, to the second. [time.Time.AppendFormat] does the same, but it reads
// the format first, which takes several times as long.
func appendDate(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(b, dateFormat)
	}
	hour, minute, second := t.Clock()
	b = appendTwoDigits(appendTwoDigits(b, year/100), year%100)
	b = appendTwoDigits(appendTwoDigits(b, int(month)), day)
	b = append(b, 'T')
	b = appendTwoDigits(appendTwoDigits(appendTwoDigits(b, hour), minute), second)
	return append(b, 'Z')
}

func appendTwoDigits(b []byte, n int) []byte {
	return append(b, digits[n/10], digits[n%10])
}
