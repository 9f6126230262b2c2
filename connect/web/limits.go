package web

import (
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// limits reads what may be called with a connection.
func limits(f *fields) connect.Limits {
	l := connect.Limits{
		Services: f.texts("services"), Regions: f.texts("regions"), Hosts: f.texts("hosts"), Methods: f.texts("methods"), Paths: f.texts("paths"),
	}
	if rate := f.object("rate"); rate != nil {
		var seconds int
		rate.into("calls", &l.Rate.Calls, "a number")
		rate.into("per_seconds", &seconds, "a number")
		l.Rate.Per = time.Duration(min(seconds, 1<<20)) * time.Second
		rate.done()
	}
	f.done()
	return l
}

// limitsJSON is what may be called with a connection, as the API writes it.
func limitsJSON(l *connect.Limits) any {
	out := map[string]any{}
	for name, values := range map[string][]string{
		"services": l.Services, "regions": l.Regions, "hosts": l.Hosts, "methods": l.Methods, "paths": l.Paths,
	} {
		if len(values) > 0 {
			out[name] = values
		}
	}
	if l.Rate.Calls > 0 {
		out["rate"] = map[string]int{"calls": l.Rate.Calls, "per_seconds": int(l.Rate.Per.Seconds())}
	}
	return out
}
