package integration_test

import "fmt"

// setup is what a test wants to be the same in every style of configuration.
type setup struct {
	options   string // of aws_sigv4
	proxy     string // subdirectives of reverse_proxy
	http      string // options of Caddy's HTTP transport
	transport string // options of aws_sigv4 in a transport that has a handler before it
	before    string // directives before
	global    string // global options
	host      string // of the handler that signs by itself, if it is not the upstream
}

// signFor returns the options with which the tests sign for a service.
func signFor(service string) string {
	return "service " + service + "\nregion eu-west-1\n" + alice
}

// styles are the ways to configure one and the same thing, by name: a function
// of the upstreams that returns a Caddyfile.
var styles = map[string]func(upstreams string, s setup) string{
	"transport": func(upstreams string, s setup) string {
		return site(s, fmt.Sprintf("reverse_proxy %s {\n%s\ntransport aws_sigv4 {\n%s\n%s\n}\n}", upstreams, s.proxy, s.options, s.http))
	},
	"short form": func(upstreams string, s setup) string {
		return site(s, fmt.Sprintf("aws_sigv4 %s {\n%s\n%s\ntransport aws_sigv4 {\n%s\n}\n}", upstreams, s.options, s.proxy, s.http))
	},
	"handler and transport": func(upstreams string, s setup) string {
		return site(s, fmt.Sprintf("aws_sigv4 {\n%s\n}\nreverse_proxy %s {\n%s\ntransport aws_sigv4 {\n%s\n%s\n}\n}", s.options, upstreams, s.proxy, s.transport, s.http))
	},
	"handler alone": handlerAlone,
}

// handlerAlone signs in the handler, before a reverse_proxy that knows nothing
// of AWS.
func handlerAlone(upstreams string, s setup) string {
	if s.host == "" {
		s.host = upstreams
	}
	return site(s, fmt.Sprintf("aws_sigv4 {\n%s\nhost %s\n}\nreverse_proxy %s {\nheader_up Host {http.aws_sigv4.host}\n%s\ntransport http {\n%s\n}\n}",
		s.options, s.host, upstreams, s.proxy, s.http))
}

func site(s setup, proxy string) string {
	return fmt.Sprintf("{\n%s\n}\nhttp://<port> {\nroute {\n%s\n%s\n}\n}\n", s.global, s.before, proxy)
}
