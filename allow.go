package awssigv4

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Allow is what may be signed for at all. An empty list allows everything; a
// request outside a list is answered 403 before any credentials are fetched.
type Allow struct {
	// The signing names that may be signed for, such as `s3`.
	Services []string `json:"allow_services,omitempty"`

	// The regions that may be signed for, such as `eu-west-1`.
	Regions []string `json:"allow_regions,omitempty"`

	// The hosts that may be signed for and dialled: `HOST[:PORT]`, or
	// `*.suffix` for every host below a suffix. A pattern without a port
	// matches every port. Both the Host that is signed and the address that is
	// dialled must match. Required if `host` or an upstream's address holds a
	// placeholder that is filled from the request.
	Hosts []string `json:"allow_hosts,omitempty"`

	// The role ARNs that may be assumed, as patterns that are compared field
	// by field: `*` and `?` match neither `:` nor `/`. If it is set, an
	// identity without a role is refused too. Required if a role ARN holds a
	// placeholder that is filled from the request.
	Roles []string `json:"allow_roles,omitempty"`
}

// check reports the first entry that can't mean anything, with its field path.
func (a *Allow) check() error {
	for i, s := range a.Services {
		if err := endpoint.CheckService(s); err != nil {
			return fieldError(fmt.Sprintf("allow_services[%d]", i), err)
		}
	}
	for i, r := range a.Regions {
		if err := endpoint.CheckRegion(r); err != nil {
			return fieldError(fmt.Sprintf("allow_regions[%d]", i), err)
		}
	}
	for i, h := range a.Hosts {
		if err := checkHostPattern(h); err != nil {
			return fieldError(fmt.Sprintf("allow_hosts[%d]", i), err)
		}
	}
	for i, r := range a.Roles {
		if err := sts.CheckRolePattern(r); err != nil {
			return fieldError(fmt.Sprintf("allow_roles[%d]", i), err)
		}
	}
	return nil
}

func (a *Allow) permitService(name string) error {
	if len(a.Services) == 0 || slices.Contains(a.Services, name) {
		return nil
	}
	return refuse(http.StatusForbidden, "service %q is not in allow_services", name)
}

func (a *Allow) permitRegion(name string) error {
	if len(a.Regions) == 0 || slices.Contains(a.Regions, name) {
		return nil
	}
	return refuse(http.StatusForbidden, "region %q is not in allow_regions", name)
}

func (a *Allow) permitHost(host string) error {
	if len(a.Hosts) == 0 {
		return nil
	}
	for _, pattern := range a.Hosts {
		if _, ok := matchHost(pattern, host); ok {
			return nil
		}
	}
	return refuse(http.StatusForbidden, "host %q is not in allow_hosts", host)
}

// permitRole checks the role that is finally assumed. The roles that it is assumed
// from are the operator's own words: Provision refuses those that a request
// could choose.
func (a *Allow) permitRole(id credentials.Identity) error {
	if len(a.Roles) == 0 {
		return nil
	}
	if id.RoleARN == "" {
		return refuse(http.StatusForbidden, "allow_roles is set and %s assumes no role", id.Label)
	}
	for _, pattern := range a.Roles {
		if sts.MatchRole(pattern, id.RoleARN) {
			return nil
		}
	}
	return refuse(http.StatusForbidden, "role %s is not in allow_roles", id.RoleARN)
}

// checkHostPattern reports a pattern that is neither HOST[:PORT] nor *.suffix.
func checkHostPattern(pattern string) error {
	host, port := splitHostPort(strings.TrimPrefix(pattern, "*."))
	switch {
	case strings.Contains(pattern, "://") || strings.ContainsAny(pattern, "/?#@ \t\"\\;,"):
		return fmt.Errorf("%q is not a host: write HOST, HOST:PORT or *.suffix, without scheme and path", pattern)
	case host == "" || strings.Contains(host, "*") || strings.HasPrefix(host, ".") || strings.Contains(host, ".."):
		return fmt.Errorf("%q is not a host pattern: write HOST, HOST:PORT or *.suffix", pattern)
	case strings.Contains(host, ":") && net.ParseIP(host) == nil:
		return fmt.Errorf("%q is not a host pattern: the port is a number, and an IPv6 address stands in brackets", pattern)
	case strings.HasSuffix(pattern, ":"):
		return fmt.Errorf("%q ends in a colon: write the port, or leave the colon out", pattern)
	case port != "" && strings.Trim(port, "0123456789") != "":
		return fmt.Errorf("%q has a port that is not a number", pattern)
	}
	return nil
}

// matchHost reports whether host, which may have a port, matches a pattern,
// and how exactly: a host with a port beats a host, which beats a suffix, and
// among suffixes the longest wins.
func matchHost(pattern, host string) (exactness int, ok bool) {
	h, port := splitHostPort(host)
	rest, isSuffix := strings.CutPrefix(pattern, "*.")
	p, wantPort := splitHostPort(rest)
	if wantPort != "" && wantPort != port {
		return 0, false
	}
	if isSuffix {
		if !strings.HasSuffix(h, "."+p) {
			return 0, false
		}
		exactness = len(p)
	} else {
		if h != p {
			return 0, false
		}
		// More than any suffix: a name has at most 255 bytes.
		exactness = 1 << 10
	}
	if wantPort != "" {
		exactness++
	}
	return exactness, true
}

// splitHostPort takes apart a host that may have a port, lower-cased, without
// brackets and without a trailing dot.
func splitHostPort(hostport string) (host, port string) {
	host = hostport
	if h, p, err := net.SplitHostPort(hostport); err == nil {
		host, port = h, p
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.TrimSuffix(strings.ToLower(host), "."), port
}
