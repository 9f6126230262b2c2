package connect

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

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
		if err == nil {
			fmt.Println("shown", session.Organization.ID, id)
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
	var processes []*exec.Cmd
	said := make(chan []string)
	var readers sync.WaitGroup
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
		processes = append(processes, cmd)
		readers.Go(func() {
			for lines := bufio.NewReader(out); ; {
				line, err := lines.ReadString('\n')
				if err != nil { // It was killed; a line that was cut says nothing.
					return
				}
				said <- strings.Fields(line)
			}
		})
	}
	go func() {
		readers.Wait()
		close(said)
	}()

	shown := make(map[string]string)
	connections := make(map[string]string)
	for f := range said {
		switch f[0] {
		case "shown":
			if have, ok := shown[f[1]]; ok && have != f[2] {
				t.Errorf("%s was shown %s and %s", f[1], have, f[2])
			}
			shown[f[1]] = f[2]
		case "connected":
			connections[f[1]] = f[2]
		default:
			t.Error(f)
		}
		if len(connections) == 30 {
			for _, cmd := range processes {
				_ = cmd.Process.Kill()
			}
		}
	}
	for _, cmd := range processes {
		_ = cmd.Wait()
	}
	if len(connections) < 30 {
		t.Fatalf("only %d connections were made", len(connections))
	}

	s, err := Open(&certmagic.FileStorage{Path: dir}, testRing(t, 1), Options{Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	for id, externalID := range connections {
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
		_, session, err := s.CreateSession(t.Context(), forOrganization(organization))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.ExternalIDFor(t.Context(), session); err != nil || again != id {
			t.Errorf("%s was shown %s and then %s, %v", organization, id, again, err)
		}
	}
}
