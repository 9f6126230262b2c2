package sts

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
)

// Where says which STS a call goes to. The zero value leaves it to the environment.
type Where struct {
	// Region is the region that is called, and that the call is signed for.
	Region string

	// Endpoint is the URL to call instead of AWS's own endpoint in the region.
	Endpoint string

	// FIPS calls the FIPS 140 endpoint of the region.
	FIPS bool
}

// Check says whether these go together.
func (w Where) Check() error {
	if w.Endpoint == "" {
		return nil
	}
	if err := CheckEndpoint(w.Endpoint); err != nil {
		return err
	}
	of := w.regionOfEndpoint()
	switch {
	case w.FIPS:
		return fmt.Errorf("%s is called as it is written, and fips chooses another one: write the FIPS endpoint's URL, or only fips", clip.Text(w.Endpoint))
	case of != "" && w.Region != "" && w.Region != of:
		return fmt.Errorf("%s is in the region %s and can't be called in %s: write one of the two, or the same region", clip.Text(w.Endpoint), of, clip.Text(w.Region))
	}
	return nil
}

// regionOfEndpoint returns the region of an endpoint of AWS's own, or "".
func (w Where) regionOfEndpoint() string {
	u, err := url.Parse(w.Endpoint)
	if err != nil {
		return ""
	}
	e, err := endpoint.Parse(u.Host)
	if err != nil {
		return ""
	}
	return e.Region
}

const exampleEndpoint = "https://sts.eu-west-1.amazonaws.com"

// CheckEndpoint says whether an URL can be that of an STS: https, a host, and at most a path. What is
// sent and answered there is secret, so http is for this machine alone. Another service's host of
// AWS's is a mistake.
func CheckEndpoint(endpointURL string) error {
	u, err := url.Parse(endpointURL)
	if err != nil || u.Opaque != "" || u.Hostname() == "" {
		return fmt.Errorf("%q is no URL: write one like %s", clip.Text(redactedURL(endpointURL)), exampleEndpoint)
	}
	switch {
	case u.User != nil:
		return fmt.Errorf("it has a user name, and calls are signed: write one like %s", exampleEndpoint)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("%q has a query or a fragment: write one like %s", clip.Text(endpointURL), exampleEndpoint)
	case u.Scheme == "http" && !dial.IsLoopback(u.Hostname()):
		return fmt.Errorf("%q is not encrypted, and the answer is a secret: write https://, or http:// with a loopback address; "+
			"the environment variable AWS_ENDPOINT_URL_STS is not checked", clip.Text(endpointURL))
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q is not https: write one like %s", clip.Text(endpointURL), exampleEndpoint)
	}
	if e, err := endpoint.Parse(u.Host); err == nil && e.Service != "sts" {
		return fmt.Errorf("%q is an endpoint of %s: write one like %s", clip.Text(endpointURL), e.Service, exampleEndpoint)
	}
	return nil
}

// redactedURL leaves a password out that stands where one can be, whatever else is wrong.
func redactedURL(s string) string {
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		return "…" + s[at:]
	}
	return s
}
