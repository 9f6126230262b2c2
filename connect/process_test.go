package connect

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

// childDirectory tells a process of this test that it is one of the two, and where the storage lies.
const childDirectory = "CONNECT_TEST_STORAGE"

// TestMain is the test, or the process that the test starts, which works until it is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDirectory); dir != "" {
		work(dir)
		return
	}
	os.Exit(m.Run())
}

// work makes connections and says so on standard output, each only after it was acknowledged.
func work(dir string) {
	ring, err := makeRing(1)
	if err != nil {
		panic(err)
	}
	s, err := Open(&certmagic.FileStorage{Path: dir}, ring, Options{})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	for i := range 10_000 {
		token, session, err := s.CreateSession(ctx, forOrganization(fmt.Sprint("o", i)))
		if err != nil {
			fmt.Println("error", err)
			return
		}
		id, err := s.ExternalIDFor(ctx, session)
		fmt.Println("shown", session.Organization.ID, id)
		if err == nil {
			_, _, err = s.FinishSession(ctx, token, verified(id, role1))
		}
		if err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println("connected", session.ConnectionID, id)
	}
}

// TestKilledProcesses kills two processes on one directory while they write, and looks at what they
// have left.
func TestKilledProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it starts processes and waits for their stale locks")
	}
	dir := t.TempDir()
	var outputs []io.Reader
	var processes []*exec.Cmd
	for range 2 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDirectory+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		outputs, processes = append(outputs, out), append(processes, cmd)
	}
	time.Sleep(3 * time.Second)
	for _, cmd := range processes {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
	}

	shown := make(map[string]string)
	connections := make(map[string]string)
	for i, out := range outputs {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			f := strings.Fields(lines.Text())
			switch {
			case len(f) != 3: // The last line may be cut.
			case f[0] == "error":
				t.Errorf("process %d: %s", i, lines.Text())
			case f[0] == "shown":
				if have, ok := shown[f[1]]; ok && have != f[2] && len(f[2]) == len(have) {
					t.Errorf("%s was shown %s and %s", f[1], have, f[2])
				}
				shown[f[1]] = f[2]
			default:
				connections[f[1]] = f[2]
			}
		}
		_ = processes[i].Wait()
	}
	t.Logf("%d customers, %d connections", len(shown), len(connections))
	if len(connections) < 10 {
		t.Fatalf("only %d connections were made", len(connections))
	}

	s, err := Open(&certmagic.FileStorage{Path: dir}, testRing(t, 1), Options{Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	for id, externalID := range connections {
		if len(id) != 36 || len(externalID) != 40 {
			continue // The last line may be cut.
		}
		if c, err := s.Connection(t.Context(), id); err != nil || c.ExternalID != externalID {
			t.Errorf("an acknowledged connection: %+v, %v", c, err)
		}
	}
	all, _, err := s.Connections(t.Context(), Filter{}, "", 1_000_000)
	if err != nil || len(all) < len(connections) {
		t.Errorf("%d connections of %d, %v", len(all), len(connections), err)
	}
	for _, c := range all {
		if account, err := s.BoundAccount(t.Context(), c.ExternalID); err != nil || account != c.Account {
			t.Errorf("the External ID of %s is bound to %q, %v", c.ID, account, err)
		}
	}
	// Those who were in the middle of it go on, as soon as their locks have become stale.
	for organization, id := range shown {
		if len(id) != 40 || len(organization) < 2 {
			continue
		}
		_, session, err := s.CreateSession(t.Context(), forOrganization(organization))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.ExternalIDFor(t.Context(), session); err != nil || again != id {
			t.Errorf("%s was shown %s and then %s, %v", organization, id, again, err)
		}
	}
}
