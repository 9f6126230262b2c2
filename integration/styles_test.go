package integration_test

import "fmt"

// setup is what a test wants to be the same in every style of configuration.
type setup struct {
	options   string           // of aws_sigv4
	proxy     string           // subdirectives of reverse_proxy
	http      string           // options of Caddy's HTTP transport
	transport string           // options of aws_sigv4 in a transport that has a handler before it
	before    string           // directives before
	global    string           // global options
	tls       *testCertificate // of the site, which then also speaks HTTP/2 and HTTP/3
	host      string           // of the handler that signs by itself, if it is not the upstream
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
	switch s.host {
	case "":
		s.host = "host " + upstreams
	case "none":
		s.host = ""
	default:
		s.host = "host " + s.host
	}
	return site(s, fmt.Sprintf("aws_sigv4 {\n%s\n%s\n}\nreverse_proxy %s {\nheader_up Host {http.aws_sigv4.host}\n%s\ntransport http {\n%s\n}\n}",
		s.options, s.host, upstreams, s.proxy, s.http))
}

func site(s setup, proxy string) string {
	address, certificate := "http://<port>", ""
	if s.tls != nil {
		address = "https://localhost<port>"
		certificate = fmt.Sprintf("tls %s %s", s.tls.certFile, s.tls.keyFile)
	}
	return fmt.Sprintf("{\n%s\n}\n%s {\n%s\nroute {\n%s\n%s\n}\n}\n", s.global, address, certificate, s.before, proxy)
}
