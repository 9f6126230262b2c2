package endpoint

import (
	"strconv"
	"strings"
)

// Error says why nothing could be inferred from a host. It is one line.
type Error struct {
	// Host is the host as given, shortened if it is very long, and without
	// user information, which may hold a password.
	Host string
	// Problem completes the sentence that begins with the host.
	Problem string
	// Fix says what to write instead.
	Fix string
}

// Error says what is wrong with which host and what to write instead.
func (e *Error) Error() string {
	return "host " + strconv.QuoteToASCII(e.Host) + " " + e.Problem + ": " + e.Fix
}

const (
	fixBoth    = "write `service NAME` and `region NAME`"
	fixService = "write `service NAME`"
	fixRegion  = "write `region NAME`"
	fixHost    = "write a host name, with or without a port, for example `s3.eu-west-1.amazonaws.com`"
)

func fixSuffix(p Partition) string {
	return "write the host with the suffix " + p.Suffix + " or " + p.DualStackSuffix + ", or " + fixBoth[len("write "):]
}

// quotable is host as an error may show it: no user information, no novel.
func quotable(host string) string {
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = "…" + host[i:]
	}
	const most = 80
	if len(host) > most {
		host = host[:most] + "…"
	}
	return host
}
