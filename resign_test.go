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
				Header:        http.Header{"Content-Type": {tt.contentType}, "X-Amzn-Requestid": {"R"}},
				Body:          io.NopCloser(io.MultiReader(iotest.OneByteReader(strings.NewReader(tt.body)), iotest.ErrReader(ends))),
			}
			if got := refusalCode(res, "dynamodb"); got != tt.want {
				t.Errorf("%.200s: got %q, want %q", tt.body, got, tt.want)
			}
			left, err := io.ReadAll(res.Body)
			if string(left) != tt.body || !errors.Is(err, broken) {
				t.Errorf("%.200s: %d bytes and %v are left, want all and %v", tt.body, len(left), err, broken)
			}
		}
	}
}

// TestWhoseAnswerIsAWSs: what an application says in AWS's words is not AWS's, and its
// answer is not even looked at.
func TestWhoseAnswerIsAWSs(t *testing.T) {
	const inXML, inJSON = "<Error><Code>ExpiredToken</Code></Error>", `{"code":"ExpiredToken"}`
	none := http.Header{}
	requestID := http.Header{"X-Amzn-Requestid": {"R"}}
	s3ID := http.Header{"X-Amz-Request-Id": {"R"}}
	errorType := http.Header{"X-Amzn-Errortype": {"ExpiredTokenException:http://internal.amazon.com/coral/"}}
	for _, tt := range []struct {
		service, contentType, body string
		header                     http.Header
		want                       string
	}{
		{"execute-api", "application/json", inJSON, none, ""},
		{"execute-api", "application/json", inJSON, requestID, ""}, // API Gateway sends one with every answer.
		{"execute-api", "application/xml", inXML, requestID, ""},
		{"execute-api", "application/json", inJSON, errorType, "ExpiredTokenException"},
		{"lambda", "application/json", inJSON, requestID, ""},
		{"lambda", "application/json", inJSON, errorType, "ExpiredTokenException"},
		{"vpc-lattice-svcs", "application/json", inJSON, requestID, ""},
		{"bedrock-agentcore", "application/json", inJSON, requestID, ""},
		{"es", "application/json", inJSON, none, ""},
		{"es", "application/json", inJSON, requestID, "ExpiredToken"},
		{"ec2", "text/xml", inXML, none, ""},
		{"ec2", "text/xml", inXML, requestID, "ExpiredToken"},
		{"s3", "application/xml", inXML, none, "ExpiredToken"},
		{"s3", "application/xml", inXML, s3ID, "ExpiredToken"},
		{"s3", "application/json", inJSON, none, ""},
		{"s3", "application/json", inJSON, s3ID, "ExpiredToken"},
	} {
		header := tt.header.Clone()
		header.Set("Content-Type", tt.contentType)
		body := io.NopCloser(strings.NewReader(tt.body))
		res := &http.Response{StatusCode: http.StatusForbidden, ContentLength: -1, Header: header, Body: body}
		if got := refusalCode(res, tt.service); got != tt.want {
			t.Errorf("%s, %v: got %q, want %q", tt.service, header, got, tt.want)
		}
		if got, err := io.ReadAll(res.Body); string(got) != tt.body || err != nil {
			t.Errorf("%s, %v: %q and %v are left", tt.service, header, got, err)
		}
	}
}
