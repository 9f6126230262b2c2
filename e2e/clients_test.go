package e2e_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/s3"

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

// cases are what each client has to do, in this order.
var cases = []struct {
	name string
	run  func(*session) error
}{
	{"put", func(s *session) error { return s.putAll([]string{"put.txt"}) }},
	{"get", func(s *session) error { return s.getAll([]string{"get.txt"}) }},
	{"range", (*session).getRange},
	{"delete", (*session).delete},
	{"list", (*session).list},
	{"multipart 20 MiB", (*session).multipart},
	{"metadata", (*session).metadata},
	{"15 odd keys", func(s *session) error { return s.roundTrip(keysOf(spellings[:15])) }},
	{"rule keys", func(s *session) error { return s.roundTrip(ruleKeys) }},
	{"// and dots", func(s *session) error { return s.roundTrip(slashKeys) }},
	{"put over TLS", func(s *session) error { return s.overTLS("put") }},
	{"stream over TLS", func(s *session) error { return s.overTLS("stream") }},
	{"expiry", (*session).expiry},
	{"revocation", (*session).revocation},
}

// slashKeys are keys that a client can't name who takes them for paths of files, ruleKeys all others that the rules of the
// canonical path are about.
var (
	slashKeys = []string{"/a//b", "//x", "x//y", "a/../b", "a/./b", "k/.", "k/l/.."}
	ruleKeys  = keysOf(spellings[15:])
)

// keysOf returns the keys that XML, all programming languages and a path of a file can name.
func keysOf(all []spelling) []string {
	var keys []string
	for _, sp := range all {
		if utf8.ValidString(sp.key) && !strings.ContainsAny(sp.key, "\x00\r\n") && path.Clean("/"+sp.key) == "/"+sp.key && !slices.Contains(keys, sp.key) {
			keys = append(keys, sp.key)
		}
	}
	return keys
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
		for name, start := range clients {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				row := b.goThrough(t, name, start)
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

// goThrough runs all cases with a client.
func (b *bed) goThrough(t *testing.T, name string, start func(*bed) (client, error)) map[string]string {
	c, err := start(b)
	if err != nil {
		if os.Getenv("E2E_ALL_CLIENTS") != "" {
			t.Fatalf("E2E_ALL_CLIENTS is set, and %v", err)
		}
		t.Skipf("SKIPPED, NOT PASSED: %v; clients/install installs it", err)
	}
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

// inS3 returns what S3 itself has under a key.
func (s *session) inS3(key string) (string, error) {
	out, err := s.direct.GetObject(s.t.Context(), &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return "", fmt.Errorf("S3 has no key %q: %w", key, err)
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	return string(b), err
}

func (s *session) intoS3(key, body string) error {
	_, err := s.direct.PutObject(s.t.Context(), &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: strings.NewReader(body)})
	return err
}

func (s *session) putAll(keys []string) error {
	for _, key := range keys {
		body := "put by the client: " + key
		if _, err := s.tell(command{Op: "put", Key: key, Body: body}); err != nil {
			return fmt.Errorf("put %q: %w", key, err)
		}
		if got, err := s.inS3(key); err != nil || got != body {
			return fmt.Errorf("put %q: S3 has %q, %w", key, got, err)
		}
	}
	return nil
}

func (s *session) getAll(keys []string) error {
	for _, key := range keys {
		body := "there already: " + key
		if err := s.intoS3(key, body); err != nil {
			return err
		}
		out, err := s.tell(command{Op: "get", Key: key})
		if err != nil {
			return fmt.Errorf("get %q: %w", key, err)
		}
		if out.Body != body {
			return fmt.Errorf("get %q: %q, want %q", key, out.Body, body)
		}
	}
	return nil
}

func (s *session) getRange() error {
	if err := s.intoS3("range", "0123456789"); err != nil {
		return err
	}
	out, err := s.tell(command{Op: "get", Key: "range", Range: "bytes=2-4"})
	if err == nil && out.Body != "234" {
		err = fmt.Errorf("%q, want 234", out.Body)
	}
	return err
}

func (s *session) delete() error {
	if err := s.intoS3("delete", "x"); err != nil {
		return err
	}
	if _, err := s.tell(command{Op: "delete", Key: "delete"}); err != nil {
		return err
	}
	if _, err := s.inS3("delete"); err == nil {
		return errors.New("it is still there")
	}
	return nil
}

// clear empties the bucket behind the proxy's back.
func (s *session) clear() error {
	for {
		page, err := s.direct.ListObjectsV2(s.t.Context(), &s3.ListObjectsV2Input{Bucket: &s.bucket})
		if err != nil || len(page.Contents) == 0 {
			return err
		}
		for _, o := range page.Contents {
			if _, err := s.direct.DeleteObject(s.t.Context(), &s3.DeleteObjectInput{Bucket: &s.bucket, Key: o.Key}); err != nil {
				return err
			}
		}
	}
}

// list lists more keys than fit on a page.
func (s *session) list() error {
	if err := s.clear(); err != nil {
		return err
	}
	var keys []string
	for i := range 1100 {
		keys = append(keys, fmt.Sprintf("list/%04d", i))
		if err := s.intoS3(keys[i], ""); err != nil {
			return err
		}
	}
	return s.lists(keys)
}

func (s *session) lists(keys []string) error {
	out, err := s.tell(command{Op: "list"})
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	slices.Sort(out.Keys)
	if !slices.Equal(out.Keys, slices.Sorted(slices.Values(keys))) {
		return fmt.Errorf("list: %d keys, want %d: %.300q", len(out.Keys), len(keys), out.Keys)
	}
	return nil
}

// roundTrip puts, gets and lists keys.
func (s *session) roundTrip(keys []string) error {
	if err := s.clear(); err != nil {
		return err
	}
	return errors.Join(s.putAll(keys), s.getAll(keys), s.lists(keys))
}

func read20MiB(t *testing.T) []byte {
	t.Helper()
	b, err := io.ReadAll(noise(20 << 20))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sent checks that S3 has the file of 20 MiB, and in how many requests it came.
func (s *session) sent(key string, inParts bool) error {
	got, err := s.inS3(key)
	if err != nil {
		return err
	}
	if want := hashOf(noise(20 << 20)); hashOf(strings.NewReader(got)) != want {
		return fmt.Errorf("S3 has %d bytes that are others", len(got))
	}
	head, err := s.direct.HeadObject(s.t.Context(), &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return err
	}
	if strings.Contains(*head.ETag, "-") != inParts {
		return fmt.Errorf("the ETag is %s: sent in parts: want %v", *head.ETag, inParts)
	}
	return nil
}

func (s *session) multipart() error {
	if _, err := s.tell(command{Op: "upload", Key: "multi/part", File: filepath.Join(s.dir, "20MiB")}); err != nil {
		return err
	}
	return s.sent("multi/part", true)
}

// metadata puts an object with metadata and wants it back: to many clients the case of a name matters.
func (s *session) metadata() error {
	if _, err := s.tell(command{Op: "put", Key: "metadata", Body: "x", Metadata: map[string]string{"foo": "Bar  baz"}}); err != nil {
		return err
	}
	out, err := s.tell(command{Op: "get", Key: "metadata"})
	if err != nil {
		return err
	}
	if out.Metadata == nil {
		return errCannot
	}
	if out.Metadata["foo"] != "Bar  baz" {
		return fmt.Errorf("metadata is %q", out.Metadata)
	}
	return nil
}

// overTLS sends to the site over TLS, where some clients frame bodies as aws-chunked.
func (s *session) overTLS(op string) error {
	c := command{Op: op, Endpoint: "https://" + s.tlsSite, Key: "tls-" + op, Body: "hello", File: filepath.Join(s.dir, "20MiB")}
	if _, err := s.tell(c); err != nil {
		return err
	}
	if op == "stream" {
		return s.sent(c.Key, false)
	}
	if got, err := s.inS3(c.Key); err != nil || got != "hello" {
		return fmt.Errorf("S3 has %q, %w", got, err)
	}
	return nil
}

// expiry goes on until the credentials that the proxy had in the beginning have expired.
func (s *session) expiry() error {
	first := s.Sessions(s.role)[0]
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err := errors.Join(s.putAll([]string{"expiry"}), s.getAll([]string{"expiry"})); err != nil {
			return err
		}
		sessions := s.Sessions(s.role)
		last := sessions[len(sessions)-1]
		if time.Now().After(first.Expires) && last.AccessKeyID != first.AccessKeyID {
			return nil
		}
	}
	return errors.New("there is no other session")
}

// revocation revokes what the proxy has, and wants to hear of it; with the next session all is well again.
func (s *session) revocation() error {
	var err error
	for range 5 { // The proxy may have got another session since.
		s.RevokeSessions(s.role)
		if _, err = s.tell(command{Op: "get", Key: "expiry"}); err != nil {
			break
		}
	}
	if err == nil {
		return errors.New("nothing was refused")
	}
	if !strings.Contains(err.Error(), "AccessDenied") && !strings.Contains(err.Error(), "403") && !strings.Contains(err.Error(), "denied") {
		return fmt.Errorf("it was told something else: %w", err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = s.getAll([]string{"expiry"}); err == nil {
			return nil
		}
	}
	return err
}

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
