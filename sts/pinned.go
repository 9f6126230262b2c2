package sts

import (
	"fmt"
	"net/url"
	"os"
	"strings"
)

// This file has the advice about an STS whose address is written down, in a configuration or the environment.

// isWrongRegion says whether AWS refuses a signature for the region in its scope alone.
func isWrongRegion(e *Error) bool {
	code := strings.TrimSuffix(e.Code, "Exception")
	return (code == "SignatureDoesNotMatch" || code == "InvalidSignature") &&
		strings.Contains(strings.ToLower(e.Message), "credential should be scoped to a valid region")
}

// OtherRegion says whether STS refused the call only because it was signed for another region than the one
// that this STS serves: its address is pinned, and the region was chosen besides.
func (e *Error) OtherRegion() bool { return e.ofSTS && isWrongRegion(e) }

// otherRegion is about an STS whose address is pinned, and that was asked with the signature of another region.
func otherRegion(k Known) Cause {
	pinned, at := stsVariable(k)
	why := fmt.Sprintf("%s serves another region than %s, which the call was signed for", at, regionOf(k))
	remedy := "write sts_region with the region that the endpoint serves; in aws_sts_helper limit regions to it, or write ignore_region"
	if pinned != "" {
		remedy += fmt.Sprintf("; or unset %s, so that each region's own STS is called", pinned)
	}
	return Cause{why, remedy}
}

// stsVariable returns the environment variable that says which STS is called, or "", and that STS.
func stsVariable(k Known) (name, at string) {
	if k.Endpoint != "" {
		return "", k.Endpoint
	}
	for _, name := range []string{"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"} {
		if u, err := url.Parse(os.Getenv(name)); err == nil && u.Host != "" && os.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") != "true" {
			return name, u.Scheme + "://" + u.Host
		}
	}
	return "", "STS"
}

// correct puts a look at the environment variable first that leads to an STS.
func correct(pinned, remedy string) string {
	if pinned == "" {
		return remedy
	}
	return fmt.Sprintf("correct or unset the environment variable %s, which leads there; if it is right, %s", pinned, remedy)
}
