package awssigv4

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

func TestReadControls(t *testing.T) {
	for _, tt := range []struct {
		h    http.Header
		want controls
		ok   bool
	}{
		{http.Header{}, controls{}, true},
		{http.Header{"Base-Url-Override": {""}, "Retries": {""}, "Retry-On": {""}}, controls{}, true},
		{http.Header{"Base-Url-Override": {" https://x.example "}}, controls{baseURL: "https://x.example"}, true},
		{http.Header{"Retries": {"3"}, "Retry-On": {"409, 423"}}, controls{retries: 3, retryOn: []int{409, 423}}, true},
		{http.Header{"Retries": {"2147483647"}}, controls{retries: 5}, true},
		{http.Header{"Retries": {"99999999999999999999"}}, controls{}, false},
		{http.Header{"Retries": {"1.5"}}, controls{}, false},
		{http.Header{"Retries": {"1", "2"}}, controls{}, false},
		{http.Header{"Retry-On": {"409,"}}, controls{}, false},
		{http.Header{"Retry-On": {"99"}}, controls{}, false},
	} {
		got, err := readControls(tt.h)
		if (err == nil) != tt.ok || tt.ok && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v are read as %+v, %v; want %+v", tt.h, got, err, tt.want)
		}
	}
}

func TestClean(t *testing.T) {
	h := http.Header{
		"Authorization": {"Bearer x"}, "Cookie": {"x"}, "Connection-Id": {"x"}, "Nango-Is-Sync": {"x"}, "Nango-Proxy-": {"x"},
		"Nango-Proxy-Nango-Proxy-X": {"x"}, "Nango-Proxy-Cookie": {"x"}, "Nango-Proxy-Host": {"x"}, "Nango-Proxy-Authorization": {"x"},
		"Nango-Proxy-X-Amz-Meta-A": {"1", "2"}, "X-Amz-Meta-A": {"3"}, "Content-Type": {"text/plain"}, "X-Forwarded-For": nil,
	}
	before := maps.Clone(h)
	got := clean(h)
	if !reflect.DeepEqual(h, before) {
		t.Error("the caller's headers were changed")
	}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, []string{"Content-Type", "X-Amz-Meta-A", "X-Forwarded-For"}) || !slices.Equal(got["X-Amz-Meta-A"], []string{"1", "2"}) {
		t.Errorf("left are %v", got)
	}
}

func TestRateLimiter(t *testing.T) {
	l := &rateLimiter{emptyAt: make(map[string]time.Time)}
	now := time.Unix(1_800_000_000, 0)
	many := counted{"a", connect.Rate{Calls: 2, Per: 10 * time.Second}}
	few := counted{"b", connect.Rate{Calls: 1, Per: time.Minute}}
	take := func(after time.Duration, want time.Duration, all ...counted) {
		t.Helper()
		if wait := l.take(now.Add(after), all...); wait != want {
			t.Errorf("after %v: wait %v, want %v", after, wait, want)
		}
	}
	take(0, 0, counted{"c", connect.Rate{}})
	take(0, 0, many)
	take(0, 0, many)
	take(0, 5*time.Second, many)
	take(4*time.Second, time.Second, many)
	take(5*time.Second, 0, many)
	take(5*time.Second, 5*time.Second, many)
	take(time.Hour, 0, many, few)
	take(time.Hour, time.Minute, many, few) // It counts for neither.
	take(time.Hour, 0, many)
	take(time.Hour, 5*time.Second, many)
	take(time.Hour, 30*time.Second, counted{"b", connect.Rate{Calls: 2, Per: time.Minute}})
	take(time.Hour, time.Second, counted{"b", connect.Rate{Calls: 1, Per: time.Second}}) // It is a day's no more.
	if len(l.emptyAt) != 2 {
		t.Errorf("%d keys are remembered", len(l.emptyAt))
	}
	for i := range 5000 {
		l.take(now.Add(2*time.Hour+time.Duration(i)*time.Minute), counted{time.Duration(i).String(), few.rate})
	}
	if len(l.emptyAt) > 2048 {
		t.Errorf("%d keys are remembered, of which one is in use", len(l.emptyAt))
	}
}

func TestPauseBeforeRetry(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{"0": 0, "7": 7 * time.Second, "Sun, 22 Nov 2026 08:00:09 GMT": 9 * time.Second, "Sun, 22 Nov 2026 07:00:00 GMT": 0} {
		res := &http.Response{Header: http.Header{"Retry-After": {text}}}
		if got := pauseBefore(3, res, now); got != want {
			t.Errorf("Retry-After %q: %v, want %v", text, got, want)
		}
	}
	for n := range maxRetries {
		got := pauseBefore(n, &http.Response{Header: http.Header{"Retry-After": {"soon"}}}, now)
		if most := retryDelay << n; got < most/2 || got >= most {
			t.Errorf("retry %d after %v, want %v to %v", n, got, most/2, most)
		}
	}
}
