package standin

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
)

// refusal is an error as AWS tells it.
type refusal struct {
	status        int
	code, message string
}

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status, code, fmt.Sprintf(format, args...)}
}

const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

type errorResponse struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

func (r *refusal) write(w http.ResponseWriter, requestID string) {
	of := "Sender"
	if r.status >= http.StatusInternalServerError {
		of = "Receiver"
	}
	writeXML(w, r.status, requestID, errorResponse{Namespace: namespace, Type: of, Code: r.code, Message: r.message, RequestID: requestID})
}

// assumeRoleResponse and callerIdentityResponse are from
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html and API_GetCallerIdentity.html.
type assumeRoleResponse struct {
	XMLName   xml.Name         `xml:"AssumeRoleResponse"`
	Namespace string           `xml:"xmlns,attr"`
	Result    assumeRoleResult `xml:"AssumeRoleResult"`
	RequestID string           `xml:"ResponseMetadata>RequestId"`
}

type assumeRoleResult struct {
	SourceIdentity  string `xml:"SourceIdentity,omitempty"`
	AssumedRoleID   string `xml:"AssumedRoleUser>AssumedRoleId"`
	ARN             string `xml:"AssumedRoleUser>Arn"`
	AccessKeyID     string `xml:"Credentials>AccessKeyId"`
	SecretAccessKey string `xml:"Credentials>SecretAccessKey"`
	SessionToken    string `xml:"Credentials>SessionToken"`
	Expiration      string `xml:"Credentials>Expiration"`
}

type callerIdentityResponse struct {
	XMLName   xml.Name `xml:"GetCallerIdentityResponse"`
	Namespace string   `xml:"xmlns,attr"`
	ARN       string   `xml:"GetCallerIdentityResult>Arn"`
	UserID    string   `xml:"GetCallerIdentityResult>UserId"`
	Account   string   `xml:"GetCallerIdentityResult>Account"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

func writeXML(w http.ResponseWriter, status int, requestID string, answer any) {
	body, err := xml.Marshal(answer)
	if err != nil {
		panic(err) // The types above can always be marshalled.
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", requestID)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// newRequestID makes up a UUID.
func newRequestID() string {
	b := random(16)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
