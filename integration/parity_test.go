package integration_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// capabilities are the numbered ones of the system that docs/parity.md compares with: how many each letter has.
var capabilities = map[string]int{"A": 11, "B": 10, "C": 14, "D": 11, "E": 8, "F": 9, "G": 8, "H": 5, "I": 7, "J": 10}

// comparedEndpoints and comparedCodes are the rest of what the document has to have a row for.
var (
	comparedEndpoints = []string{
		"POST /auth/aws-sigv4/KEY", "POST /connect/sessions", "POST /connect/sessions/reconnect", "GET /connect/session",
		"DELETE /connect/session", "POST /connect/telemetry", "GET /connections", "GET /connections/ID", "PATCH /connections/ID",
		"DELETE /connections/ID", "POST /connections/metadata", "PATCH /connections/metadata", "/connection…", "ANY /proxy/…",
		"PATCH /api/v1/integrations/KEY", "GET /integrations", "POST /integrations", "PATCH /integrations/KEY",
		"custom STS endpoint", "webhook", "POST /assume-role", "GET /health",
	}
	comparedCodes = strings.Fields(`invalid_content_type invalid_body invalid_query_params invalid_uri_params missing_auth_header
		invalid_connect_session_token_format unknown_connect_session_token missing_public_key invalid_public_key unknown_account
		deprecated_authentication missing_hmac invalid_hmac unknown_provider_config unknown_provider_template invalid_auth_mode
		integration_not_allowed invalid_connection missing_aws_sigv4_service missing_aws_sigv4_sts_endpoint
		missing_aws_sigv4_builtin_credentials missing_aws_sigv4_region invalid_aws_sigv4_config missing_aws_sigv4_config
		missing_aws_sigv4_role_arn missing_aws_sigv4_external_id aws_sigv4_sts_request_failed connection_test_failed
		connection_validation_failed too_many_request server_error resource_capped forbidden not_found invalid_credentials
		unknown_connection invalid_headers connection_refresh_backoff connection_refresh_exhausted base_url_override_disabled
		base_url_override_not_allowed missing_api_url unsupported_provider failed_to_get_connection refresh_token_external_error
		plan_limit invalid_api_key assume_role_failed sts_missing_credentials`)
)

var (
	testName     = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)
)

// TestParity reads docs/parity.md: it has a row for everything that is compared, and nothing else; each row names a test
// that exists, or says that it is a deliberate difference, and why.
func TestParity(t *testing.T) {
	const document = "../docs/parity.md"
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{}
	for letter, n := range capabilities {
		for i := range n {
			wanted[fmt.Sprint(letter, i+1)] = true
		}
	}
	for _, name := range append(append([]string{}, comparedEndpoints...), comparedCodes...) {
		wanted["`"+name+"`"] = true
	}
	exists := testFunctions(t)
	seen := map[string]bool{}
	for n, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 4 || strings.TrimSpace(cells[3]) == "test" {
			if strings.HasPrefix(line, "| ") && len(cells) != 4 {
				t.Errorf("%s:%d: a row of %d cells", document, n+1, len(cells))
			}
			continue
		}
		id, ours, tests := strings.TrimSpace(cells[0]), cells[2], testName.FindAllStringSubmatch(cells[3], -1)
		switch {
		case !wanted[id]:
			t.Errorf("%s:%d: %s is not compared", document, n+1, id)
		case seen[id]:
			t.Errorf("%s:%d: %s is there twice", document, n+1, id)
		case len(tests) == 0 && !strings.Contains(ours, "Difference:"):
			t.Errorf("%s:%d: %s has neither a test nor a difference", document, n+1, id)
		}
		seen[id] = true
		for _, name := range tests {
			if !exists[name[1]] {
				t.Errorf("%s:%d: there is no test %s", document, n+1, name[1])
			}
		}
	}
	for id := range wanted {
		if !seen[id] {
			t.Errorf("%s has no row for %s", document, id)
		}
	}
}

// testFunctions are the names of all tests of this repository.
func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.Name() == "node_modules" || entry.Name() == "testdata" || entry.Name() == ".git":
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		for _, m := range testFunction.FindAllStringSubmatch(string(source), -1) {
			names[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
