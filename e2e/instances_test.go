package e2e_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

// TestSeveralInstances runs two Caddys on one storage, a directory and Redis, both slow.
//
//nolint:tparallel // it ends before the next test begins, whose stand-in would be another one
func TestSeveralInstances(t *testing.T) {
	b := newSharedBed(t)
	key := make([]byte, 32)
	rand.Read(key)
	b.write("seal-key", []byte(base64.StdEncoding.EncodeToString(key)))
	admin, err := b.AddUser(standin.User{ARN: "arn:aws:iam::123456789012:user/admin", S3: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	direct := s3.New(s3.Options{
		Region: b.Region(), BaseEndpoint: aws.String(b.S3()), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(admin.AccessKeyID, admin.SecretAccessKey, ""),
	})
	if _, err := direct.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("shared")}); err != nil {
		t.Fatal(err)
	}
	onEachStorage(t, func(t *testing.T, storage map[string]any) {
		t.Helper()
		shareConnections(t, b, storage)
	})
}

// onEachStorage runs a test with each at the same time, because it has to wait for time to pass.
func onEachStorage(t *testing.T, test func(t *testing.T, storage map[string]any)) {
	t.Helper()
	for name, storage := range map[string]func(*testing.T) map[string]any{
		"directory": func(t *testing.T) map[string]any {
			t.Helper()
			return map[string]any{"module": "file_system", "root": filepath.Join(tempDir(t), "storage")}
		},
		"Redis": func(t *testing.T) map[string]any {
			t.Helper()
			return map[string]any{"module": "test_redis", "address": startRedis(t)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, storage(t))
		})
	}
}

func shareConnections(t *testing.T, b *bed, storage map[string]any) {
	t.Helper()
	first, second := b.newInstance(t, storage), b.newInstance(t, storage)
	role := func(n int) string {
		return fmt.Sprintf("arn:aws:iam::%012d:role/%s", 444455550000+n, filepath.Base(first.dir))
	}

	// What one has made, the other uses at once; what one takes back, the other does not use any more, although it has the
	// credentials.
	revoked, kept, paused, written := first.connect("o0", role(0)), first.connect("o1", role(1)), first.connect("o2", role(2)), first.connect("o3", role(3))
	for _, id := range []string{revoked, kept, paused} {
		second.call(id).expect(t, "the other instance", 200)
	}
	first.api("POST", "/connections/"+revoked+"/pause", "", 200, nil)
	began := time.Now()
	second.becomes("paused on the other", revoked, 403)
	t.Logf("a pause counted after %v", time.Since(began).Round(time.Millisecond))
	first.api("POST", "/connections/"+revoked+"/resume", "", 200, nil)
	second.becomes("resumed on the other", revoked, 200)
	first.api("DELETE", "/connections/"+revoked, "", 200, nil)
	began = time.Now()
	second.becomes("deleted on the other", revoked, 404)
	t.Logf("a deletion counted after %v", time.Since(began).Round(time.Millisecond))

	shareIntegrations(t, first, second)

	// The storage is away from one of them, which serves what it knows, and nothing that is unknown.
	second.storageIs("away")
	waitFor(t, patience, "the instance to notice", func() bool { return second.mentions("connections that are known are served for") })
	second.call(kept).expect(t, "a known connection without the storage", 200)
	second.call("0f0f0f0f-0000-4000-8000-000000000000").expect(t, "an unknown connection without the storage", 503)
	first.api("POST", "/connections/"+paused+"/pause", "", 200, nil)

	// The other is killed in the middle of writes.
	last := first.writeUntilKilled(written, 20)

	second.becomes("after max_stale", kept, 503)
	second.storageIs("errors")
	second.becomes("with the storage", kept, 200)
	second.call(paused).expect(t, "one that was paused meanwhile", 403)
	if got := second.written(written); got < last || got > last+1 {
		t.Errorf("write %d was acknowledged, and %d is there", last, got)
	}
	second.storageIs("")
	// The lock that the killed one held has become stale.
	waitFor(t, patience, "the other to write", func() bool {
		r, err := second.change(written, 1000)
		return err == nil && r.status == 200
	})

	first.start()
	if got := first.written(written); got != 1000 {
		t.Errorf("the instance that was started again reads %d", got)
	}
	first.call(kept).expect(t, "the instance that was started again", 200)
	first.call(paused).expect(t, "the instance that was started again", 403)
	waitFor(t, patience, "both to list the same", func() bool {
		a, b := first.listed(), second.listed()
		return len(a) == 3 && fmt.Sprint(a) == fmt.Sprint(b)
	})
}

// writeUntilKilled changes a connection again and again, and kills the instance meanwhile, after some. It returns the last
// change that was acknowledged.
func (i *instance) writeUntilKilled(id string, after int) (last int) {
	i.t.Helper()
	enough := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ; n++ {
			r, err := i.change(id, n)
			if n == after {
				close(enough)
			}
			if err != nil || r.status != 200 {
				if n <= after {
					i.t.Errorf("write %d: %v, %v", n, r, err)
					close(enough)
				}
				return
			}
			last = n
		}
	})
	<-enough
	i.kill()
	wg.Wait()
	return last
}

// change changes a connection.
func (i *instance) change(id string, n int) (reply, error) {
	body := fmt.Sprintf(`{"connection_id":%q,"provider_config_key":"acme-s3","metadata":{"number":%d}}`, id, n)
	return send(i.site, "PATCH", "/connections/metadata", body, "Authorization: Bearer "+connectKey, "Content-Type: application/json")
}

// written returns the last change that is stored.
func (i *instance) written(id string) int {
	i.t.Helper()
	var c struct {
		Metadata struct{ Number int }
	}
	waitFor(i.t, patience, "the connection to be read", func() bool { // The storage may fail now and then.
		r := i.do("GET", "/connections/"+id+"?provider_config_key=acme-s3", "", "Authorization: Bearer "+connectKey)
		return r.status == 200 && json.Unmarshal([]byte(r.body), &c) == nil
	})
	return c.Metadata.Number
}

func (i *instance) listed() (ids []string) {
	i.t.Helper()
	var list struct {
		Connections []struct {
			ID string `json:"connection_id"`
		}
	}
	i.api("GET", "/connections", "", 200, &list)
	for _, c := range list.Connections {
		ids = append(ids, c.ID)
	}
	return ids
}
