package standin

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Call is a call to STS.
type Call struct {
	// Time is when it came.
	Time time.Time
	// Action is AssumeRole or another, RoleARN the role that it names.
	Action, RoleARN string
	// By is the access key ID that it was signed with, "" if its signature was wrong.
	By string
	// Form are the parameters.
	Form url.Values
	// Code is the error that was answered, "" if none was.
	Code string
	// Issued is the access key ID of the session that AssumeRole began.
	Issued string
}

// Fault makes STS fail, whatever the call is.
type Fault struct {
	// Status, Code and Message are the error to answer.
	Status        int
	Code, Message string
	// Hang leaves calls without an answer until their client gives up.
	Hang bool
	// Drop closes the connection without an answer.
	Drop bool
}

// The usual faults.
var (
	Throttled   = Fault{Status: http.StatusBadRequest, Code: "Throttling", Message: "Rate exceeded"}
	Unavailable = Fault{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "Service is unavailable"}
	Hanging     = Fault{Hang: true}
	Down        = Fault{Drop: true}
)

// SetFault makes the calls for a role fail, or all calls if roleARN is "".
func (s *Standin) SetFault(roleARN string, f Fault) {
	s.sts.mu.Lock()
	defer s.sts.mu.Unlock()
	if s.sts.faults == nil {
		s.sts.faults = make(map[string]Fault)
	}
	s.sts.faults[roleARN] = f
}

// ClearFaults ends all faults. Calls that hang go on hanging.
func (s *Standin) ClearFaults() {
	s.sts.mu.Lock()
	defer s.sts.mu.Unlock()
	clear(s.sts.faults)
}

// Calls returns the calls to STS so far, those included that failed.
func (s *Standin) Calls() []Call {
	s.sts.mu.Lock()
	defer s.sts.mu.Unlock()
	return slices.Clone(s.sts.calls)
}

// stsServer plays AWS STS.
type stsServer struct {
	region    string
	directory *directory
	onCall    func(Call)

	mu     sync.Mutex
	faults map[string]Fault
	calls  []Call
}

func (s *stsServer) serve(l net.Listener) func() error { return serveHTTP(l, s) }

// maxForm bounds a call's parameters, in bytes.
const maxForm = 256 << 10

// ServeHTTP answers one call.
func (s *stsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		return
	}
	call := Call{Time: time.Now()}
	path, query, _ := strings.Cut(r.RequestURI, "?")
	call.Form = parameters(query, r.Header.Get("Content-Type"), body)
	call.Action, call.RoleARN = call.Form.Get("Action"), call.Form.Get("RoleArn")

	fault, faulty := s.fault(call.RoleARN)
	switch {
	case faulty && fault.Hang:
		call.Code = "hangs"
		s.keep(call)
		<-r.Context().Done()
	case faulty && fault.Drop:
		call.Code = "is dropped"
		s.keep(call)
		panic(http.ErrAbortHandler)
	case faulty:
		call.Code = fault.Code
		s.keep(call)
		refuse(fault.Status, fault.Code, "%s", fault.Message).write(w, newRequestID())
	default:
		answer := s.act(&call, &signedRequest{
			method: r.Method, path: path, query: query, host: r.Host, header: r.Header, body: body,
		}, r.TLS != nil)
		s.keep(call)
		answer(w, newRequestID())
	}
}

// act verifies a call and does what it says. It returns what writes the answer.
func (s *stsServer) act(call *Call, r *signedRequest, encrypted bool) func(http.ResponseWriter, string) {
	refused := func(f *refusal) func(http.ResponseWriter, string) {
		call.Code = f.code
		return f.write
	}
	v := &verifier{service: "sts", region: s.region, now: time.Now, lookUp: func(keyID, token string) (*principal, error) {
		return s.directory.lookUp(keyID, token, time.Now())
	}}
	who, f := v.verify(r)
	if f != nil {
		return refused(f)
	}
	call.By = credentialID(r)
	if r.path != "/" {
		return refused(refuse(http.StatusNotFound, "UnknownOperation", "There is nothing at %s.", r.path))
	}
	if version := call.Form.Get("Version"); version != "2011-06-15" {
		return refused(refuse(http.StatusBadRequest, "InvalidAction", "Could not find operation %s for version %s", call.Action, version))
	}
	switch call.Action {
	case "GetCallerIdentity":
		return func(w http.ResponseWriter, id string) {
			writeXML(w, http.StatusOK, id, callerIdentityResponse{Namespace: namespace, ARN: who.arn, UserID: who.userID, Account: who.account, RequestID: id})
		}
	case "AssumeRole":
		session, f := s.assumeRole(who, call.Form, encrypted)
		if f != nil {
			return refused(f)
		}
		call.Issued = session.AccessKeyID
		return func(w http.ResponseWriter, id string) {
			writeXML(w, http.StatusOK, id, assumeRoleResponse{Namespace: namespace, RequestID: id, Result: assumeRoleResult{
				SourceIdentity: session.SourceIdentity,
				AssumedRoleID:  uniqueID("AROA", session.RoleARN) + ":" + session.Name, ARN: session.ARN,
				AccessKeyID: session.AccessKeyID, SecretAccessKey: session.secret, SessionToken: session.token,
				Expiration: session.Expires.UTC().Format("2006-01-02T15:04:05.999Z07:00"),
			}})
		}
	}
	return refused(refuse(http.StatusBadRequest, "InvalidAction", "Could not find operation %s for version 2011-06-15", call.Action))
}

func (s *stsServer) fault(roleARN string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.faults[""]; ok {
		return f, true
	}
	f, ok := s.faults[roleARN]
	return f, ok
}

func (s *stsServer) keep(c Call) {
	s.mu.Lock()
	s.calls = append(s.calls, c)
	s.mu.Unlock()
	if s.onCall != nil {
		s.onCall(c)
	}
}

// parameters returns those of the query, and those of a form in the body.
func parameters(query, contentType string, body []byte) url.Values {
	form := url.Values{}
	if mediaType, _, _ := strings.Cut(contentType, ";"); strings.TrimSpace(mediaType) == "application/x-www-form-urlencoded" {
		// What is malformed is left out, and missed where it is needed.
		form, _ = url.ParseQuery(string(body))
	}
	inQuery, _ := parseQuery(query)
	for _, p := range inQuery {
		form.Add(p.key, p.value)
	}
	return form
}

// credentialID returns the access key ID of a request that was verified.
func credentialID(r *signedRequest) string {
	text := r.header.Get("Authorization")
	if text == "" {
		text = "Credential=" + parameters(r.query, "", nil).Get("X-Amz-Credential")
	}
	_, text, _ = strings.Cut(text, "Credential=")
	id, _, _ := strings.Cut(text, "/")
	return id
}
