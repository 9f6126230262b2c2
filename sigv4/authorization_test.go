package sigv4

import (
	"reflect"
	"strings"
	"testing"
)

var exampleSignature = strings.Repeat("0123456789abcdef", 4)

func TestParseAuthorization(t *testing.T) {
	want := Authorization{
		Algorithm: "AWS4-HMAC-SHA256", AccessKeyID: "AKIDEXAMPLE", Date: "20150830", Region: "us-east-1", Service: "iam",
		Signature: exampleSignature, SignedHeaders: []string{"content-type", "host", "x-amz-date"},
	}
	for _, between := range []string{", ", ",", ",  "} {
		got, err := ParseAuthorization(strings.Join([]string{
			"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request",
			"SignedHeaders=content-type;host;x-amz-date", "Signature=" + exampleSignature,
		}, between))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestParseAuthorizationRefuses(t *testing.T) {
	const (
		scope  = "AKID/20150830/us-east-1/iam/aws4_request"
		signed = "host;x-amz-date"
	)
	build := func(credential, signedHeaders, signature string) string {
		return "AWS4-HMAC-SHA256 Credential=" + credential + ", SignedHeaders=" + signedHeaders + ", Signature=" + signature
	}
	good := build(scope, signed, exampleSignature)
	if _, err := ParseAuthorization(good); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"empty":                       "",
		"scheme alone":                "AWS4-HMAC-SHA256",
		"scheme and blank":            "AWS4-HMAC-SHA256 ",
		"basic":                       "Basic dXNlcjpwYXNz",
		"bearer":                      "Bearer abc",
		"other algorithm":             strings.Replace(good, "SHA256", "SHA512", 1),
		"sigv4a":                      strings.Replace(good, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", 1),
		"scheme in lower case":        strings.Replace(good, "AWS4", "aws4", 1),
		"blank before":                " " + good,
		"blank after":                 good + " ",
		"tab":                         strings.Replace(good, " ", "\t", 1),
		"comma after":                 good + ",",
		"element after":               good + ", Extra=1",
		"element twice":               good + ", Signature=" + exampleSignature,
		"other order":                 "AWS4-HMAC-SHA256 SignedHeaders=" + signed + ", Credential=" + scope + ", Signature=" + exampleSignature,
		"no signature":                "AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=" + signed,
		"blank before comma":          strings.Replace(good, ", Signed", " , Signed", 1),
		"element in lower case":       strings.Replace(good, "Credential", "credential", 1),
		"four parts":                  build("AKID/20150830/us-east-1/aws4_request", signed, exampleSignature),
		"six parts":                   build("AK/ID/20150830/us-east-1/iam/aws4_request", signed, exampleSignature),
		"no key":                      build("/20150830/us-east-1/iam/aws4_request", signed, exampleSignature),
		"no region":                   build("AKID/20150830//iam/aws4_request", signed, exampleSignature),
		"other terminator":            build("AKID/20150830/us-east-1/iam/aws4", signed, exampleSignature),
		"day of seven digits":         build("AKID/2015083/us-east-1/iam/aws4_request", signed, exampleSignature),
		"day with letters":            build("AKID/2015083x/us-east-1/iam/aws4_request", signed, exampleSignature),
		"key with a blank":            build("AK ID/20150830/us-east-1/iam/aws4_request", signed, exampleSignature),
		"service with a control byte": build("AKID/20150830/us-east-1/i\x01m/aws4_request", signed, exampleSignature),
		"region not ASCII":            build("AKID/20150830/üs-east-1/iam/aws4_request", signed, exampleSignature),
		"long region":                 build("AKID/20150830/"+strings.Repeat("r", 129)+"/iam/aws4_request", signed, exampleSignature),
		"no signed headers":           build(scope, "", exampleSignature),
		"empty name":                  build(scope, "host;;x-amz-date", exampleSignature),
		"upper case":                  build(scope, "Host;x-amz-date", exampleSignature),
		"not sorted":                  build(scope, "x-amz-date;host", exampleSignature),
		"name twice":                  build(scope, "host;host", exampleSignature),
		"no field name":               build(scope, "ho st", exampleSignature),
		"newline in a name":           build(scope, "host;x\n", exampleSignature),
		"short signature":             build(scope, signed, exampleSignature[1:]),
		"long signature":              build(scope, signed, exampleSignature+"0"),
		"signature in upper case":     build(scope, signed, strings.ToUpper(exampleSignature)),
		"no hexadecimal":              build(scope, signed, strings.Repeat("g", 64)),
		"too long":                    build(scope, "host;"+strings.Repeat("x", 8<<10), exampleSignature),
	} {
		got, err := ParseAuthorization(value)
		if err == nil {
			t.Errorf("%s: not refused", name)
			continue
		}
		wantReason(t, err, ReasonMalformedAuthorization)
		if !reflect.DeepEqual(got, Authorization{}) {
			t.Errorf("%s: got %+v beside the error", name, got)
		}
		if strings.Contains(err.Error(), exampleSignature) {
			t.Errorf("%s: the error tells the signature", name)
		}
	}
}
