package wireverify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Key is what belongs to an access key ID.
type Key struct {
	// Secret is the secret access key.
	Secret string
	// Token is the session token that must come with it; "" if none may.
	Token string
}

// Verifier knows keys and verifies requests that were signed with them.
type Verifier struct {
	// Key returns the key with an access key ID.
	Key func(id string) (Key, bool)
	// Now tells the time. Default: time.Now.
	Now func() time.Time
	// Lenient accepts paths that a service may normalise or not, with the
	// signature of the normalised one, and a raw plus. By default both
	// readings of a path must have the same signature, and a raw plus in the
	// query or in the path for S3 is refused since it may mean a blank.
	Lenient bool
}

// Signature is who signed a request, and for what.
type Signature struct {
	AccessKeyID, Service, Region string
	// SignedHeaders are the signed headers' names.
	SignedHeaders []string
	// PayloadHash is what was signed of the payload: a SHA-256 in hexadecimal
	// digits or UNSIGNED-PAYLOAD.
	PayloadHash string
}

const maxSkew = 5 * time.Minute

// Verify recomputes the signature of a request whose body was read. The error
// is the reason why a server would refuse it.
func (v *Verifier) Verify(r *Request) (Signature, error) {
	var s Signature
	if !r.Complete {
		return s, fmt.Errorf("the body is incomplete: %d of %d bytes", len(r.Body), r.Length)
	}
	authorization, err := one(r, "Authorization")
	if err != nil {
		return s, err
	}
	a, err := parseAuthorization(authorization)
	if err != nil {
		return s, err
	}
	s = Signature{AccessKeyID: a.id, Service: a.service, Region: a.region, SignedHeaders: a.signed}
	key, ok := v.Key(a.id)
	if !ok {
		return s, fmt.Errorf("access key %q is unknown", a.id)
	}
	if err := v.checkHeaders(r, a, key); err != nil {
		return s, err
	}
	if s.PayloadHash, err = payloadHash(r, a.service); err != nil {
		return s, err
	}
	path, query, _ := strings.Cut(r.Target, "?")
	if err := checkTarget(r.Target); err != nil {
		return s, err
	}
	if err := checkNoAuthQuery(query); err != nil {
		return s, err
	}
	if !v.Lenient && (strings.Contains(query, "+") || isS3Family(a.service) && strings.Contains(path, "+")) {
		return s, fmt.Errorf("request target %q holds a raw plus, which may mean a blank", r.Target)
	}
	canonical, err := canonicalQuery(query)
	if err != nil {
		return s, err
	}
	paths, err := canonicalPaths(a.service, path)
	if err != nil {
		return s, err
	}
	if v.Lenient {
		paths = paths[:1]
	}
	for _, p := range paths {
		if err := a.check(key, r, p, canonical, s.PayloadHash); err != nil {
			return s, err
		}
	}
	return s, nil
}

// checkHeaders checks what must be there once, and what must be signed.
func (v *Verifier) checkHeaders(r *Request, a *authorization, key Key) error {
	host, err := one(r, "Host")
	if err != nil {
		return err
	}
	if host == "" {
		return errors.New("the Host is empty")
	}
	date, err := one(r, "X-Amz-Date")
	if err != nil {
		return err
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	at, err := time.Parse("20060102T150405Z", date)
	if err != nil {
		return fmt.Errorf("X-Amz-Date is %q", date)
	}
	if skew := now().Sub(at).Abs(); skew > maxSkew {
		return fmt.Errorf("X-Amz-Date is %v off", skew)
	}
	if a.date = date; a.day != date[:8] {
		return fmt.Errorf("the credential scope is of %s, X-Amz-Date is %s", a.day, date)
	}
	tokens := r.Values("X-Amz-Security-Token")
	switch {
	case key.Token == "" && len(tokens) > 0:
		return errors.New("a session token came with a key that has none")
	case key.Token != "" && (len(tokens) != 1 || tokens[0] != key.Token):
		return fmt.Errorf("%d session tokens, want the one of this key", len(tokens))
	}
	for _, h := range r.Headers {
		name := strings.ToLower(h.Name)
		mustBeSigned := name == "host" || name == "content-type" || strings.HasPrefix(name, "x-amz-")
		if mustBeSigned && !slices.Contains(a.signed, name) {
			return fmt.Errorf("header %q is not signed", h.Name)
		}
	}
	for _, name := range a.signed {
		if len(r.Values(name)) == 0 {
			return fmt.Errorf("header %q is signed and missing", name)
		}
	}
	return nil
}

// payloadHash returns the last line of the canonical request, after comparing
// it with the body.
func payloadHash(r *Request, service string) (string, error) {
	sum := sha256.Sum256(r.Body)
	actual := hex.EncodeToString(sum[:])
	said := r.Values("X-Amz-Content-Sha256")
	switch {
	case len(said) > 1:
		return "", errors.New("X-Amz-Content-Sha256 is there twice")
	case len(said) == 0 && isS3Family(service):
		return "", errors.New("S3 wants X-Amz-Content-Sha256")
	case isS3Family(service) && r.Chunked:
		return "", errors.New("S3 wants a Content-Length")
	case len(said) == 0:
		return actual, nil
	case said[0] == "UNSIGNED-PAYLOAD":
		if !r.TLS && isS3Family(service) {
			return "", errors.New("UNSIGNED-PAYLOAD without TLS")
		}
		return said[0], nil
	case said[0] != actual:
		return "", fmt.Errorf("X-Amz-Content-Sha256 is %q and the body's is %s", said[0], actual)
	}
	return actual, nil
}

func one(r *Request, name string) (string, error) {
	values := r.Values(name)
	if len(values) != 1 {
		return "", fmt.Errorf("%d headers %s, want 1", len(values), name)
	}
	return values[0], nil
}

// authorization is an Authorization header, taken apart.
type authorization struct {
	id, day, region, service string
	signed                   []string
	signature                string
	date                     string
}

func parseAuthorization(header string) (*authorization, error) {
	rest, ok := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
	if !ok {
		return nil, fmt.Errorf("the Authorization is not of AWS4-HMAC-SHA256: %q", clip(header))
	}
	parts := strings.Split(rest, ",")
	if len(parts) != 3 {
		return nil, fmt.Errorf("the Authorization has %d parts, want 3", len(parts))
	}
	var values [3]string
	for i, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if values[i], ok = strings.CutPrefix(strings.TrimSpace(parts[i]), name+"="); !ok {
			return nil, fmt.Errorf("the Authorization has %q where %s should be", clip(parts[i]), name)
		}
	}
	scope := strings.Split(values[0], "/")
	if len(scope) != 5 || slices.Contains(scope, "") || scope[4] != "aws4_request" {
		return nil, fmt.Errorf("the credential scope is %q", values[0])
	}
	a := &authorization{
		id: scope[0], day: scope[1], region: scope[2], service: scope[3],
		signed: strings.Split(values[1], ";"), signature: values[2],
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(a.signed)))
	if !slices.Equal(sorted, a.signed) || strings.ToLower(values[1]) != values[1] {
		return nil, fmt.Errorf("the signed headers are not lower-case, sorted and unique: %q", values[1])
	}
	return a, nil
}

func clip(s string) string { return s[:min(len(s), 60)] }

// check recomputes the signature for one reading of the path.
func (a *authorization) check(key Key, r *Request, path, query, payload string) error {
	headers := make([]string, len(a.signed))
	for i, name := range a.signed {
		headers[i] = canonicalHeader(r, name)
	}
	canonical := strings.Join([]string{r.Method, path, query, strings.Join(headers, "\n"), "", strings.Join(a.signed, ";"), payload}, "\n")

	sum := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{a.day, a.region, a.service, "aws4_request"}, "/")
	toSign := "AWS4-HMAC-SHA256\n" + a.date + "\n" + scope + "\n" + hex.EncodeToString(sum[:])

	signing := []byte("AWS4" + key.Secret)
	for text := range strings.SplitSeq(scope, "/") {
		signing = sign(signing, text)
	}
	if want := hex.EncodeToString(sign(signing, toSign)); !hmac.Equal([]byte(want), []byte(a.signature)) {
		return fmt.Errorf("SignatureDoesNotMatch: for this canonical request it is %s, and %s was sent:\n%s", want, clip(a.signature), canonical)
	}
	return nil
}

func sign(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
