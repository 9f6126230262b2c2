package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

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
	ruleKeys  = append(keysOf(spellings[15:]), literalKeys...)
)

// literalKeys are what the rules are about, as it stands: a percent sign or a question mark of a key's own.
var literalKeys = []string{
	"+", "%2B", " ", "%20", "(", "*", "'", "!", "~", "%7E", "%7e", "é", "%C3%A9", "%2F", "%2f", "%25", "%252F", "%00", ":@$&,;=", "[x]", "{}|^\"\\<>`",
	"?", "?acl", "?a=1;b=2", "?a=b+c", "?a=b%2Bc", "?a==b", "?&&a", "?b=2&b=1", "?k=a/b&k=a-b", "?é=1",
}

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
