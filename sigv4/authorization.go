package sigv4

import "strings"

// Authorization is a parsed Authorization header of Signature Version 4.
type Authorization struct {
	// Algorithm is "AWS4-HMAC-SHA256".
	Algorithm string
	// AccessKeyID names the key that the client claims to have signed with.
	AccessKeyID string
	// Date, Region and Service are the credential scope; Date is a day,
	// "20060102".
	Date, Region, Service string
	// Signature is the signature in lower-case hexadecimal.
	Signature string
	// SignedHeaders are in lower case, sorted, each once.
	SignedHeaders []string
}

const (
	// maxAuthorization bounds the bytes of an Authorization header that is
	// looked at. Real ones have some 200 to 1000.
	maxAuthorization = 8 << 10
	// maxScopePart bounds the access key ID (16 to 128 characters in the IAM
	// API), the region and the service.
	maxScopePart = 128
)

// ParseAuthorization reads the value of an Authorization header:
//
//	AWS4-HMAC-SHA256 Credential=ID/DAY/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=HEX
//
// The grammar is strict: these elements in this order, a comma with or without
// blanks after it, header names in lower case, sorted and each once, 64
// lower-case hexadecimal digits. The error is a [*VerifyError] with
// [ReasonMalformedAuthorization].
func ParseAuthorization(value string) (Authorization, error) {
	if len(value) > maxAuthorization {
		return Authorization{}, malformed("the header is longer than 8192 bytes")
	}
	scheme, rest, ok := strings.Cut(value, " ")
	if !ok || scheme != algorithm {
		return Authorization{}, malformed("the scheme is not " + algorithm + ": sign with Signature Version 4 in the Authorization header")
	}
	var elements [3]string
	for i, name := range [...]string{"Credential=", "SignedHeaders=", "Signature="} {
		var element string
		var more bool
		element, rest, more = strings.Cut(strings.TrimLeft(rest, " "), ",")
		if elements[i], ok = strings.CutPrefix(element, name); !ok {
			return Authorization{}, malformed("the elements are not Credential, SignedHeaders and Signature, in this order and joined by commas")
		}
		if last := i == len(elements)-1; more == last {
			return Authorization{}, malformed("there are not exactly three elements: give Credential, SignedHeaders and Signature")
		}
	}
	a := Authorization{Algorithm: algorithm, Signature: elements[2]}
	if err := a.parseCredential(elements[0]); err != nil {
		return Authorization{}, err
	}
	a.SignedHeaders = strings.Split(elements[1], ";")
	for i, name := range a.SignedHeaders {
		if name == "" || !tokenBytes.all(name) || lowerASCII(name) != name {
			return Authorization{}, malformed("SignedHeaders holds something else than field names in lower case")
		}
		if i > 0 && a.SignedHeaders[i-1] >= name {
			return Authorization{}, malformed("SignedHeaders is not sorted, or names a header twice")
		}
	}
	if !isHexSHA256(a.Signature) {
		return Authorization{}, malformed("Signature is not 64 lower-case hexadecimal digits")
	}
	return a, nil
}

func (a *Authorization) parseCredential(credential string) error {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[4] != terminator {
		return malformed("Credential is not ID/DAY/REGION/SERVICE/" + terminator)
	}
	for _, p := range parts {
		if p == "" || len(p) > maxScopePart {
			return malformed("a part of Credential is empty or longer than 128 bytes")
		}
		for i := range len(p) {
			if p[i] <= ' ' || p[i] >= 0x7f {
				return malformed("Credential holds a blank, a control byte or a byte that is not ASCII")
			}
		}
	}
	if len(parts[1]) != dayLength || !digitBytes.all(parts[1]) {
		return malformed("the day in Credential is not eight digits")
	}
	a.AccessKeyID, a.Date, a.Region, a.Service = parts[0], parts[1], parts[2], parts[3]
	return nil
}

func malformed(message string) error {
	return &VerifyError{Reason: ReasonMalformedAuthorization, message: "authorization header: " + message}
}
