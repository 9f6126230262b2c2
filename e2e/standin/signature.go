package standin

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// signedRequest is a request as it came: nothing of it is decoded.
type signedRequest struct {
	method      string
	path, query string
	host        string
	header      http.Header
	body        []byte
}

// verifier verifies AWS Signature Version 4, in the Authorization header or in the query, as AWS STS does.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
type verifier struct {
	service, region string
	now             func() time.Time

	// lookUp returns whose a key is; its errors are those of the directory.
	lookUp func(keyID, token string) (*principal, error)

	// asItStands takes a path without removing dots and empty segments, as some services do, though not STS.
	asItStands bool
}

// The time that a signature may be away from now.
const maxSkew = 5 * time.Minute

const (
	algorithm = "AWS4-HMAC-SHA256"
	timestamp = "20060102T150405Z"
)

// credential is what a request says of its signature.
type credential struct {
	keyID, day, region, service string
	scope                       string
	signedHeaders               []string
	signature                   string
	date                        string
	token                       string
	valid                       time.Duration // of a presigned URL
}

// verify returns who signed a request, or a refusal in AWS's words.
func (v *verifier) verify(r *signedRequest) (*principal, *refusal) {
	c, presigned, refused := v.credential(r)
	if refused != nil {
		return nil, refused
	}
	p, refused := v.principal(c)
	if refused != nil {
		return nil, refused
	}
	if refused := v.checkScope(c); refused != nil {
		return nil, refused
	}
	if refused := v.checkDate(c, presigned); refused != nil {
		return nil, refused
	}
	if refused := checkSignedHeaders(r, c, presigned); refused != nil {
		return nil, refused
	}
	canonical, err := v.canonicalRequest(r, c)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "IncompleteSignature", "%v", err)
	}
	toSign := c.stringToSign(canonical)
	want := mac(signingKey(p.secret, c.day, c.region, c.service), toSign)
	if got, err := hex.DecodeString(c.signature); err != nil || !hmac.Equal(want, got) {
		return nil, refuse(http.StatusForbidden, "SignatureDoesNotMatch",
			"The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. "+
				"Consult the service documentation for details.\n\nThe Canonical String for this request should have been\n'%s'\n\n"+
				"The String-to-Sign should have been\n'%s'\n", canonical, toSign)
	}
	return p, nil
}

// credential reads the signature from the Authorization header, or from the query.
func (v *verifier) credential(r *signedRequest) (c *credential, presigned bool, _ *refusal) {
	query, err := parseQuery(r.query)
	if err != nil {
		return nil, false, refuse(http.StatusBadRequest, "MalformedQueryString", "%v", err)
	}
	inQuery := map[string]string{}
	for _, p := range query {
		if strings.HasPrefix(strings.ToLower(p.key), "x-amz-") {
			if _, ok := inQuery[p.key]; ok {
				return nil, false, refuse(http.StatusBadRequest, "IncompleteSignature", "The parameter %q is there twice.", p.key)
			}
			inQuery[p.key] = p.value
		}
	}
	authorizations := r.header.Values("Authorization")
	_, presigned = inQuery["X-Amz-Signature"]
	switch {
	case len(authorizations) == 0 && !presigned:
		return nil, false, refuse(http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token")
	case len(authorizations) > 1 || len(authorizations) == 1 && presigned:
		return nil, false, refuse(http.StatusBadRequest, "IncompleteSignature", "There is more than one signature.")
	case presigned:
		c, err = fromQuery(inQuery)
	default:
		c, err = fromHeader(r.header, authorizations[0])
	}
	if err != nil {
		return nil, false, refuse(http.StatusBadRequest, "IncompleteSignature", "%v", err)
	}
	return c, presigned, nil
}

func fromHeader(h http.Header, authorization string) (*credential, error) {
	rest, ok := strings.CutPrefix(authorization, algorithm+" ")
	if !ok {
		return nil, fmt.Errorf("Unsupported AWS 'algorithm': '%s'.", clip(authorization)) //nolint:staticcheck // AWS's words.
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := fields[name]; !ok || twice {
			return nil, fmt.Errorf("'%s' not a valid key=value pair (missing equal-sign) in Authorization header: '%s'.", clip(part), clip(authorization)) //nolint:staticcheck // AWS's words.
		}
		fields[name] = value
	}
	c := &credential{signature: fields["Signature"], signedHeaders: strings.Split(fields["SignedHeaders"], ";")}
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if fields[name] == "" {
			return nil, fmt.Errorf("Authorization header requires '%s' parameter. Authorization=%s", name, algorithm) //nolint:staticcheck // AWS's words.
		}
	}
	for name, field := range map[string]*string{"X-Amz-Date": &c.date, "X-Amz-Security-Token": &c.token} {
		if len(h.Values(name)) > 1 {
			return nil, fmt.Errorf("%s is there twice", name)
		}
		*field = h.Get(name)
	}
	return c, c.parse(fields["Credential"])
}

func fromQuery(q map[string]string) (*credential, error) {
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders"} {
		if q[name] == "" {
			return nil, fmt.Errorf("AWS query-string parameters must include '%s'. Re-examine the query-string parameters.", name) //nolint:staticcheck // AWS's words.
		}
	}
	if q["X-Amz-Algorithm"] != algorithm {
		return nil, fmt.Errorf("Unsupported AWS 'algorithm': '%s'.", clip(q["X-Amz-Algorithm"])) //nolint:staticcheck // AWS's words.
	}
	c := &credential{
		signature: q["X-Amz-Signature"], signedHeaders: strings.Split(q["X-Amz-SignedHeaders"], ";"),
		date: q["X-Amz-Date"], token: q["X-Amz-Security-Token"], valid: maxSkew,
	}
	if text, ok := q["X-Amz-Expires"]; ok {
		seconds, err := strconv.ParseUint(text, 10, 32)
		if err != nil || seconds > 604800 {
			return nil, fmt.Errorf("X-Amz-Expires is %q, want at most 604800", clip(text))
		}
		c.valid = time.Duration(seconds) * time.Second
	}
	return c, c.parse(q["X-Amz-Credential"])
}

// parse reads the credential and checks what of it needs no key.
func (c *credential) parse(text string) error {
	parts := strings.Split(text, "/")
	if len(parts) != 5 || slices.Contains(parts, "") || parts[4] != "aws4_request" {
		return errors.New("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term") //nolint:staticcheck // AWS's words.
	}
	c.keyID, c.day, c.region, c.service = parts[0], parts[1], parts[2], parts[3]
	c.scope = strings.Join(parts[1:], "/")
	names := slices.Compact(slices.Sorted(slices.Values(c.signedHeaders)))
	if !slices.Equal(names, c.signedHeaders) || slices.ContainsFunc(names, func(n string) bool { return n == "" || n != strings.ToLower(n) }) {
		return fmt.Errorf("the signed headers are not lower-case, sorted and unique: %q", clip(strings.Join(c.signedHeaders, ";")))
	}
	return nil
}

func (v *verifier) principal(c *credential) (*principal, *refusal) {
	p, err := v.lookUp(c.keyID, c.token)
	switch {
	case err == nil:
		return p, nil
	case errors.As(err, new(expiredError)):
		return nil, refuse(http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired")
	default:
		return nil, refuse(http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
	}
}

func (v *verifier) checkScope(c *credential) *refusal {
	if c.service != v.service {
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "Credential should be scoped to correct service: '%s'.", v.service)
	}
	if c.region != v.region {
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "Credential should be scoped to a valid region.")
	}
	return nil
}

func (v *verifier) checkDate(c *credential, presigned bool) *refusal {
	at, err := time.Parse(timestamp, c.date)
	if err != nil {
		return refuse(http.StatusBadRequest, "IncompleteSignature", "Date must be in ISO-8601 'basic format'. Got '%s'.", clip(c.date))
	}
	if c.day != c.date[:8] {
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")
	}
	now := v.now().UTC()
	valid := maxSkew
	if presigned {
		valid = c.valid
	}
	if oldest := now.Add(-valid); at.Before(oldest) {
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "Signature expired: %s is now earlier than %s (%s - %.0f min.)",
			c.date, oldest.Format(timestamp), now.Format(timestamp), valid.Minutes())
	}
	if newest := now.Add(maxSkew); at.After(newest) {
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "Signature not yet current: %s is still later than %s (%s + 5 min.)",
			c.date, newest.Format(timestamp), now.Format(timestamp))
	}
	return nil
}

// checkSignedHeaders holds a request to what the documentation says must be signed: host, content-type if it is there,
// and every x-amz-* header.
func checkSignedHeaders(r *signedRequest, c *credential, presigned bool) *refusal {
	if !slices.Contains(c.signedHeaders, "host") {
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.header {
		lower := strings.ToLower(name)
		if (lower == "content-type" && !presigned || strings.HasPrefix(lower, "x-amz-")) && !slices.Contains(c.signedHeaders, lower) {
			return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	for _, name := range c.signedHeaders {
		if name != "host" && len(r.header.Values(name)) == 0 {
			return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "'%s' is signed and not there.", name)
		}
	}
	return nil
}

// stringToSign returns what the signature is the MAC of.
func (c *credential) stringToSign(canonicalRequest string) string {
	sum := sha256.Sum256([]byte(canonicalRequest))
	return strings.Join([]string{algorithm, c.date, c.scope, hex.EncodeToString(sum[:])}, "\n")
}

func (v *verifier) canonicalRequest(r *signedRequest, c *credential) (string, error) {
	path := r.path
	if !v.asItStands {
		path = removeDots(path)
	}
	query, err := parseQuery(r.query)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(r.method + "\n" + escape(path, "/") + "\n" + canonicalQuery(query) + "\n")
	for _, name := range c.signedHeaders {
		values := []string{r.host}
		if name != "host" {
			values = slices.Clone(r.header.Values(name))
		}
		for i, value := range values {
			values[i] = strings.Join(strings.FieldsFunc(value, func(c rune) bool { return c == ' ' || c == '\t' }), " ")
		}
		b.WriteString(name + ":" + strings.Join(values, ",") + "\n")
	}
	sum := sha256.Sum256(r.body)
	b.WriteString("\n" + strings.Join(c.signedHeaders, ";") + "\n" + hex.EncodeToString(sum[:]))
	return b.String(), nil
}

type parameter struct{ key, value string }

// parseQuery splits a query. Only %XX is decoded: a plus sign is a plus sign.
func parseQuery(query string) ([]parameter, error) {
	var parameters []parameter
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		var p parameter
		var err error
		if p.key, err = unescape(key); err != nil {
			return nil, err
		}
		if p.value, err = unescape(value); err != nil {
			return nil, err
		}
		parameters = append(parameters, p)
	}
	return parameters, nil
}

// canonicalQuery encodes and sorts parameters. The signature is no part of what is signed.
func canonicalQuery(parameters []parameter) string {
	var encoded []parameter
	for _, p := range parameters {
		if p.key != "X-Amz-Signature" {
			encoded = append(encoded, parameter{escape(p.key, ""), escape(p.value, "")})
		}
	}
	slices.SortFunc(encoded, func(a, b parameter) int {
		if c := strings.Compare(a.key, b.key); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	texts := make([]string, 0, len(encoded))
	for _, p := range encoded {
		texts = append(texts, p.key+"="+p.value)
	}
	return strings.Join(texts, "&")
}

// removeDots removes empty and "." segments, and ".." with the one before it.
func removeDots(path string) string {
	var kept []string
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
		}
	}
	clean := "/" + strings.Join(kept, "/")
	if len(kept) > 0 && strings.HasSuffix(path, "/") {
		clean += "/"
	}
	return clean
}

// escape writes all bytes as %XX but the unreserved ones of RFC 3986, and those of keep.
func escape(s, keep string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("-._~"+keep, c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if len(s) < i+3 {
			return "", fmt.Errorf("the escape %q is cut off", s[i:])
		}
		c, err := hex.DecodeString(s[i+1 : i+3])
		if err != nil {
			return "", fmt.Errorf("%q is no escape", s[i:i+3])
		}
		b.Write(c)
		i += 2
	}
	return b.String(), nil
}

func clip(s string) string { return s[:min(len(s), 80)] }
