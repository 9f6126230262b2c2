package e2e_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// table is what comes of each client and case.
type table map[string]map[string]string

// agrees tells whether an outcome is the one in the table, or one of those in it. Of a failure, the table has a part.
func agrees(want, got string) bool {
	for want := range strings.SplitSeq(want, " or ") {
		part, fails := strings.CutPrefix(want, "fails: ")
		if want == got || fails && strings.HasPrefix(got, "fails: ") && strings.Contains(got, part) {
			return true
		}
	}
	return false
}

var tablePath = filepath.Join("clients", "table.tsv")

func readTable(t *testing.T) table {
	t.Helper()
	b, err := os.ReadFile(tablePath)
	if err != nil && !*updateTable {
		t.Fatal(err)
	}
	rows := table{}
	var header []string
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if header == nil {
			header = cells
			continue
		}
		rows[cells[0]] = map[string]string{}
		for i, cell := range cells[1:] {
			rows[cells[0]][header[i+1]] = cell
		}
	}
	return rows
}

func writeTable(t *testing.T, rows table) {
	t.Helper()
	var b strings.Builder
	b.WriteString("client")
	for _, c := range cases {
		b.WriteString("\t" + c.name)
	}
	b.WriteString("\n")
	for _, name := range slices.Sorted(maps.Keys(clients)) {
		b.WriteString(name)
		for _, c := range cases {
			b.WriteString("\t" + rows[name][c.name])
		}
		b.WriteString("\n")
	}
	if err := os.WriteFile(tablePath, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
