package integration_test

import (
	"testing"
	"time"
)

// TestHelperKeepsItsBroker: the broker's credentials are fetched and kept while the configuration runs, so that
// nothing that callers do has them dropped.
func TestHelperKeepsItsBroker(t *testing.T) {
	sts := newSTS(t)
	startCaddy(t, "{\naws_sigv4 {\ncredentials broker "+brokerSource+"\n}\n}\nhttp://<site> {\naws_sts_helper {\ncredentials assume_role "+arn("Inline")+" {\nfrom broker\n}\n"+acmeKey+"\n}\n}\n")
	waitFor(t, 5*time.Second, func() bool { return len(sts.callsFor("Inline")) == 1 }, "the broker to be fetched")
}
