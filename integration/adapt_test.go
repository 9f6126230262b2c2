package integration_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the Caddyfiles in caddyfile_adapt adapt to into them")

// TestCaddyfileAdapt compares the JSON that Caddyfiles adapt to with what
// stands below the line in each file; `go test ./integration -run
// CaddyfileAdapt -update` writes it.
func TestCaddyfileAdapt(t *testing.T) {
	const line = "\n----------\n"
	files, err := filepath.Glob(filepath.Join("caddyfile_adapt", "*.caddyfiletest"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			caddyfile, want, _ := strings.Cut(string(text), line)
			config, err := adapt(caddyfile)
			if err != nil {
				t.Fatal(err)
			}
			got := pretty(t, config)
			if *update {
				if err := os.WriteFile(file, []byte(strings.TrimRight(caddyfile, "\n")+"\n"+line[1:]+got+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if strings.TrimSpace(want) != got {
				t.Errorf("adapts to\n%s\nwant\n%s", got, want)
			}
		})
	}
}
