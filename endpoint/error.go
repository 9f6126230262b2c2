package endpoint

import (
	"strconv"
	"strings"
)

// Error says why nothing could be inferred from a host. It is one line.
type Error struct {
	// Host is the host as given, but shortened where it is very long, and
	// without user information or a query, which may hold secrets.
	Host string
	// Problem goes on from the host: "is empty".
	Problem string
	// Fix says what to write instead: "write `region NAME`".
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

// quotable is host as an error may show it.
func quotable(host string) string {
	host, _, _ = strings.Cut(host, "?")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = "..." + host[i:]
	}
	return shorten(host)
}

// shorten keeps what an error quotes readable.
func shorten(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
