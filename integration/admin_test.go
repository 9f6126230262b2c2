package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// reportedState is one identity as the admin API tells of it.
type reportedState struct {
	Name       string
	Identity   string
	RoleARN    string `json:"role_arn"`
	PerRequest bool   `json:"per_request"`
	Valid      bool
	Expires    time.Time
	Fetched    time.Time
	NextFetch  time.Time `json:"next_fetch"`
	Fetching   bool
	Failure    *struct {
		Error    string
		Since    time.Time
		Attempts int

		Failing, Code, Cause, Remedy string
		RequestID                    string   `json:"request_id"`
		OtherCauses                  []string `json:"other_causes"`
	}
}

type report struct {
	Credentials, Others []reportedState
	Cached              int
}

// decode reads JSON and has no mercy with fields that nobody expects.
func decode[T any](t *testing.T, r reply) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	if r.header.Get("Content-Type") != "application/json" || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("sent with %v", r.header)
	}
	return v
}

func TestAdminTellsTheStateOfCredentials(t *testing.T) {
	sts := newSTS(t)
	sts.set("Broken", func(r *role) { r.code = "AccessDenied" })
	up := newEndpoint(t, sts.keys("Role"), nil)
	global := strings.TrimSuffix(brokerAnd("Role", "Broken"), "}\n") +
		"credentials perUser assume_role " + arn("User") + " {\nfrom broker\nsession_name {http.request.header.X-User}\n}\n}\n"
	s := startCaddyWithAdmin(t, site(setup{global: global}, fmt.Sprintf(
		"@user header X-User *\naws_sigv4 @user %s {\nservice s3\nregion eu-west-1\ncredentials perUser\n}\n"+
			"aws_sigv4 %s {\nservice s3\nregion eu-west-1\ncredentials Role\n}", up.Addr(), up.Addr())))
	s.get("/").expect(t, 200)
	for i := range 5 {
		s.get("/", fmt.Sprintf("X-User: user-%d", i))
	}
	s.waitForLog("fetching credentials", 1, patience)

	get := func(target string) report {
		t.Helper()
		r := s.administer("GET", target)
		r.expect(t, 200)
		for _, secret := range []string{"ASIA", "secret", "token", "id-of-"} {
			if strings.Contains(strings.ReplaceAll(r.body, "AKIDBROKER", ""), secret) {
				t.Errorf("%q is told: %s", secret, r.body)
			}
		}
		return decode[report](t, r)
	}
	got := get("/aws_sigv4/credentials")
	var names []string
	for _, c := range got.Credentials {
		names = append(names, c.Name)
	}
	if fmt.Sprint(names) != "[Broken Role broker perUser]" {
		t.Fatalf("named are %v", names)
	}
	broken, role, broker, perUser := got.Credentials[0], got.Credentials[1], got.Credentials[2], got.Credentials[3]
	if broken.Valid || broken.Failure == nil || broken.Failure.Attempts < 1 || !strings.Contains(broken.Failure.Error, "AccessDenied") ||
		time.Since(broken.Failure.Since) > time.Minute {
		t.Errorf("Broken is told as %+v, %+v", broken, broken.Failure)
	}
	if f := broken.Failure; f != nil && (f.Failing != broken.Identity || f.Code != "AccessDenied" || f.RequestID != "r" ||
		!strings.Contains(f.Cause, "trust policy") || f.Remedy == "" || len(f.OtherCauses) < 3) {
		t.Errorf("Broken is explained as %+v", f)
	}
	if left := time.Until(role.Expires); !role.Valid || left < 50*time.Minute || role.RoleARN != arn("Role") || role.Failure != nil ||
		role.Identity != "assume_role "+arn("Role")+" (from broker)" || time.Since(role.Fetched) > time.Minute {
		t.Errorf("Role is told as %+v", role)
	}
	if left := time.Until(role.NextFetch); left < 20*time.Minute || left > time.Hour {
		t.Errorf("the next fetch of Role is in %v", left)
	}
	if !broker.Valid || !broker.Expires.IsZero() || !broker.NextFetch.IsZero() {
		t.Errorf("broker is told as %+v", broker)
	}
	if !perUser.PerRequest || perUser.Identity != "" || perUser.Valid {
		t.Errorf("perUser is told as %+v", perUser)
	}
	if len(got.Others) != 5 || got.Cached != 8 || !got.Others[0].Valid || got.Others[0].Name != "" {
		t.Errorf("%d others of %d: %+v", len(got.Others), got.Cached, got.Others)
	}
	if got := get("/aws_sigv4/credentials?limit=2"); len(got.Others) != 2 || got.Cached != 8 {
		t.Errorf("%d others of %d with a limit of 2", len(got.Others), got.Cached)
	}

	for target, want := range map[string]int{
		"GET /aws_sigv4/credentials?limit=x":               400,
		"GET /aws_sigv4/credentials?limit=-1":              400,
		"DELETE /aws_sigv4/credentials":                    405,
		"GET /aws_sigv4/credentials/refresh?name=Role":     405,
		"POST /aws_sigv4/credentials/refresh":              400,
		"POST /aws_sigv4/credentials/refresh?name=nobody":  404,
		"POST /aws_sigv4/credentials/refresh?name=env":     404,
		"POST /aws_sigv4/credentials/refresh?name=perUser": 400,
	} {
		method, path, _ := strings.Cut(target, " ")
		if r := s.administer(method, path); r.status != want {
			t.Errorf("%s: %v, want %d", target, r, want)
		}
	}
}

func TestAdminRefreshesCredentials(t *testing.T) {
	sts := newSTS(t)
	up := newEndpoint(t, sts.keys("Role"), nil)
	s := startCaddyWithAdmin(t, reloadable(up, 0, "Role"))
	s.get("/").expect(t, 200, "ASIAROLE0")
	refresh := func() (reply, reportedState) {
		t.Helper()
		r := s.administer("POST", "/aws_sigv4/credentials/refresh?name=Role")
		return r, decode[reportedState](t, r)
	}
	if r, st := refresh(); r.status != 200 || !st.Valid || st.Name != "Role" || st.Failure != nil {
		t.Errorf("%v: %+v", r, st)
	}
	s.get("/").expect(t, 200, "ASIAROLE1")

	// A refresh that fails takes nothing away.
	for code, want := range map[string]int{"AccessDenied": 502, "ServiceUnavailable": 503} {
		sts.set("Role", func(r *role) { r.code = code })
		if r, st := refresh(); r.status != want || !st.Valid || st.Failure == nil || !strings.Contains(st.Failure.Error, code) {
			t.Errorf("%s: %v: %+v", code, r, st)
		}
		s.get("/").expect(t, 200, "ASIAROLE1")
	}
	// And the next one does not wait for the pause to be over.
	sts.set("Role", func(r *role) { r.code = "" })
	if r, st := refresh(); r.status != 200 || st.Failure != nil {
		t.Errorf("%v: %+v", r, st)
	}
	s.waitForLog("credentials are refreshed on demand", 4, patience)

	// It goes by the configuration that runs, also after one that failed.
	if err := s.load(strings.Replace(reloadable(up, 1, "Role"), "from broker", "from Role", 1)); err == nil {
		t.Fatal("a broken configuration was loaded")
	}
	if r, _ := refresh(); r.status != 200 {
		t.Errorf("after a reload that failed: %v", r)
	}
	s.reload("http://<port> {\nrespond new\n}\n")
	waitFor(t, patience, func() bool {
		return s.administer("POST", "/aws_sigv4/credentials/refresh?name=Role").status == 404
	}, "the end of the old configuration")
	if r := decode[report](t, s.administer("GET", "/aws_sigv4/credentials")); len(r.Credentials) != 0 || r.Cached != 0 {
		t.Errorf("with no configuration of ours: %+v", r)
	}
}

// TestAdminIsProtectedByCaddy: pages of other sites can't make a browser refresh.
func TestAdminIsProtectedByCaddy(t *testing.T) {
	s := startCaddyWithAdmin(t, "{\n"+brokerAnd("Role")+"}\n")
	for _, header := range [][2]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Mode", "no-cors"}, {"Host", "evil.example"}} {
		req, err := http.NewRequest("POST", "http://"+s.admin+"/aws_sigv4/credentials/refresh?name=broker", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(header[0], header[1])
		if header[0] == "Host" {
			req.Host = header[1]
		}
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 403 && res.StatusCode != 400 {
			t.Errorf("%v: %s", header, res.Status)
		}
	}
}
