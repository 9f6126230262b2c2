package integration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestConnectExample runs the example as it is: its page offers the template, and the role that it makes is
// connected.
func TestConnectExample(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "examples", "connect", "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	b := newConnectBed(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDBROKER")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "broker/secret+key")
	t.Chdir("..")
	config := strings.Replace(string(text), "{$CONNECT_SITE:localhost}", "http://<site>", 1)
	config = strings.ReplaceAll(config, "/run/secrets/connect-seal-key", b.keyFile)
	b.start(config)

	_, link := b.session("globex")
	c := b.follow(link)
	externalID := c.read(shownExternalID)
	c.get("").expect(t, 200, "Acme Analytics", "Read one bucket", "s3:GetObject", "s3:ListBucket", "aws cloudformation deploy",
		"ExternalId="+externalID, "https://docs.acme.example/aws")
	c.get("template/s3-readonly").expect(t, 200, `"AWSTemplateFormatVersion"`)
	b.makeRole("arn:aws:iam::444455556666:role/acme-analytics/acme-analytics-Role-1ABC", externalID)
	c.submit("arn:aws:iam::444455556666:role/acme-analytics/acme-analytics-Role-1ABC", "").expect(t, 303)
	c.wait("succeeded")
	if log := b.logged(); strings.Contains(log, `"level":"error"`) {
		t.Error("the log holds errors")
	}
	b.settle()
}
