package integration_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// startCaddyWithAdmin is startCaddy with an admin API.
func startCaddyWithAdmin(t *testing.T, caddyfile string) *server {
	t.Helper()
	s := &server{t: t, level: "INFO", admin: freePort(t)}
	s.start(caddyfile)
	return s
}

// administer sends a request to the admin API.
func (s *server) administer(method, target string) reply {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.admin+target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := client.Do(req)
	for err != nil && time.Since(s.loaded) < 2*time.Second {
		time.Sleep(10 * time.Millisecond)
		res, err = client.Do(req)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(body)}
}

// scrape returns the series of this plugin, by name with labels, and the text.
func (s *server) scrape() (map[string]float64, string) {
	s.t.Helper()
	r := s.administer("GET", "/metrics")
	r.expect(s.t, 200)
	series := make(map[string]float64)
	var ours strings.Builder
	for line := range strings.Lines(r.body) {
		if !strings.Contains(line, "caddy_aws_sigv4_") {
			continue
		}
		ours.WriteString(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[i+1:]), 64)
		if err != nil {
			s.t.Errorf("%q: %v", line, err)
		}
		series[strings.TrimPrefix(line[:i], "caddy_aws_sigv4_")] = v
	}
	return series, ours.String()
}

func TestMetrics(t *testing.T) {
	sts := newSTS(t)
	sts.set("Broken", func(r *role) { r.code = "AccessDenied" })
	up := newEndpoint(t, sts.keys("Role"), nil)
	config := func(version int) string {
		return site(setup{global: brokerAnd("Role", "Broken")}, fmt.Sprintf(
			"respond /version %d\n@broken header X-Broken *\naws_sigv4 @broken %s {\nservice s3\nregion eu-west-1\ncredentials Broken\n}\n"+
				"aws_sigv4 %s {\nservice s3\nregion eu-west-1\ncredentials Role\nbody_limit 10B\n}", version, up.Addr(), up.Addr()))
	}
	s := startCaddyWithAdmin(t, config(0))
	s.get("/").expect(t, 200)
	s.waitForLog("fetching credentials", 1, patience)

	before, _ := s.scrape()
	for range 3 {
		s.get("/").expect(t, 200)
	}
	s.do("PUT", "/key", strings.Repeat("x", 11)).expect(t, 413)
	s.get("/", "X-Broken: yes").expect(t, 502)
	now, text := s.scrape()
	for name, want := range map[string]float64{
		`requests_total{outcome="signed"}`:         3,
		`requests_total{outcome="refused"}`:        1,
		`requests_total{outcome="no_credentials"}`: 1,
		`requests_total{outcome="error"}`:          0,
	} {
		if got := now[name] - before[name]; got != want {
			t.Errorf("%s grew by %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{
		`credentials_fetches_total{outcome="success",source="assume_role"}`,
		`credentials_fetches_total{outcome="failure",source="assume_role"}`,
		`credentials_fetches_total{outcome="success",source="static"}`,
		`credentials_fetch_duration_seconds_count{source="assume_role"}`,
		`credentials_fetch_duration_seconds_bucket{source="assume_role",le="+Inf"}`,
		`sts_errors_total{code="AccessDenied"}`,
	} {
		if now[name] < 1 {
			t.Errorf("%s is %v, want at least 1", name, now[name])
		}
	}
	checkState := func(when string, series map[string]float64) {
		t.Helper()
		if left := series[`credentials_remaining_seconds{name="Role"}`]; left < 3500 || left > 3600 {
			t.Errorf("%s: Role is valid for %vs more, want an hour", when, left)
		}
		if left, ok := series[`credentials_remaining_seconds{name="Broken"}`]; !ok || left != 0 {
			t.Errorf("%s: Broken is valid for %vs more, %v, want 0", when, left, ok)
		}
		if left, ok := series[`credentials_remaining_seconds{name="broker"}`]; ok {
			t.Errorf("%s: broker, which never expires, is valid for %vs more", when, left)
		}
		if n := series["cached_identities"]; n != 3 {
			t.Errorf("%s: %v identities are held, want 3", when, n)
		}
	}
	checkState("at first", now)

	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
	for _, secret := range []string{"arn:", "ASIA", "AKID", "token", "secret/of"} {
		for name := range now {
			if strings.Contains(name, secret) && !strings.HasPrefix(name, "refused_tokens_total") {
				t.Errorf("the series %s tells too much", name)
			}
		}
	}

	// Nothing is set back by reloads, nor by one that fails.
	for version := 1; version <= 3; version++ {
		s.reload(config(version))
		// The server of before may still take a connection.
		waitFor(t, patience, func() bool { return s.get("/version").body == fmt.Sprint(version) }, "version %d", version)
	}
	after, _ := s.scrape()
	for name, v := range now {
		if strings.Contains(name, "_total") && after[name] < v {
			t.Errorf("%s fell from %v to %v", name, v, after[name])
		}
	}
	checkState("after three reloads", after)
	if err := s.load(strings.Replace(config(4), "respond /version", "header_regexp A (\nrespond /version", 1)); err == nil {
		t.Fatal("a broken configuration was loaded")
	}
	broken := strings.Replace(config(5), "credentials Role\nbody", "credentials Other\nbody", 1) // Which nobody defines.
	if err := s.load(broken); err == nil {
		t.Fatal("a broken configuration was loaded")
	}
	series, _ := s.scrape()
	checkState("after a reload that failed", series)
	if log := s.logged(); strings.Contains(log, "duplicate metrics") || strings.Contains(log, "registering metrics") {
		t.Error("metrics were registered twice")
	}
}
