package awssigv4

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// AdminAPI adds to Caddy's admin API what is known of credentials, and a way to
// renew them. It never tells a secret. Who may call it is Caddy's business
// (`admin` in the configuration): by default, whoever is on this machine.
//
//	GET /aws_sigv4/credentials
//
// answers with the state of all named credentials, and with that of the other
// identities in the cache, failing ones first, at most `?limit=` of them
// (default: 100).
//
//	POST /aws_sigv4/credentials/refresh?name=NAME
//
// fetches the credentials of that name now, and answers with their state: with
// 200, or if the fetch fails with 502, or 503 if it may succeed later by itself.
// What was fetched before is kept and served if it is still valid.
type AdminAPI struct{}

// CaddyModule returns the Caddy module information.
func (AdminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.aws_sigv4",
		New: func() caddy.Module { return new(AdminAPI) },
	}
}

// Routes returns the routes of the admin API.
func (AdminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/aws_sigv4/credentials", Handler: caddy.AdminHandlerFunc(listCredentials)},
		{Pattern: "/aws_sigv4/credentials/refresh", Handler: caddy.AdminHandlerFunc(refreshCredentials)},
	}
}

// credentialsReport is the answer to GET /aws_sigv4/credentials.
type credentialsReport struct {
	// Credentials are the named ones, sorted by name.
	Credentials []identityState `json:"credentials"`

	// Others are identities without a name of their own: those that are
	// configured in place, and those that requests filled in.
	Others []identityState `json:"others"`

	// Cached is how many identities the cache holds, named ones included.
	Cached int `json:"cached"`
}

// identityState is what is known of one identity.
type identityState struct {
	Name     string `json:"name,omitempty"`
	Identity string `json:"identity,omitempty"`
	RoleARN  string `json:"role_arn,omitempty"`

	// PerRequest says that each request fills in who it is, so that only the
	// others can be told about.
	PerRequest bool `json:"per_request,omitempty"`

	// Valid says whether requests can be signed now.
	Valid   bool      `json:"valid"`
	Expires time.Time `json:"expires,omitzero"`
	Fetched time.Time `json:"fetched,omitzero"`

	// NextFetch is when they are renewed if they were used, or the next attempt
	// is made.
	NextFetch time.Time `json:"next_fetch,omitzero"`
	Fetching  bool      `json:"fetching,omitempty"`

	Failure *failureState `json:"failure,omitempty"`
}

// failureState is why the last fetch failed.
type failureState struct {
	Error    string    `json:"error"`
	Since    time.Time `json:"since"`
	Attempts int       `json:"attempts"`
	explanation
}

func stateOf(name string, st credentials.Status) identityState {
	s := identityState{
		Name:      name,
		Identity:  st.Label,
		RoleARN:   st.RoleARN,
		Valid:     st.Valid,
		Expires:   st.Expires,
		Fetched:   st.LastFetch,
		NextFetch: st.NextRefresh,
		Fetching:  st.Fetching,
	}
	if f := st.Failure; f != nil {
		s.Failure = &failureState{Error: f.Err.Error(), Since: f.Since, Attempts: f.Attempts, explanation: explain(f)}
	}
	return s
}

func listCredentials(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return wrongMethod(w, http.MethodGet)
	}
	limit := 100
	if v := r.URL.Query().Get("limit"); v != "" {
		var err error
		if limit, err = strconv.Atoi(v); err != nil || limit < 0 {
			return adminError(http.StatusBadRequest, "limit=%.20q is not a number from 0", v)
		}
	}
	a := runningApp()
	if a == nil {
		return answerJSON(w, http.StatusOK, credentialsReport{Credentials: []identityState{}, Others: []identityState{}})
	}
	return answerJSON(w, http.StatusOK, a.report(limit))
}

// report tells the state of all credentials.
func (a *App) report(limit int) credentialsReport {
	all := a.cache.Status()
	byKey := make(map[string]credentials.Status, len(all))
	for _, st := range all {
		byKey[st.Key] = st
	}
	report := credentialsReport{Credentials: []identityState{}, Others: []identityState{}, Cached: len(all)}
	named := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(a.named)) {
		id, ok := a.identities[name]
		if !ok {
			report.Credentials = append(report.Credentials, identityState{Name: name, PerRequest: true})
			continue
		}
		named[id.Key] = true
		st, ok := byKey[id.Key]
		if !ok {
			st = credentials.Status{Label: id.Label, RoleARN: id.RoleARN}
		}
		report.Credentials = append(report.Credentials, stateOf(name, st))
	}
	others := slices.DeleteFunc(all, func(st credentials.Status) bool { return named[st.Key] })
	slices.SortStableFunc(others, func(x, y credentials.Status) int {
		return cmp.Compare(urgency(x), urgency(y))
	})
	for _, st := range others[:min(limit, len(others))] {
		report.Others = append(report.Others, stateOf("", st))
	}
	return report
}

// urgency puts first what fails.
func urgency(st credentials.Status) int {
	switch {
	case st.Failure != nil && !st.Valid:
		return 0
	case st.Failure != nil:
		return 1
	}
	return 2
}

func refreshCredentials(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return wrongMethod(w, http.MethodPost)
	}
	name := r.URL.Query().Get("name")
	if name == "" {
		return adminError(http.StatusBadRequest, "write which credentials: ?name=NAME")
	}
	a := runningApp()
	if a == nil || a.named[name] == nil {
		return adminError(http.StatusNotFound, "no credentials are named %.80q", name)
	}
	id, ok := a.identities[name]
	if !ok {
		return adminError(http.StatusBadRequest, "each request fills in who %s is, so there is nothing to refresh", name)
	}
	a.logger.Info("credentials are refreshed on demand", zap.String("name", name), zap.String("identity", id.Label))
	status := http.StatusOK
	if _, err := a.cache.Refresh(r.Context(), id); err != nil {
		status = http.StatusServiceUnavailable
		if e, ok := errors.AsType[*credentials.Error](err); ok {
			status = credentialsStatus(e)
		}
	}
	return answerJSON(w, status, stateOf(name, a.cache.StatusOf(id)))
}

func answerJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(v)
}

func wrongMethod(w http.ResponseWriter, right string) error {
	w.Header().Set("Allow", right)
	return adminError(http.StatusMethodNotAllowed, "write %s", right)
}

func adminError(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}

var _ caddy.AdminRouter = (*AdminAPI)(nil)
