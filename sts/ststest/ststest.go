// Package ststest plays AWS STS in tests: an HTTP server that knows AssumeRole and GetCallerIdentity,
// checks the signature of each call by its own arithmetic, and answers as the test wants it to.
package ststest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Key is an access key that may sign.
type Key struct{ ID, Secret, Token string }

// Call is one call whose signature was right.
type Call struct {
	// Form is the body: Action, RoleArn and the other parameters.
	Form url.Values

	// Key is what it was signed with.
	Key Key

	// Region is the region of the credential scope.
	Region string

	// Host is the host that was signed.
	Host string

	// RemoteAddr is the client's end of the connection.
	RemoteAddr string

	// Header is the request's header.
	Header http.Header
}

// Answer is what the server says to a call. The zero value grants it.
type Answer struct {
	// Status, Code and Message are the error to answer with; none if Status is 0.
	Status        int
	Code, Message string

	// Body is sent as it is with Status, or 200, in place of anything else.
	Body string

	// Life is how long granted credentials live; if 0, as long as the call asks.
	Life time.Duration

	// Hang leaves the call without an answer until its client gives up, or with no more than Body.
	Hang bool
}

// Server plays STS. Its answers may be changed at any time.
type Server struct {
	*httptest.Server

	mu     sync.Mutex
	keys   map[string]Key
	arns   map[string]string // of those who hold the keys that were issued
	answer func(Call) Answer
	calls  []Call
	issued int
}

// New starts a server that grants everything to those who sign with one of the keys, or with
// credentials that it issued. It ends with the test.
func New(t testing.TB, keys ...Key) *Server {
	s := unstarted(keys)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// NewTLS is New with a certificate that nobody trusts unless told to.
func NewTLS(t testing.TB, keys ...Key) *Server {
	s := unstarted(keys)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func unstarted(keys []Key) *Server {
	s := &Server{keys: make(map[string]Key), arns: make(map[string]string), answer: func(Call) Answer { return Answer{} }}
	for _, k := range keys {
		s.keys[k.ID] = k
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	return s
}

// Answer changes how calls are answered.
func (s *Server) Answer(f func(Call) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// Calls returns the calls so far.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	call, err := s.verify(r, body)
	if err != nil {
		fail(w, http.StatusForbidden, "SignatureDoesNotMatch", err.Error())
		return
	}
	s.mu.Lock()
	s.calls = append(s.calls, call)
	a := s.answer(call)
	s.mu.Unlock()

	switch {
	case a.Body != "":
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(max(a.Status, http.StatusOK))
		_, _ = io.WriteString(w, a.Body)
		if a.Hang {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	case a.Hang:
		<-r.Context().Done()
	case a.Status != 0:
		fail(w, a.Status, a.Code, a.Message)
	case call.Form.Get("Action") == "GetCallerIdentity":
		s.tell(w, call)
	default:
		s.grant(w, call, a)
	}
}

// grant issues credentials that may sign calls themselves. Their ID tells which role they are of.
func (s *Server) grant(w http.ResponseWriter, call Call, a Answer) {
	if a.Life == 0 {
		seconds, _ := strconv.Atoi(call.Form.Get("DurationSeconds"))
		a.Life = time.Duration(seconds) * time.Second
	}
	role := call.Form.Get("RoleArn")
	s.mu.Lock()
	s.issued++
	k := Key{
		ID:     fmt.Sprintf("ASIA%s%03d", strings.ToUpper(role[strings.LastIndexByte(role, '/')+1:]), s.issued),
		Secret: fmt.Sprintf("issued-secret-%d", s.issued),
		Token:  fmt.Sprintf("issued-token-%d//+==", s.issued),
	}
	s.keys[k.ID] = k
	s.arns[k.ID] = sessionARN(role, call.Form.Get("RoleSessionName"))
	s.mu.Unlock()

	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", "01234567-89ab-cdef-0123-456789abcdef")
	fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials>
<AssumedRoleUser><AssumedRoleId>AROA3XFRBF535PLBIFPI4:%s</AssumedRoleId><Arn>%s</Arn></AssumedRoleUser>
</AssumeRoleResult><ResponseMetadata><RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId></ResponseMetadata></AssumeRoleResponse>`,
		k.ID, k.Secret, k.Token, time.Now().Add(a.Life).UTC().Format(time.RFC3339), escape(call.Form.Get("RoleSessionName")), escape(sessionARN(role, call.Form.Get("RoleSessionName"))))
}

// sessionARN returns the ARN of a session of a role, in which the role's path is missing.
func sessionARN(role, session string) string {
	iam := strings.SplitN(role, ":", 6)
	if len(iam) < 6 {
		return role
	}
	return fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/%s", iam[1], iam[4], role[strings.LastIndexByte(role, '/')+1:], session)
}

// tell says who the caller is. Keys that were not issued here are those of a user.
func (s *Server) tell(w http.ResponseWriter, call Call) {
	s.mu.Lock()
	arn, ok := s.arns[call.Key.ID]
	s.mu.Unlock()
	id := "AROA3XFRBF535PLBIFPI4:session"
	if !ok {
		arn, id = "arn:aws:iam::111122223333:user/"+call.Key.ID, "AIDA3XFRBF535PLBIFPI4"
	}
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>%s</Arn><UserId>%s</UserId><Account>%s</Account>
</GetCallerIdentityResult><ResponseMetadata><RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId></ResponseMetadata></GetCallerIdentityResponse>`,
		escape(arn), id, escape(strings.Split(arn+"::::", ":")[4]))
}

func fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>fedcba98-7654-3210-fedc-ba9876543210</RequestId></ErrorResponse>`,
		escape(code), escape(message))
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

// verify recomputes the signature from what arrived. The path of a call to STS is always "/" and its
// query empty, which spares the rules of the canonical form.
func (s *Server) verify(r *http.Request, body []byte) (Call, error) {
	var none Call
	auth, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok || r.Method != http.MethodPost || r.RequestURI != "/" {
		return none, fmt.Errorf("%s %s has the Authorization %q", r.Method, r.RequestURI, r.Header.Get("Authorization"))
	}
	field := map[string]string{}
	for f := range strings.SplitSeq(auth, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(f), "=")
		field[name] = value
	}
	scope := strings.Split(field["Credential"], "/")
	if len(scope) != 5 || scope[3] != "sts" || scope[4] != "aws4_request" {
		return none, fmt.Errorf("the credential is %q", field["Credential"])
	}
	s.mu.Lock()
	key, ok := s.keys[scope[0]]
	s.mu.Unlock()
	if !ok || key.Token != r.Header.Get("X-Amz-Security-Token") {
		return none, fmt.Errorf("the key ID %q is unknown, or its token is wrong", scope[0])
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", date)
	if err != nil || time.Since(at).Abs() > 5*time.Minute || !strings.HasPrefix(date, scope[1]) {
		return none, fmt.Errorf("the date %q is wrong: %w", date, err)
	}

	signed := strings.Split(field["SignedHeaders"], ";")
	var canonical strings.Builder
	canonical.WriteString("POST\n/\n\n")
	for _, name := range signed {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		fmt.Fprintf(&canonical, "%s:%s\n", name, value)
	}
	fmt.Fprintf(&canonical, "\n%s\n%s", field["SignedHeaders"], hash(body))
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", date, strings.Join(scope[1:], "/"), hash([]byte(canonical.String()))}, "\n")
	k := []byte("AWS4" + key.Secret)
	for _, part := range scope[1:] {
		k = mac(k, part)
	}
	if want := hex.EncodeToString(mac(k, toSign)); field["Signature"] != want {
		return none, fmt.Errorf("the request signature we calculated does not match\n\nThe Canonical String for this request should have been\n'%s'", canonical.String())
	}
	if !slices.Contains(signed, "host") || key.Token != "" && !slices.Contains(signed, "x-amz-security-token") {
		return none, fmt.Errorf("the signed headers are %v", signed)
	}
	form, err := url.ParseQuery(string(body))
	if action := form.Get("Action"); err != nil || action != "AssumeRole" && action != "GetCallerIdentity" || form.Get("Version") != "2011-06-15" {
		return none, fmt.Errorf("the body is %q", body)
	}
	return Call{Form: form, Key: key, Region: scope[2], Host: r.Host, RemoteAddr: r.RemoteAddr, Header: r.Header.Clone()}, nil
}

func hash(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func mac(key []byte, message string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(message))
	return m.Sum(nil)
}
