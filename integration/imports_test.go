package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// modulePath is this repository's Go module.
const modulePath = "github.com/caddy-aws-sigv4/caddy-aws-sigv4"

// A room is a directory at the top of the repository with all below it. Its rule names what it may import besides the
// standard library, itself and internal. Tests may import what they like.
type rule struct {
	// rooms are this module's other rooms; allRooms stands for each of them.
	rooms []string
	// modules are path prefixes of other people's packages; anyModule stands for each of them.
	modules []string
	// pure rooms reach nothing but the standard library and the rooms above through what they import, either.
	pure bool
}

const (
	root      = "."
	allRooms  = "every room"
	anyModule = "every module"

	awsSDK    = "github.com/aws/aws-sdk-go-v2"
	smithy    = "github.com/aws/smithy-go"
	caddy     = "github.com/caddyserver/caddy/v2"
	certmagic = "github.com/caddyserver/certmagic"
	yaml      = "go.yaml.in/yaml"
	zap       = "go.uber.org/zap"
)

// rules has the imports run one way: the programs and tests that use the plugin, the plugin, what it is made of, and
// the pure rooms at the bottom. Only credentials, sources and sts know the AWS SDK; only the plugin itself, its sources
// and its users know Caddy. A room that is not here may not exist.
var rules = map[string]rule{
	"bench":       {rooms: []string{allRooms}, modules: []string{anyModule}},
	"cmd/caddy":   {rooms: []string{root}, modules: []string{caddy}},
	"e2e":         {rooms: []string{allRooms}, modules: []string{anyModule}},
	"integration": {rooms: []string{allRooms}, modules: []string{anyModule}},

	root: {
		rooms: []string{"connect", "credentials", "endpoint", "payload", "sigv4", "sources", "stshelper", "sts"},
		modules: []string{
			caddy, certmagic, zap,
			"github.com/dustin/go-humanize",
			"github.com/prometheus/client_golang",
			"github.com/spf13/cobra",
			"go.opentelemetry.io/otel",
			"golang.org/x/net",
		},
	},

	"connect":   {rooms: []string{"credentials", "endpoint", "sigv4", "sts"}, modules: []string{certmagic, yaml}},
	"sources":   {rooms: []string{"credentials", "endpoint", "sigv4", "sts"}, modules: []string{awsSDK, smithy, caddy, zap}},
	"stshelper": {rooms: []string{"credentials", "endpoint", "sigv4", "sts"}},

	"credentials": {rooms: []string{"endpoint", "sigv4", "sts"}, modules: []string{awsSDK, smithy}},
	"sts":         {rooms: []string{"endpoint", "sigv4"}, modules: []string{awsSDK, smithy}},

	// endpoint tells how a host's requests are signed in the words of sigv4: the algorithm and the path rule.
	"endpoint": {rooms: []string{"sigv4"}, pure: true},
	"payload":  {rooms: []string{"sigv4"}, pure: true},
	"sigv4":    {pure: true},

	"internal": {pure: true},
}

// goPackage is the part of `go list -json` that the rules look at. Imports has no test's imports in it.
type goPackage struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

func TestImportsRunOneWay(t *testing.T) {
	top := repositoryRoot(t)
	for _, dir := range goModules(t, top) {
		t.Run(dir, func(t *testing.T) {
			packages := listPackages(t, filepath.Join(top, dir))
			ours := 0
			for _, p := range packages {
				if _, ok := roomOf(p.ImportPath); ok {
					ours++
				}
			}
			if ours == 0 {
				t.Fatal("go list names no package of this module: nothing was checked")
			}
			for _, v := range violations(packages) {
				t.Error(v)
			}
		})
	}
}

// TestImportRulesAreEnforced gives the checker packages that break each rule, so that the test above is known to fail
// when it should.
func TestImportRulesAreEnforced(t *testing.T) {
	tests := map[string]struct {
		packages map[string][]string // import path below the module, or of others → what it imports
		want     []string            // a part of each violation
	}{
		"what the rules allow": {packages: map[string][]string{
			"cmd/caddy":        {modulePath, caddy + "/cmd"},
			"integration":      {modulePath, modulePath + "/sts", awsSDK + "/aws"},
			".":                {modulePath + "/sources", modulePath + "/payload", caddy, zap},
			"sources":          {modulePath + "/credentials", caddy, awsSDK + "/config"},
			"credentials":      {modulePath + "/sts", awsSDK + "/aws", modulePath + "/internal/x"},
			"endpoint":         {modulePath + "/sigv4", "net/http"},
			"sigv4/internal/x": {"crypto/hmac"},
			"sigv4":            {modulePath + "/sigv4/internal/x"},
			"internal/x":       {"strings"},
		}},
		"a room against the stream": {
			packages: map[string][]string{"sigv4": {modulePath + "/endpoint"}},
			want:     []string{"sigv4 imports endpoint"},
		},
		"rooms side by side": {
			packages: map[string][]string{"connect": {modulePath + "/stshelper"}},
			want:     []string{"connect imports stshelper"},
		},
		"the plugin below itself": {
			packages: map[string][]string{"sources": {modulePath}},
			want:     []string{"sources imports the root package"},
		},
		"a package deep in a room": {
			packages: map[string][]string{"credentials/cache": {modulePath + "/sources/static"}},
			want:     []string{"credentials/cache imports sources/static"},
		},
		"Caddy in a room without it": {
			packages: map[string][]string{"credentials": {caddy}, "stshelper": {caddy + "/modules/caddyhttp"}},
			want:     []string{"credentials imports " + caddy, "stshelper imports " + caddy + "/modules/caddyhttp"},
		},
		"the AWS SDK in a room without it": {
			packages: map[string][]string{".": {awsSDK + "/aws"}, "connect": {awsSDK + "/service/sts"}, "sigv4": {awsSDK + "/aws"}},
			want:     []string{"the root package imports " + awsSDK + "/aws", "connect imports " + awsSDK, "sigv4 imports " + awsSDK},
		},
		"a module whose name only begins alike": {
			packages: map[string][]string{"sources": {zap + "py/core"}},
			want:     []string{"sources imports go.uber.org/zappy/core"},
		},
		"internal beyond the standard library": {
			packages: map[string][]string{"internal/x": {zap}, "internal/y": {modulePath + "/internal/x"}, "internal/z": {modulePath + "/sigv4"}},
			want:     []string{"internal/x imports " + zap, "internal/y imports internal/x", "internal/z imports sigv4"},
		},
		"a pure room that reaches further through another": {
			packages: map[string][]string{"payload": {modulePath + "/internal/x"}, "internal/x": {zap}, zap: {"fmt"}},
			want:     []string{"internal/x imports " + zap, "payload reaches " + zap},
		},
		"a room that no rule names": {
			packages: map[string][]string{"misc/helpers": {"fmt"}},
			want:     []string{`misc/helpers lies in the room "misc", which has no rule`},
		},
		"a command that no rule names": {
			packages: map[string][]string{"cmd/other": {"fmt"}},
			want:     []string{`cmd/other lies in the room "cmd/other", which has no rule`},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			packages := make(map[string]goPackage)
			for p, imports := range tt.packages {
				if !strings.Contains(strings.SplitN(p, "/", 2)[0], ".") || p == root {
					p = path.Join(modulePath, p)
				}
				packages[p] = goPackage{ImportPath: p, Imports: imports}
			}
			for _, std := range []string{"crypto/hmac", "fmt", "net/http", "strings"} {
				packages[std] = goPackage{ImportPath: std, Standard: true}
			}
			got := violations(packages)
			if len(got) != len(tt.want) {
				t.Errorf("%d violations, want %d:\n%s", len(got), len(tt.want), strings.Join(got, "\n"))
			}
			for _, want := range tt.want {
				if !slices.ContainsFunc(got, func(v string) bool { return strings.HasPrefix(v, want) }) {
					t.Errorf("no violation begins with %q:\n%s", want, strings.Join(got, "\n"))
				}
			}
		})
	}
}

// violations says where packages of this module import what their room's rule does not name, each with what to do.
func violations(packages map[string]goPackage) []string {
	var found []string
	for _, importPath := range slices.Sorted(maps.Keys(packages)) {
		room, ok := roomOf(importPath)
		if !ok {
			continue
		}
		r, ok := rules[room]
		if !ok {
			found = append(found, fmt.Sprintf("%s lies in the room %q, which has no rule: say in the table of imports_test.go what it may import",
				shortName(importPath), room))
			continue
		}
		known := len(found)
		for _, imported := range packages[importPath].Imports {
			if !r.allows(room, imported, packages) {
				found = append(found, fmt.Sprintf("%s imports %s: the table of imports_test.go does not let the room %q do so",
					shortName(importPath), shortName(imported), room))
			}
		}
		// What a package imports itself has been told by now.
		if r.pure && len(found) == known {
			for _, reached := range foreign(importPath, packages) {
				found = append(found, fmt.Sprintf("%s reaches %s through what it imports: the room %q is pure",
					shortName(importPath), reached, room))
			}
		}
	}
	return found
}

func (r rule) allows(room, imported string, packages map[string]goPackage) bool {
	if packages[imported].Standard || imported == "C" {
		return true
	}
	if other, ok := roomOf(imported); ok {
		if room == "internal" {
			return false
		}
		return other == room || other == "internal" || slices.Contains(r.rooms, other) || slices.Contains(r.rooms, allRooms)
	}
	return slices.ContainsFunc(r.modules, func(prefix string) bool {
		return prefix == anyModule || imported == prefix || strings.HasPrefix(imported, prefix+"/")
	})
}

// foreign returns the other modules' packages that a package reaches, sorted. The standard library is not followed.
func foreign(importPath string, packages map[string]goPackage) []string {
	seen := map[string]bool{importPath: true}
	reached := map[string]bool{}
	for queue := []string{importPath}; len(queue) > 0; queue = queue[1:] {
		for _, imported := range packages[queue[0]].Imports {
			if seen[imported] || packages[imported].Standard || imported == "C" {
				continue
			}
			seen[imported] = true
			queue = append(queue, imported)
			if _, ours := roomOf(imported); !ours {
				reached[imported] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(reached))
}

// roomOf returns the room of a package of this module; ok is false for other modules' packages.
func roomOf(importPath string) (room string, ok bool) {
	if importPath == modulePath {
		return root, true
	}
	below, ok := strings.CutPrefix(importPath, modulePath+"/")
	if !ok {
		return "", false
	}
	elements := strings.Split(below, "/")
	if elements[0] == "cmd" && len(elements) > 1 {
		return "cmd/" + elements[1], true
	}
	return elements[0], true
}

// shortName leaves this module's own path out.
func shortName(importPath string) string {
	if importPath == modulePath {
		return "the root package"
	}
	return strings.TrimPrefix(importPath, modulePath+"/")
}

// listPackages returns the module's packages and all that they reach, by import path.
func listPackages(t *testing.T, dir string) map[string]goPackage {
	t.Helper()
	packages := make(map[string]goPackage)
	decoder := json.NewDecoder(bytes.NewReader(output(t, dir, "go", "list", "-deps", "-json=ImportPath,Standard,Imports", "./...")))
	for {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("decoding what go list printed: %v", err)
		}
		packages[p.ImportPath] = p
	}
}

// TestModuleBuildsWithoutReplacements: a main module's replace directives and go.work files count for nobody who imports
// it, so that what builds here with their help would not build with xcaddy.
func TestModuleBuildsWithoutReplacements(t *testing.T) {
	top := repositoryRoot(t)
	for _, name := range trackedFiles(t, top) {
		switch path.Base(name) {
		case "go.work":
			t.Errorf("%s: a workspace hides what go.mod lacks; remove it", name)
		case "go.mod":
			var mod struct{ Replace []json.RawMessage }
			if err := json.Unmarshal(output(t, top, "go", "mod", "edit", "-json", name), &mod); err != nil {
				t.Fatalf("decoding %s: %v", name, err)
			}
			// e2e tests the module that it lies in, and nobody imports it.
			if name != "e2e/go.mod" && len(mod.Replace) != 0 {
				t.Errorf("%s has %d replace directives, want none", name, len(mod.Replace))
			}
		}
	}
}

// TestTrackedFilesNameNoMachine: a path or a module proxy of the machine where somebody worked is of no use to anybody
// else.
func TestTrackedFilesNameNoMachine(t *testing.T) {
	top := repositoryRoot(t)
	machine := machineNames(string(output(t, top, "go", "env", "GOPROXY")))
	for _, name := range trackedFiles(t, top) {
		text, err := os.ReadFile(filepath.Join(top, name))
		switch {
		case errors.Is(err, fs.ErrNotExist): // Removed and not committed yet.
			continue
		case err != nil:
			t.Fatal(err)
		}
		if bytes.IndexByte(text, 0) >= 0 { // Not a text.
			continue
		}
		for i, line := range strings.Split(string(text), "\n") {
			if m := machine.FindString(line); m != "" {
				t.Errorf("%s:%d names a path or a module proxy of one machine: %q", name, i+1, m)
			}
		}
	}
}

func TestMachineNamesAreFound(t *testing.T) {
	private := machineNames("https://mods.corp.example:8443/go,https://mods.example,direct\n")
	public := machineNames("https://mods.example|off\n")
	for text, want := range map[string]bool{
		"see /" + "work/file":         true,
		"/" + "farm/x":                true,
		`dir="/` + `work/"`:           true,
		"https://mods.example/x/@v/":  true,
		"https://example.com/work/x":  false,
		"/home/work/x, ./work/x, /wo": false,
	} {
		if private.MatchString(text) != want || public.MatchString(text) != want {
			t.Errorf("%q is found: %t and %t, want %t", text, private.MatchString(text), public.MatchString(text), want)
		}
	}
	if text := "from mods.corp.example:8443/go"; !private.MatchString(text) || public.MatchString(text) {
		t.Errorf("%q is found: %t and %t, want true and false", text, private.MatchString(text), public.MatchString(text))
	}
}

// machineNames matches paths below the directories where build machines keep checkouts, and the hosts of a GOPROXY. The
// directories are put together so that this file does not match itself.
func machineNames(goproxy string) *regexp.Regexp {
	pattern := `(^|[^[:alnum:]_./])/(` + strings.Join([]string{"work", "farm"}, "|") + `)/`
	for _, proxy := range regexp.MustCompile(`[,|\s]+`).Split(goproxy, -1) {
		_, host, _ := strings.Cut(proxy, "://")
		if host, _, _ = strings.Cut(host, "/"); host != "" {
			pattern += "|" + regexp.QuoteMeta(host)
		}
	}
	return regexp.MustCompile(pattern)
}

// trackedFiles returns what git tracks, by its path below the top, or skips the test where the repository is a plain
// copy.
func trackedFiles(t *testing.T, top string) []string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(top, ".git")); err != nil {
		t.Skip("SKIPPED: not a git checkout, so it cannot be told which files are tracked")
	}
	files := strings.Split(strings.TrimSuffix(string(output(t, top, "git", "ls-files", "-z")), "\x00"), "\x00")
	if !slices.Contains(files, "go.mod") {
		t.Fatalf("git ls-files does not name go.mod: %q", files)
	}
	return files
}

// goModules returns the directories of the Go modules that hold packages of ours.
func goModules(t *testing.T, top string) []string {
	t.Helper()
	dirs := []string{root}
	if _, err := os.Stat(filepath.Join(top, "e2e", "go.mod")); err == nil {
		dirs = append(dirs, "e2e")
	}
	return dirs
}

// repositoryRoot returns the directory of the root module.
func repositoryRoot(t *testing.T) string {
	t.Helper()
	goMod := strings.TrimSpace(string(output(t, ".", "go", "env", "GOMOD")))
	if path.Base(filepath.ToSlash(goMod)) != "go.mod" {
		t.Fatalf("go env GOMOD: %q is not the root module's go.mod", goMod)
	}
	return filepath.Dir(goMod)
}

// output runs a command in a directory and returns what it printed.
func output(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stderr = dir, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}
