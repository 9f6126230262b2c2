package connect

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
)

// Limits narrow what may be called on a customer's behalf. Those of an integration and those of a
// connection both count: a call has to keep to the two. The zero value does not narrow anything.
type Limits struct {
	// Services are the signing names of the services that may be called, for example s3.
	Services []string `json:"services,omitempty"`

	// Regions are the regions that may be called.
	Regions []string `json:"regions,omitempty"`

	// Hosts are the hosts that may be called: HOST, HOST:PORT, or *.SUFFIX.
	Hosts []string `json:"hosts,omitempty"`

	// Methods are the HTTP methods that may be used, in upper case.
	Methods []string `json:"methods,omitempty"`

	// Paths are the paths that may be called, as AWS sees them: each begins with a slash; a * at the
	// end stands for anything, also for more slashes. They are compared with the path that is signed,
	// decoded; one with . or .. as a segment is refused where there are Paths.
	Paths []string `json:"paths,omitempty"`

	// Rate is how many calls may be made in which time.
	Rate Rate `json:"rate,omitzero"`
}

// Rate is how many calls may be made in which time, one second to 24 hours. As many may come at
// once. Its zero value is no bound.
type Rate struct {
	Calls int           `json:"calls"`
	Per   time.Duration `json:"per"`
}

var limitedHost = regexp.MustCompile(`^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*(:[0-9]{1,5})?$`)

// Check says what is wrong with limits, if anything, and what to write.
func (l *Limits) Check() error {
	for _, s := range l.Services {
		if err := endpoint.CheckService(s); err != nil {
			return err
		}
	}
	for _, r := range l.Regions {
		if _, ok := endpoint.PartitionOf(r); !ok {
			return fmt.Errorf("%q is not the name of an AWS region: write one like us-east-1", clip.Text(r))
		}
	}
	for _, h := range l.Hosts {
		if !limitedHost.MatchString(h) {
			return fmt.Errorf("%q is no host: write HOST, HOST:PORT or *.SUFFIX, in lower case", clip.Text(h))
		}
	}
	for _, m := range l.Methods {
		if !methodName.MatchString(m) {
			return fmt.Errorf("%q is no HTTP method: write one like GET", clip.Text(m))
		}
	}
	for _, p := range l.Paths {
		if err := checkLimitedPath(p); err != nil {
			return err
		}
	}
	return l.Rate.check()
}

func checkLimitedPath(p string) error {
	fixed := strings.TrimSuffix(p, "*")
	switch {
	case !strings.HasPrefix(p, "/"):
		return fmt.Errorf("path %q: begin it with a slash", clip.Text(p))
	case strings.Contains(fixed, "*"):
		return fmt.Errorf("path %q: a * is good at the end only", clip.Text(p))
	case hasDots(fixed):
		return fmt.Errorf("path %q has a segment . or ..: write the path without it", clip.Text(p))
	}
	return nil
}

func (r Rate) check() error {
	switch {
	case r == (Rate{}):
		return nil
	case r.Calls < 1:
		return fmt.Errorf("a rate of %d calls: write at least 1", r.Calls)
	case r.Per < time.Second || r.Per > 24*time.Hour:
		return fmt.Errorf("a rate per %v: write 1s to 24h", r.Per)
	}
	return nil
}

// Permit says which of the limits a call does not keep to, if any. All but the host are what is
// signed; path is decoded. The rate is not asked for here.
func (l *Limits) Permit(method, host, path, service, region string) error {
	switch {
	case len(l.Services) > 0 && !slices.Contains(l.Services, service):
		return fmt.Errorf("service %q is not among those that may be called", clip.Text(service))
	case len(l.Regions) > 0 && !slices.Contains(l.Regions, region):
		return fmt.Errorf("region %q is not among those that may be called", clip.Text(region))
	case len(l.Hosts) > 0 && !slices.ContainsFunc(l.Hosts, func(p string) bool { return matchesHost(p, host) }):
		return fmt.Errorf("host %q is not among those that may be called", clip.Text(host))
	case len(l.Methods) > 0 && !slices.Contains(l.Methods, method):
		return fmt.Errorf("method %q is not among those that may be used", clip.Text(method))
	case len(l.Paths) > 0 && (hasDots(path) || !slices.ContainsFunc(l.Paths, func(p string) bool { return matchesPath(p, path) })):
		return errors.New("the path is not among those that may be called")
	}
	return nil
}

func matchesHost(pattern, host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ":443")
	pattern = strings.TrimSuffix(pattern, ":443")
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(host, suffix)
	}
	return host == pattern
}

func matchesPath(pattern, path string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(path, prefix)
	}
	return path == pattern
}

// hasDots says whether a path has a segment that some server may take for a way up.
func hasDots(path string) bool {
	for s := range strings.SplitSeq(path, "/") {
		if s == "." || s == ".." {
			return true
		}
	}
	return false
}

// checkServiceURL wants what calls may be sent below: https://HOST[:PORT][/PATH], or http:// with a
// loopback address.
func checkServiceURL(text string) error {
	u, err := url.Parse(text)
	if err == nil && u.Scheme == "http" && dial.IsLoopback(u.Hostname()) {
		text = "https" + strings.TrimPrefix(text, "http")
	}
	if err := checkWebURL(text); err != nil {
		return err
	}
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery || hasDots(u.Path) {
		return fmt.Errorf("%q: write https://HOST, HOST:PORT or HOST/PATH, without a query", clip.Text(text))
	}
	return nil
}
