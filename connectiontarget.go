package awssigv4

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
)

// callTarget is where a call goes, and what it is signed for.
type callTarget struct {
	scheme, host    string // host has a port if that is not the scheme's
	path            string // before the caller's, as it is sent, without a slash at its end
	service, region string
}

// targeting is all that decides on a callTarget.
type targeting struct {
	connection  *connect.Connection
	integration *connect.Integration

	// allowed are the hosts that may be called without being AWS's: HOST[:PORT] or *.suffix.
	allowed []string

	// insecure permits plain http with a host that is in allowed.
	insecure bool
}

// of returns the target of a call: the URL that the caller asks for, else that of the connection, else that
// of the integration, else the usual endpoint of the integration's service in the connection's region. The
// first three are taken only if the host is one of the partition and the services that the connection is
// for, or is allowed by name. Of hosts behind which customers' code sees each header, with the session token
// in it, the first is taken only if it is allowed by name.
func (t *targeting) of(override string) (callTarget, error) {
	for _, from := range []struct {
		name, text, code string
		byCaller         bool
	}{
		{"Base-Url-Override", override, "base_url_override_not_allowed", true},
		{"the connection's base_url", t.connection.BaseURL, "base_url_not_allowed", false},
		{"the integration's base_url", t.integration.BaseURL, "base_url_not_allowed", false},
	} {
		if from.text == "" {
			continue
		}
		target, err := t.parse(from.text)
		if err != nil {
			return target, newCallError(http.StatusBadRequest, "invalid_base_url", from.name+": "+err.Error())
		}
		if err := t.permit(&target, from.byCaller); err != nil {
			return target, newCallError(http.StatusForbidden, from.code, from.name+": "+err.Error())
		}
		if override != "" && t.limitsPathsOnly() {
			if usual, err := t.of(""); err == nil && usual.host != target.host {
				return target, newCallError(http.StatusForbidden, from.code, fmt.Sprintf(
					"%s: host %q is another than the paths are for that may be called: the operator has to list it in allow_hosts", from.name, target.host))
			}
		}
		return target, nil
	}
	if t.integration.Service == "" {
		return callTarget{}, newCallError(http.StatusBadRequest, "missing_api_url",
			"the integration has neither a service nor a base_url: send Base-Url-Override, or have the operator write one of them")
	}
	d, err := endpoint.DefaultFor(t.integration.Service, t.connection.Region)
	if err != nil {
		return callTarget{}, newCallError(http.StatusBadRequest, "missing_api_url", err.Error())
	}
	return callTarget{scheme: "https", host: d.Host, service: t.integration.Service, region: d.Region}, nil
}

// limitsPathsOnly says whether paths are limited and hosts are not. The same path means something else at
// another host: with S3, in another bucket.
func (t *targeting) limitsPathsOnly() bool {
	of, own := &t.integration.Limits, &t.connection.Limits
	return len(of.Paths)+len(own.Paths) > 0 && len(of.Hosts)+len(own.Hosts) == 0
}

var errBaseURL = errors.New("write https://HOST, HOST:PORT or HOST/PATH, without user, query and dots in the path")

// parse reads a base URL.
func (t *targeting) parse(text string) (callTarget, error) {
	u, err := url.Parse(text)
	switch {
	case len(text) > 2048, err != nil, u.Opaque != "", u.User != nil, u.RawQuery != "", u.ForceQuery, strings.Contains(text, "#"):
		return callTarget{}, errBaseURL
	case u.Scheme == "http" && !t.insecure:
		return callTarget{}, errors.New("it is plain http: write https; for a server on this machine, allow_hosts HOST:PORT in the integration, and insecure in aws_sigv4 connection")
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "", strings.HasSuffix(u.Host, ":"):
		return callTarget{}, errBaseURL
	}
	if err := checkHost(u.Host); err != nil {
		return callTarget{}, errBaseURL
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return callTarget{}, errBaseURL
		}
	}
	host, port := splitHostPort(u.Host)
	if port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
		port = ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" {
		host += ":" + port
	}
	return callTarget{scheme: u.Scheme, host: host, path: strings.TrimRight(u.EscapedPath(), "/")}, nil
}

// permit says whether a host may be called, and completes what is signed for it. Hosts of AWS's have to be
// of the connection's partition and of a service that it is for, unless they are allowed in full; a pattern
// allows only hosts that are not below AWS's domains, where also other customers' servers are.
func (t *targeting) permit(target *callTarget, byCaller bool) error {
	inFull, byPattern := false, false
	for _, pattern := range t.allowed {
		if _, ok := matchHost(pattern, withPort(target)); ok {
			isPattern := strings.HasPrefix(pattern, "*.")
			byPattern = byPattern || isPattern
			inFull = inFull || !isPattern
		}
	}
	if target.scheme == "http" && !inFull {
		return fmt.Errorf("host %q is called without TLS, and is not in allow_hosts in full", target.host)
	}
	name, port := splitHostPort(target.host)
	ep, err := endpoint.Parse(name)
	switch {
	case err == nil && byCaller && !inFull && runsCustomersCode(&ep, name):
		return fmt.Errorf("host %q may be anybody's, who would see the session token: have the operator write it in allow_hosts", target.host)
	case err == nil && (inFull || port == "" && t.covers(&ep)):
		target.service, target.region = ep.Service, ep.Region
		return nil
	case err == nil:
		return fmt.Errorf("host %q is of service %s in partition %s, which the connection is not for", target.host, ep.Service, ep.Partition)
	case !inFull && (!byPattern || endpoint.UnderAWS(name)):
		return fmt.Errorf("host %q is none of AWS's that can be signed for, and is not in allow_hosts", target.host)
	case t.integration.Service == "":
		return fmt.Errorf("host %q does not tell its service, and the integration has none", target.host)
	}
	target.service, target.region = t.integration.Service, t.connection.Region
	return nil
}

// runsCustomersCode says whether a request to a host of AWS's, all its headers with it, comes to what a
// customer has put there.
func runsCustomersCode(ep *endpoint.Endpoint, host string) bool {
	switch ep.Service {
	case "appsync", "execute-api", "lambda", "vpc-lattice-svcs":
		d, err := endpoint.DefaultFor(ep.Service, ep.Region)
		return err != nil || d.Host != host
	}
	return false
}

// withPort is the host with its port, which patterns may name.
func withPort(target *callTarget) string {
	if _, port := splitHostPort(target.host); port != "" {
		return target.host
	}
	if target.scheme == "http" {
		return target.host + ":80"
	}
	return target.host + ":443"
}

// covers says whether an endpoint of AWS's is what the connection is for.
func (t *targeting) covers(ep *endpoint.Endpoint) bool {
	p, ok := endpoint.PartitionOf(t.connection.Region)
	if !ok || p.ID != ep.Partition {
		return false
	}
	return ep.Service == t.integration.Service || slices.Contains(t.integration.Limits.Services, ep.Service)
}
