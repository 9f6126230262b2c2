package sigv4

import "testing"

func TestStripAuthQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"":                         "",
		"a=b":                      "a=b",
		"x=%zz&;&&=":               "x=%zz&;&&=",
		"X-Amz-Signature=1":        "",
		"X-Amz-Signature":          "",
		"a&X-Amz-Signature=1&b":    "a&b",
		"X-Amz-Signature=1&b":      "b",
		"x-AMZ-signature=1&b=+%2b": "b=+%2b",
		"X%2DAmz%2dSignature=1&b":  "b",
		"%58-Amz-Signature=1&b":    "b",
		"%78%2d%61%6d%7a-date=1&b": "b",
		"X-Amz-Algorithm=1&X-Amz-Credential=2&X-Amz-Date=3&X-Amz-Expires=4&X-Amz-SignedHeaders=5&k=v": "k=v",
		"X-Amz-Signature=6&X-Amz-Security-Token=7&X-Amz-S3session-Token=8&X-Amz-Region-Set=9&k=v":     "k=v",
		// Other names, which only look alike.
		"X-Amz-Signature+=1":                     "X-Amz-Signature+=1",
		"X+Amz+Signature=1":                      "X+Amz+Signature=1",
		"X%252DAmz%252DSignature=1":              "X%252DAmz%252DSignature=1",
		"X-Amz-Meta=1&XX-Amz-Date=2":             "X-Amz-Meta=1&XX-Amz-Date=2",
		"a=1;X-Amz-Signature=2":                  "a=1;X-Amz-Signature=2",
		"v=X-Amz-Signature":                      "v=X-Amz-Signature",
		"X-Amz-S\u017fession-Token=1":            "X-Amz-S\u017fession-Token=1",
		"X-Amz-Checksum-Mode=1&x-amz-acl=public": "X-Amz-Checksum-Mode=1&x-amz-acl=public",
		"X-Amz-Date%=1":                          "X-Amz-Date%=1",
		// Empty pairs elsewhere stay.
		"&&X-Amz-Date=1&&a": "&&&a",
	} {
		equal(t, raw, StripAuthQuery(raw), want)
		if got := hasAuthQuery(raw); got != (raw != want) {
			t.Errorf("hasAuthQuery(%q) = %v", raw, got)
		}
	}
}
