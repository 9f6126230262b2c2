package awssigv4

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

func TestRefusalCode(t *testing.T) {
	tests := []struct{ contentType, body, want string }{
		{"application/xml", `<?xml version="1.0"?><Error><Code>ExpiredToken</Code></Error>`, "ExpiredToken"},
		{"", `<Error><Code>TokenRefreshRequired</Code></Error>`, "TokenRefreshRequired"},
		{"text/xml;charset=UTF-8", `<Response><Errors><Error><Code>RequestExpired</Code></Error></Errors></Response>`, "RequestExpired"},
		{"application/xml", `<Error><Code>AccessDenied</Code><Message><Code>ExpiredToken</Code></Message></Error>`, ""},
		{"application/xml", `<Error><Code>ExpiredToken`, "ExpiredToken"},
		{"application/x-amz-json-1.1", `{"__type":"ExpiredTokenException"}`, "ExpiredTokenException"},
		{"application/json", `{"code":"com.amazonaws.x#UnrecognizedClientException:http://y"}`, "UnrecognizedClientException"},
		{"application/json", `{"Message":"The security token included in the request is invalid"}`, "UnrecognizedClientException"},
		{"application/json", `{"message":"said: The security token included in the request is expired"}`, ""},
		{"application/json", `{"__type":null,"code":{},"Code":"InvalidClientTokenId"}`, "InvalidClientTokenId"},
		{"application/json", `[{"__type":"ExpiredTokenException"}]`, ""},
		{"text/html", `<Code>ExpiredToken</Code>`, ""},
		{"application/xml", strings.Repeat(" ", maxErrorBody) + `<Code>ExpiredToken</Code>`, ""},
		{"application/xml", "", ""},
	}
	for _, tt := range tests {
		for _, broken := range []error{nil, io.ErrUnexpectedEOF} {
			ends := broken
			if ends == nil {
				ends = io.EOF
			}
			res := &http.Response{
				StatusCode:    http.StatusForbidden,
				ContentLength: -1,
				Header:        http.Header{"Content-Type": {tt.contentType}},
				Body:          io.NopCloser(io.MultiReader(iotest.OneByteReader(strings.NewReader(tt.body)), iotest.ErrReader(ends))),
			}
			if got := refusalCode(res); got != tt.want {
				t.Errorf("%.200s: got %q, want %q", tt.body, got, tt.want)
			}
			left, err := io.ReadAll(res.Body)
			if string(left) != tt.body || !errors.Is(err, broken) {
				t.Errorf("%.200s: %d bytes and %v are left, want all and %v", tt.body, len(left), err, broken)
			}
		}
	}
}
