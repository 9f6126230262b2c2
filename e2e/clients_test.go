package e2e_test

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

var updateTable = flag.Bool("update", false, "write clients/table.tsv anew")

// command is what a client is told to do.
type command struct {
	Op       string            `json:"op"` // put, stream, get, list, delete or upload
	Endpoint string            `json:"endpoint"`
	CA       string            `json:"ca"`
	Bucket   string            `json:"bucket"`
	Key      string            `json:"key"`
	Body     string            `json:"body"`  // of put
	File     string            `json:"file"`  // of stream, which sends it as one object, and upload, which sends it in parts
	Range    string            `json:"range"` // of get
	Metadata map[string]string `json:"metadata"`
}

// outcome is what came of it.
type outcome struct {
	Body     string            `json:"body"`
	Metadata map[string]string `json:"metadata"`
	Keys     []string          `json:"keys"`
	Error    string            `json:"error"`
}

// errCannot says that a client has no such command, or can't name such a key.
var errCannot = errors.New("the client cannot do this")

// client does commands until it is closed.
type client struct {
	do    func(command) (outcome, error)
	close func()
}

// clients are what starts each client, with the reason why it can't be.
var clients = map[string]func(*bed) (client, error){
	"aws-cli":       func(b *bed) (client, error) { return startPython(b, "awscli") },
	"aws-sdk-go-v2": startGoSDK,
	"aws-sdk-js-v3": startJavaScript,
	"boto3":         func(b *bed) (client, error) { return startPython(b, "boto3") },
	"curl":          startCurl,
	"rclone":        startRclone,
	"s5cmd":         startS5cmd,
}

// session is a client that goes through the cases, in a bucket of its own and with a role of its own.
type session struct {
	*bed
	client
	t      *testing.T
	bucket string
	role   string
}

// TestClients has each client go through all cases, against plain Caddy sites that take no notice of the throw-away keys
// with which most clients insist on signing. What comes of it has to be what clients/table.tsv says.
func TestClients(t *testing.T) {
	b := newBed(t)
	var named, routes strings.Builder
	for name := range clients {
		arn := "arn:aws:iam::123456789012:role/" + name
		b.putRole(standin.Role{ARN: arn, Lifetime: 4 * time.Second})
		if err := b.CreateBucket(name); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&named, "credentials %s assume_role %s {\nfrom broker\nexternal_id <external-id>\n}\n", name, arn)
		fmt.Fprintf(&routes, "@%[1]s path /%[1]s /%[1]s/*\nhandle @%[1]s {\naws_sigv4 <s3> {\nservice s3\nregion <region>\ncredentials %[1]s\n}\n}\n", name)
	}
	b.runCaddy(strings.Replace(sites(routes.String()), "credentials reader", named.String()+"credentials reader", 1))
	b.write("20MiB", read20MiB(t))

	want := readTable(t)
	got := table{}
	var mu sync.Mutex
	t.Run("clients", func(t *testing.T) {
		for name := range clients {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				row := b.goThrough(t, name)
				mu.Lock()
				got[name] = row
				mu.Unlock()
				for _, c := range cases {
					if !*updateTable && !agrees(want[name][c.name], row[c.name]) {
						t.Errorf("%s: %s; clients/table.tsv says %q", c.name, row[c.name], want[name][c.name])
					}
				}
			})
		}
	})
	if *updateTable {
		for name, row := range want {
			if got[name] == nil {
				got[name] = row // It is not on this machine.
			}
			for c, cell := range row {
				if agrees(cell, got[name][c]) {
					got[name][c] = cell
				}
			}
		}
		writeTable(t, got)
	}
}

// startClient starts a client, or skips the test where this machine has none.
func (b *bed) startClient(t *testing.T, name string) client {
	t.Helper()
	c, err := clients[name](b)
	if err != nil {
		absent.Skip(t, name, err.Error()+"; clients/install installs it")
	}
	return c
}

// goThrough runs all cases with a client.
func (b *bed) goThrough(t *testing.T, name string) map[string]string {
	c := b.startClient(t, name)
	defer c.close()
	s := &session{bed: b, client: c, t: t, bucket: name, role: "arn:aws:iam::123456789012:role/" + name}
	row := map[string]string{}
	for _, c := range cases {
		switch err := c.run(s); {
		case errors.Is(err, errCannot):
			row[c.name] = "-"
		case err != nil:
			row[c.name] = "fails: " + strings.Join(strings.Fields(err.Error()), " ")
		default:
			row[c.name] = "pass"
		}
	}
	return row
}

// tell does a command at the site, and returns an error for one that failed.
func (s *session) tell(c command) (outcome, error) {
	if c.Endpoint == "" {
		c.Endpoint = "http://" + s.site
	}
	c.CA, c.Bucket = filepath.Join(s.dir, "site.pem"), s.bucket
	if c.Metadata == nil {
		c.Metadata = map[string]string{}
	}
	out, err := s.client.do(c)
	if err == nil && out.Error != "" {
		err = errors.New(out.Error)
	}
	return out, err
}
