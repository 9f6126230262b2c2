package awssigv4

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// controls are what a caller asks of this proxy, in headers that are not AWS's.
type controls struct {
	baseURL string // to call in place of the connection's own; "" if that

	retries int   // how often to try again, at most maxRetries
	retryOn []int // statuses to try again on beside the usual ones
}

// controlHeaders are meant for this proxy, and never for AWS.
var controlHeaders = map[string]bool{
	"Base-Url-Override":           true,
	"Connection-Id":               true,
	"Cookie":                      true,
	"Cookie2":                     true,
	"Decompress":                  true,
	"Forward-Headers-On-Redirect": true,
	"Provider-Config-Key":         true,
	"Retries":                     true,
	"Retry-On":                    true,
}

const (
	// nangoPrefix begins the names of headers about Nango's own logs and runs.
	nangoPrefix = "Nango-"

	// forwardPrefix stands before the names of headers that are meant for AWS.
	forwardPrefix = "Nango-Proxy-"
)

// hopHeaders are about one connection, or about the message itself: a header that is forwarded by its
// prefix can't set them.
var hopHeaders = map[string]bool{
	"Connection": true, "Content-Length": true, "Expect": true, "Host": true, "Http2-Settings": true, "Keep-Alive": true,
	"Proxy-Authenticate": true, "Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

// readControls reads the control headers. One that is empty asks for nothing; the real clients send
// Base-Url-Override empty.
func readControls(h http.Header) (controls, error) {
	var c controls
	var err error
	if c.baseURL, err = oneHeader(h, "Base-Url-Override"); err != nil {
		return c, err
	}
	retries, err := oneHeader(h, "Retries")
	if err != nil {
		return c, err
	}
	if retries != "" {
		n, err := strconv.ParseUint(retries, 10, 31)
		if err != nil {
			return c, badHeader("Retries", "write how often to try again, 0 to "+strconv.Itoa(maxRetries))
		}
		c.retries = min(int(n), maxRetries)
	}
	on, err := oneHeader(h, "Retry-On")
	if err != nil || on == "" {
		return c, err
	}
	for text := range strings.SplitSeq(on, ",") {
		status, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || status < 100 || status > 999 || len(c.retryOn) >= 100 {
			return c, badHeader("Retry-On", "write statuses with commas between them, such as 409,423")
		}
		c.retryOn = append(c.retryOn, status)
	}
	return c, nil
}

// oneHeader returns the only value of a header. One that is there twice says two things.
func oneHeader(h http.Header, name string) (string, error) {
	values := h.Values(name)
	if len(values) > 1 {
		return "", badHeader(name, "send it once")
	}
	if len(values) == 0 {
		return "", nil
	}
	return strings.TrimSpace(values[0]), nil
}

func badHeader(name, remedy string) error {
	return newCallError(http.StatusBadRequest, "invalid_headers", "the header "+name+" can't be read: "+remedy)
}

// clean returns the headers that AWS is to get: the caller's without control headers, cookies and the API
// key, and those with the prefix Nango-Proxy- without it, in place of others of the same name. What
// authenticates, or is about the connection alone, is taken from neither; signing cleans the rest as ever.
func clean(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		if !strings.HasPrefix(name, nangoPrefix) && !controlHeaders[name] && name != "Authorization" {
			out[name] = values
		}
	}
	var forwarded []string
	for name := range h {
		if strings.HasPrefix(name, forwardPrefix) {
			forwarded = append(forwarded, name)
		}
	}
	slices.Sort(forwarded)
	for _, name := range forwarded {
		as := http.CanonicalHeaderKey(strings.TrimPrefix(name, forwardPrefix))
		if as == "" || strings.HasPrefix(as, nangoPrefix) || controlHeaders[as] || hopHeaders[as] || as == "Authorization" {
			continue
		}
		out[as] = h[name]
	}
	return out
}

// The bounds of what a caller may ask for.
const (
	maxRetries = 5

	// retryTime is how long after the first attempt another may begin.
	retryTime = 30 * time.Second

	// retryDelay is waited before the first retry, and twice as long before each next one, unless
	// AWS says how long.
	retryDelay = 500 * time.Millisecond
)
