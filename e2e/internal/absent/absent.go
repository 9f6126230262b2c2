// Package absent skips tests for what a machine lacks: programs, data, an operating system. On a machine where all is meant
// to be there, as in CI, a test may only be skipped for what the table in absent.tsv lists.
package absent

import (
	_ "embed"
	"os"
	"strings"
	"testing"
)

// Variable is the name of the environment variable that says, if it is not empty, that all is meant to be there.
const Variable = "E2E_ALL_CLIENTS"

//go:embed absent.tsv
var table string

// Skip skips a test for the want of something, or fails it where that is meant to be there. remedy says how to come by it.
func Skip(t testing.TB, what, remedy string) {
	t.Helper()
	reason := excuse(what)
	switch {
	case reason != "":
		t.Skipf("SKIPPED, NOT PASSED: there is no %s (%s). It is in absent.tsv: %s", what, remedy, reason)
	case os.Getenv(Variable) != "":
		t.Fatalf("%s is set, and there is no %s (%s), which absent.tsv does not list", Variable, what, remedy)
	default:
		t.Skipf("SKIPPED, NOT PASSED: there is no %s (%s)", what, remedy)
	}
}

// excuse returns why something may be absent everywhere, or "".
func excuse(what string) string {
	for line := range strings.Lines(table) {
		if name, reason, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); name == what {
			return reason
		}
	}
	return ""
}
