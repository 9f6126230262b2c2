package e2e_test

import (
	"strings"
	"testing"
)

// shareIntegrations writes an integration at one instance, and changes and deletes it at the other.
func shareIntegrations(t *testing.T, first, second *instance) {
	t.Helper()
	first.api("POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"shared","integration_config":{"service":"s3","credentialsName":"broker"}}`, 200, nil)
	second.shows("shared", `"service":"s3"`)
	second.api("PATCH", "/integrations/shared", `{"integration_config":{"service":"sqs"}}`, 200, nil)
	first.shows("shared", `"service":"sqs"`)
	second.api("PATCH", "/integrations/acme-s3", `{"display_name":"x"}`, 409, nil)
	first.api("DELETE", "/integrations/shared", "", 200, nil)
	second.shows("shared", "not_found")
}

// shows waits until an integration is answered with a text.
func (i *instance) shows(key, text string) {
	i.t.Helper()
	waitFor(i.t, patience, "the integration to be shown with "+text, func() bool {
		return strings.Contains(i.do("GET", "/integrations/"+key, "", "Authorization: Bearer "+connectKey).body, text)
	})
}
