package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Reason says in one word why a request was refused. The words are stable:
// they are for metrics and for choosing an answer.
type Reason string

// The reasons of a [*VerifyError].
const (
	// ReasonMissingAuthorization: there is no Authorization header.
	ReasonMissingAuthorization Reason = "missing_authorization"
	// ReasonMalformedAuthorization: the Authorization header is not one of
	// Signature Version 4.
	ReasonMalformedAuthorization Reason = "malformed_authorization"
	// ReasonDuplicateHeader: a header that must be there at most once is there
	// several times.
	ReasonDuplicateHeader Reason = "duplicate_header"
	// ReasonQueryAuthentication: the query holds presign parameters besides
	// the Authorization header.
	ReasonQueryAuthentication Reason = "query_authentication"
	// ReasonMalformedRequest: the method, Host, path, query or payload hash can't
	// be a part of a canonical request.
	ReasonMalformedRequest Reason = "malformed_request"
	// ReasonMissingDate: there is neither X-Amz-Date nor Date.
	ReasonMissingDate Reason = "missing_date"
	// ReasonMalformedDate: the date can't be read.
	ReasonMalformedDate Reason = "malformed_date"
	// ReasonScopeDateMismatch: the credential scope is of another day.
	ReasonScopeDateMismatch Reason = "scope_date_mismatch"
	// ReasonExpired: the request was signed too long ago.
	ReasonExpired Reason = "expired"
	// ReasonNotYetValid: the request was signed too far in the future.
	ReasonNotYetValid Reason = "not_yet_valid"
	// ReasonHeaderNotSigned: Host or an x-amz-* header is not signed.
	ReasonHeaderNotSigned Reason = "header_not_signed"
	// ReasonSignedHeaderMissing: a header that SignedHeaders names is absent.
	ReasonSignedHeaderMissing Reason = "signed_header_missing"
	// ReasonPayloadMismatch: X-Amz-Content-Sha256 is not what the body has.
	ReasonPayloadMismatch Reason = "payload_mismatch"
	// ReasonUnknownKey: nobody here has that access key.
	ReasonUnknownKey Reason = "unknown_key"
	// ReasonTokenMismatch: the session token is not the one of the key, or is
	// there for a key that has none.
	ReasonTokenMismatch Reason = "token_mismatch"
	// ReasonSignatureMismatch: the signature is another one than that of what
	// arrived.
	ReasonSignatureMismatch Reason = "signature_mismatch"
)

// VerifyError is why a request was refused. Its text holds no secret and no
// signature. Telling [ReasonUnknownKey], [ReasonTokenMismatch] and
// [ReasonSignatureMismatch] apart is for the operator; a client is better told
// the same for all three.
type VerifyError struct {
	// Reason is the kind of refusal.
	Reason  Reason
	message string
}

// Error says what was wrong and what to do about it.
func (e *VerifyError) Error() string { return "sigv4: " + e.message }

func refuse(reason Reason, message string) error {
	return &VerifyError{Reason: reason, message: message}
}

const defaultSkew = 5 * time.Minute

// Verifier checks requests that clients signed with keys that the lookup
// knows. It is safe for concurrent use if the lookup is.
type Verifier struct {
	// Now is the clock; nil is time.Now. Set it before the first use.
	Now func() time.Time

	// Exact accepts a signature only for the very path and query on the wire:
	// for [PathDouble] services not the path that a normalised one stands for,
	// for [PathSingle] no encoded slash, and a raw '+' in the query as a space
	// only. Whoever passes a verified request on, to what may read it by other
	// rules, needs that: else one signature is good for several requests.
	// Set it before the first use.
	Exact bool

	lookup func(accessKeyID string) (*Signer, bool)
	skew   time.Duration
	// stranger stands in for unknown keys, so that they cost the same work.
	stranger *Signer
}

// NewVerifier returns a verifier. The lookup returns the signer for an access
// key ID; it should take the same time whether it knows the key or not.
// maxSkew is how far the time of signing may be from now, both ways; zero or
// less is 5 minutes, as most AWS services have it.
func NewVerifier(lookup func(accessKeyID string) (*Signer, bool), maxSkew time.Duration) *Verifier {
	if maxSkew <= 0 {
		maxSkew = defaultSkew
	}
	return &Verifier{
		lookup:   lookup,
		skew:     maxSkew,
		stranger: NewSigner(Credentials{AccessKeyID: "unknown", SecretAccessKey: "0000000000000000000000000000000000000000"}),
	}
}

// VerifyInput is a request as it arrived.
type VerifyInput struct {
	// Method and Host are those of the request line and the Host header.
	Method, Host string
	// RawPath and RawQuery are the client's bytes: see [RawPath]. The query
	// may hold anything but presign parameters.
	RawPath, RawQuery string
	// Header is only read.
	Header http.Header
	// PayloadHash is the lower-case hexadecimal SHA-256 of the body that
	// arrived. A caller that accepts bodies which the signature does not cover
	// gives the sentinel from X-Amz-Content-Sha256 instead, such as
	// [UnsignedPayload]: that is its decision, not the client's.
	PayloadHash string
}

// Verify checks the request's signature. It requires exactly one Authorization
// header and no presign parameters; X-Amz-Date (or Date) within the skew and
// on the day of the credential scope; Host and every x-amz-* header among the
// signed ones, so that nobody adds a header to a request that someone else
// signed; every signed header to be there; a session token if and only if the
// key has one, and that one.
//
// Where signers differ, each usual reading is accepted: for [PathDouble]
// services the path normalised or as it is, and a raw '+' in the query as a
// space or as a plus. For [PathSingle] services the path is decoded and
// encoded, as S3 does.
//
// Signatures and tokens are compared in constant time, and an unknown key
// costs the same work as a known one. The error is a [*VerifyError]; on an
// error the Authorization is empty.
func (v *Verifier) Verify(in VerifyInput) (Authorization, error) {
	auth, err := readAuthorization(&in)
	if err != nil {
		return Authorization{}, err
	}
	date, err := v.readDate(&in, auth.Date)
	if err != nil {
		return Authorization{}, err
	}
	if err := checkPayload(&in); err != nil {
		return Authorization{}, err
	}
	forms, err := v.canonicalForms(&in, PathRuleFor(auth.Service))
	if err != nil {
		return Authorization{}, err
	}
	work := scratches.Get().(*scratch)
	defer work.release()
	if err := collectSigned(work, &in, auth.SignedHeaders); err != nil {
		return Authorization{}, err
	}

	signer, known := v.lookup(auth.AccessKeyID)
	// A signer without a secret could be impersonated by anyone.
	if known = known && signer != nil && signer.invalid == nil && signer.AccessKeyID() == auth.AccessKeyID; !known {
		signer = v.stranger
	}
	tokenOK := signer.hasToken(headerValues(in.Header, "x-amz-security-token"))
	signatureOK := signer.matches(work, &in, &auth, date, forms)

	switch {
	case !known:
		return Authorization{}, refuse(ReasonUnknownKey, "the access key is not known here: sign with one that this server was given")
	case !tokenOK:
		return Authorization{}, refuse(ReasonTokenMismatch, "x-amz-security-token is not the session token of this access key: send the token that belongs to the key, and none for a key without one")
	case !signatureOK:
		return Authorization{}, refuse(ReasonSignatureMismatch, "the signature is not that of the request as it arrived: check the secret access key, and that nothing changes method, host, path, query, signed headers or body on the way")
	}
	return auth, nil
}

// readAuthorization checks that the request has one way of authentication, and
// reads it.
func readAuthorization(in *VerifyInput) (Authorization, error) {
	values := headerValues(in.Header, "authorization")
	switch len(values) {
	case 0:
		return Authorization{}, refuse(ReasonMissingAuthorization, "there is no authorization header: sign the request")
	case 1:
	default:
		return Authorization{}, refuse(ReasonDuplicateHeader, "there are several authorization headers: send one")
	}
	auth, err := ParseAuthorization(values[0])
	if err != nil {
		return Authorization{}, err
	}
	if hasAuthQuery(in.RawQuery) {
		return Authorization{}, refuse(ReasonQueryAuthentication, "the query holds presign parameters besides the authorization header: use one of the two")
	}
	return auth, nil
}

// readDate returns the time of signing in the form of X-Amz-Date.
func (v *Verifier) readDate(in *VerifyInput, day string) (string, error) {
	name := "x-amz-date"
	values := headerValues(in.Header, name)
	if len(values) == 0 {
		name = "date"
		values = headerValues(in.Header, name)
	}
	switch len(values) {
	case 0:
		return "", refuse(ReasonMissingDate, "there is no x-amz-date header: send the time of signing, such as 20060102T150405Z")
	case 1:
	default:
		return "", refuse(ReasonDuplicateHeader, "there are several "+name+" headers: send one")
	}
	at, ok := parseDate(values[0])
	if !ok && name == "date" {
		var err error
		at, err = http.ParseTime(values[0])
		ok = err == nil
	}
	if !ok {
		return "", refuse(ReasonMalformedDate, name+" "+quoteClipped(values[0], 40)+" can't be read: send a time such as 20060102T150405Z")
	}
	date := string(appendDate(nil, at))
	if !strings.HasPrefix(date, day) {
		return "", refuse(ReasonScopeDateMismatch, name+" is of another day than the credential scope: use one time for both")
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	age := now().Sub(at)
	switch {
	case age > v.skew:
		return "", refuse(ReasonExpired, "the request was signed at "+date+", too long ago: sign each request anew, and set the clock")
	case age < -v.skew:
		return "", refuse(ReasonNotYetValid, "the request was signed at "+date+", too far in the future: set the clock")
	}
	return date, nil
}

// parseDate reads the form of X-Amz-Date and no other: time.Parse alone would
// also take fractions of a second.
func parseDate(s string) (time.Time, bool) {
	at, err := time.Parse(dateFormat, s)
	return at, err == nil && len(s) == len(dateFormat)
}

// checkPayload compares what the client declared with what arrived.
func checkPayload(in *VerifyInput) error {
	if !isHexSHA256(in.PayloadHash) && !isSentinel(in.PayloadHash) {
		return refuse(ReasonMalformedRequest, "payload hash "+quoteClipped(in.PayloadHash, 80)+" is neither 64 lower-case hexadecimal digits nor a sentinel such as "+UnsignedPayload)
	}
	values := headerValues(in.Header, "x-amz-content-sha256")
	switch {
	case len(values) > 1:
		return refuse(ReasonDuplicateHeader, "there are several x-amz-content-sha256 headers: send one")
	case len(values) == 1 && values[0] != in.PayloadHash:
		return refuse(ReasonPayloadMismatch, "x-amz-content-sha256 is not the hash of the body that arrived: send the body that was signed")
	}
	return nil
}

// isSentinel reports whether s has the form of UNSIGNED-PAYLOAD and the
// STREAMING-… values.
func isSentinel(s string) bool {
	return s != "" && len(s) <= 64 && sentinelBytes.all(s)
}

// form is one reading of path and query.
type form struct{ path, query string }

// canonicalForms returns the readings of the path and query that arrived, at
// most four and mostly one.
func (v *Verifier) canonicalForms(in *VerifyInput, rule PathRule) ([]form, error) {
	if in.Method == "" || !tokenBytes.all(in.Method) {
		return nil, refuse(ReasonMalformedRequest, "the method "+quoteClipped(in.Method, 32)+" is no HTTP method")
	}
	if err := checkHost(in.Host); err != nil {
		return nil, refuse(ReasonMalformedRequest, strings.TrimPrefix(err.Error(), "sigv4: "))
	}
	target, err := Canonicalize(in.RawPath, in.RawQuery, rule)
	if err != nil {
		return nil, refuse(ReasonMalformedRequest, err.Error())
	}
	if v.Exact {
		return exactForm(in, rule, target)
	}
	paths := []string{target.CanonicalPath}
	if raw := in.RawPath; rule == PathDouble && raw != "" {
		paths = []string{encodeAgain(normalizePath(raw)), encodeAgain(raw)}
	}
	queries := []string{target.Query}
	if strings.Contains(in.RawQuery, "+") {
		// The other reading can't fail where the first did not.
		plus, _ := canonicalQuery(in.RawQuery, plusIsPlus)
		queries = append(queries, plus)
	}
	var forms []form
	for _, p := range slices.Compact(paths) {
		for _, q := range slices.Compact(queries) {
			forms = append(forms, form{p, q})
		}
	}
	return forms, nil
}

// exactForm is the one reading that [Verifier.Exact] leaves.
func exactForm(in *VerifyInput, rule PathRule, target Target) ([]form, error) {
	path := target.CanonicalPath
	switch {
	case rule == PathDouble && in.RawPath != "":
		path = encodeAgain(in.RawPath)
	case rule == PathSingle && strings.Contains(strings.ToUpper(in.RawPath), "%2F"):
		return nil, refuse(ReasonMalformedRequest, "the path holds an encoded slash, which is signed like a plain one: send slashes as they are")
	}
	return []form{{path, target.Query}}, nil
}

// collectSigned gathers the signed headers, and refuses a request in which
// one is missing or in which one that must be signed is not.
func collectSigned(work *scratch, in *VerifyInput, signed []string) error {
	if _, ok := slices.BinarySearch(signed, "host"); !ok {
		return refuse(ReasonHeaderNotSigned, "host is not among the signed headers: sign it")
	}
	for key, values := range in.Header {
		name := work.lower(key)
		if string(name) == "host" || len(values) == 0 {
			continue
		}
		if _, ok := slices.BinarySearch(signed, string(name)); !ok {
			if strings.HasPrefix(string(name), "x-amz-") {
				return refuse(ReasonHeaderNotSigned, quoteClipped(string(name), 64)+" is not among the signed headers: sign every x-amz-* header")
			}
			continue
		}
		if err := work.addHeader(name, key, values); err != nil {
			return refuse(ReasonMalformedRequest, strings.TrimPrefix(err.Error(), "sigv4: "))
		}
	}
	work.add("host", in.Host)
	work.sortFields()
	for _, name := range signed {
		if !work.has(name) {
			return refuse(ReasonSignedHeaderMissing, quoteClipped(name, 64)+" is among the signed headers but not in the request: something on the way removed it")
		}
	}
	return nil
}

// hasToken reports whether the session token that arrived is the signer's own,
// or none did and it has none.
func (s *Signer) hasToken(arrived []string) bool {
	token := ""
	if len(arrived) > 0 {
		token = arrived[0]
		// An empty token is a header too many for a key without one.
		if len(arrived) > 1 || token == "" {
			return false
		}
	}
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], s.tokenSum[:]) == 1
}

// matches reports whether the signature is that of one of the forms. It takes
// the same time whether and wherever one matches.
//
// The key is derived anew and not kept: a client chooses region and service
// before it has proved anything, and must not be able to fill a cache, or to
// learn from the time taken which keys are in use.
func (s *Signer) matches(work *scratch, in *VerifyInput, auth *Authorization, date string, forms []form) bool {
	scope := keyScope{day: auth.Date, region: auth.Region, service: auth.Service}
	key := newSigningKey(s.credentials.SecretAccessKey, scope)
	given, err := hex.DecodeString(auth.Signature)
	matched := false
	for _, f := range forms {
		b := work.appendCanonicalRequest(work.buffer[:0], in.Method, f.path, f.query, in.PayloadHash)
		sum := sha256.Sum256(b)
		end := len(b)
		b = append(b, algorithm+"\n"...)
		b = append(append(b, date...), '\n')
		b = appendScope(b, scope)
		b = append(b, '\n')
		b = hex.AppendEncode(b, sum[:])
		work.buffer = b
		var mac [sha256.Size]byte
		if hmac.Equal(key.appendMAC(mac[:0], b[end:]), given) {
			matched = true
		}
	}
	return matched && err == nil
}
