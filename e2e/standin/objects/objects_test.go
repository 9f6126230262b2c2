package objects_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

// client starts a stand-in with a bucket and returns the AWS SDK's client for its S3.
func client(t *testing.T) *s3.Client {
	t.Helper()
	s, err := standin.Start(standin.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	u, err := s.AddUser(standin.User{ARN: "arn:aws:iam::111122223333:user/admin", S3: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	return s3.New(s3.Options{
		Region: s.Region(), BaseEndpoint: aws.String(s.S3()), UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(u.AccessKeyID, u.SecretAccessKey, ""),
	})
}

var bucket = aws.String("bucket")

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

// keys are all different ones, though a file system would not think so of some.
var keys = []string{
	"a", "a/b", "a/b/", "a//b", "/a", "//a", "a/./b", "a/../b", "a/b/../c", "x/y/..", "x/.", "x", "x/",
	"é", "e\u0301", "A", " a", "a ", "a+b", "a b", "a%20b", "a%2Bb", "%", "?#&=;", `\`, "\x01", "\xff", "a\x00b", "a\r\nb", "~",
	strings.Repeat("k", 1024), strings.Repeat("k", 300) + "/x",
}

// TestKeysAreBytes puts objects with odd keys, each with another body, and gets them back.
func TestKeysAreBytes(t *testing.T) {
	c := client(t)
	body := func(i int, key string) string { return fmt.Sprintf("%d: %q", i, key) }
	for i, key := range keys {
		if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader(body(i, key))}); err != nil {
			t.Fatalf("putting %q: %v", key, err)
		}
	}
	for i, key := range keys {
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: &key})
		if err != nil {
			t.Fatalf("getting %q: %v", key, err)
		}
		b, err := io.ReadAll(out.Body)
		if err != nil || string(b) != body(i, key) {
			t.Errorf("%q holds %q, %v", key, b, err)
		}
	}
	long := strings.Repeat("k", 1025)
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &long}); code(err) != "KeyTooLongError" {
		t.Errorf("a key of 1025 bytes: %v", err)
	}
	for _, key := range keys {
		if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: &key}); err != nil {
			t.Errorf("deleting %q: %v", key, err)
		}
		if _, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: &key}); code(err) != "NoSuchKey" {
			t.Errorf("%q is still there: %v", key, err)
		}
	}
}

// TestProperties puts an object with all that can come with it, in headers.
func TestProperties(t *testing.T) {
	c := client(t)
	key := aws.String("k")
	in := &s3.PutObjectInput{
		Bucket: bucket, Key: key, Body: strings.NewReader("hello"), ContentType: aws.String("text/x"), ContentEncoding: aws.String("gzip"),
		ContentLanguage: aws.String("de"), ContentDisposition: aws.String("inline"), CacheControl: aws.String("no-cache"),
		Metadata: map[string]string{"foo": "Bar  baz", "x-y": "1"}, ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	}
	put, err := c.PutObject(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum([]byte("hello"))
	if want := `"` + hex.EncodeToString(sum[:]) + `"`; *put.ETag != want {
		t.Errorf("the ETag is %s, want %s", *put.ETag, want)
	}
	const sha = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=" // of hello
	if aws.ToString(put.ChecksumSHA256) != sha {
		t.Errorf("the checksum is %q", aws.ToString(put.ChecksumSHA256))
	}
	check := func(name string, get *s3.GetObjectOutput) {
		if *get.ContentType != "text/x" || *get.ContentEncoding != "gzip" || *get.ContentLanguage != "de" || *get.ContentDisposition != "inline" ||
			*get.CacheControl != "no-cache" || get.Metadata["foo"] != "Bar  baz" || get.Metadata["x-y"] != "1" || *get.ETag != *put.ETag {
			t.Errorf("%s: %+v", name, get)
		}
	}
	get, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		t.Fatal(err)
	}
	check("get", get)
	if aws.ToString(get.ChecksumSHA256) != sha {
		t.Errorf("the checksum is %q", aws.ToString(get.ChecksumSHA256))
	}
	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if *head.ContentLength != 5 || *head.ETag != *put.ETag || head.Metadata["x-y"] != "1" {
		t.Errorf("head: %+v", head)
	}
	if _, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("copy"), CopySource: aws.String("bucket/k")}); err != nil {
		t.Fatal(err)
	}
	get, err = c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("copy")})
	if err != nil {
		t.Fatal(err)
	}
	check("copy", get)

	_, err = c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("other"), ChecksumSHA256: aws.String(sha)})
	if code(err) != "BadDigest" {
		t.Errorf("a wrong checksum: %v", err)
	}
	_, err = c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("other"), IfNoneMatch: aws.String("*")})
	if code(err) != "PreconditionFailed" {
		t.Errorf("put if it is not there: %v", err)
	}
	_, err = c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key, IfMatch: aws.String(`"x"`)})
	if code(err) != "PreconditionFailed" {
		t.Errorf("get if it matches: %v", err)
	}
}

// TestRanges gets parts of an object.
func TestRanges(t *testing.T) {
	c := client(t)
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("0123456789")}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ ask, want, says string }{
		{"bytes=0-0", "0", "bytes 0-0/10"},
		{"bytes=2-4", "234", "bytes 2-4/10"},
		{"bytes=7-", "789", "bytes 7-9/10"},
		{"bytes=-2", "89", "bytes 8-9/10"},
		{"bytes=5-99", "56789", "bytes 5-9/10"},
	} {
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("k"), Range: &tt.ask})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(out.Body)
		if err != nil || string(b) != tt.want || *out.ContentRange != tt.says {
			t.Errorf("%s: %q, %s, %v", tt.ask, b, *out.ContentRange, err)
		}
	}
	if _, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("k"), Range: aws.String("bytes=10-")}); code(err) != "InvalidRange" {
		t.Errorf("beyond the end: %v", err)
	}
}

// TestLists lists a bucket in pages, with prefixes and delimiters, in both ways.
func TestLists(t *testing.T) {
	c := client(t)
	for _, key := range []string{"b/2", "a", "b//x", "b/1", "b/1/y", "c", "d/1", "b-"} {
		if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		prefix, delimiter, after string
		want                     []string
	}{
		{"", "", "", []string{"a", "b-", "b//x", "b/1", "b/1/y", "b/2", "c", "d/1"}},
		{"b/", "", "", []string{"b//x", "b/1", "b/1/y", "b/2"}},
		{"", "/", "", []string{"a", "b-", "b/+", "c", "d/+"}},
		{"b/", "/", "", []string{"b//+", "b/1", "b/1/+", "b/2"}},
		{"", "", "b/1", []string{"b/1/y", "b/2", "c", "d/1"}},
		{"", "/", "b/1", []string{"c", "d/+"}},
		{"none", "", "", nil},
	} {
		for _, size := range []int32{1, 2, 1000} {
			var v2, v1 []string
			in := &s3.ListObjectsV2Input{Bucket: bucket, Prefix: &tt.prefix, Delimiter: &tt.delimiter, StartAfter: &tt.after, MaxKeys: &size}
			for pages := s3.NewListObjectsV2Paginator(c, in); pages.HasMorePages(); {
				page, err := pages.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				v2 = append(v2, entries(page.Contents, page.CommonPrefixes)...)
			}
			for marker := tt.after; ; {
				page, err := c.ListObjects(t.Context(), &s3.ListObjectsInput{Bucket: bucket, Prefix: &tt.prefix, Delimiter: &tt.delimiter, Marker: &marker, MaxKeys: &size})
				if err != nil {
					t.Fatal(err)
				}
				v1 = append(v1, entries(page.Contents, page.CommonPrefixes)...)
				if !*page.IsTruncated {
					break
				}
				marker = *page.NextMarker
			}
			if !slices.Equal(v2, tt.want) || !slices.Equal(v1, tt.want) {
				t.Errorf("prefix %q, delimiter %q, after %q, pages of %d: %q and %q, want %q", tt.prefix, tt.delimiter, tt.after, size, v2, v1, tt.want)
			}
		}
	}
	if _, err := c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: bucket}); code(err) != "BucketNotEmpty" {
		t.Errorf("deleting a bucket that is not empty: %v", err)
	}
	deleted, err := c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{
		{Key: aws.String("a")}, {Key: aws.String("b/1")}, {Key: aws.String("none")},
	}}})
	if err != nil || len(deleted.Deleted) != 3 {
		t.Errorf("%+v, %v", deleted, err)
	}
	left, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket})
	if err != nil || len(left.Contents) != 6 {
		t.Errorf("%d left, %v", len(left.Contents), err)
	}
	if _, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("none")}); code(err) != "NoSuchBucket" {
		t.Errorf("a bucket that is not there: %v", err)
	}
}

// entries returns keys, and common prefixes with a plus sign, sorted.
func entries(objects []types.Object, prefixes []types.CommonPrefix) []string {
	var names []string
	for _, o := range objects {
		names = append(names, *o.Key)
	}
	for _, p := range prefixes {
		names = append(names, *p.Prefix+"+")
	}
	slices.Sort(names)
	return names
}

// TestMultipart uploads an object in parts, with each kind of checksum, and in wrong ways.
func TestMultipart(t *testing.T) {
	c := client(t)
	data := make([]byte, 11<<20)
	rand.NewChaCha8([32]byte{}).Read(data)
	key := aws.String("a//big")
	begin := func(algorithm types.ChecksumAlgorithm) *string {
		out, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
			Bucket: bucket, Key: key, ContentType: aws.String("text/x"), Metadata: map[string]string{"a": "b"}, ChecksumAlgorithm: algorithm,
		})
		if err != nil {
			t.Fatal(err)
		}
		return out.UploadId
	}
	upload := func(id *string, number int32, algorithm types.ChecksumAlgorithm, part []byte) types.CompletedPart {
		out, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: id, PartNumber: &number, Body: bytes.NewReader(part), ChecksumAlgorithm: algorithm})
		if err != nil {
			t.Fatal(err)
		}
		return types.CompletedPart{
			PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumSHA256: out.ChecksumSHA256, ChecksumCRC64NVME: out.ChecksumCRC64NVME,
		}
	}
	complete := func(id *string, parts ...types.CompletedPart) (*s3.CompleteMultipartUploadOutput, error) {
		return c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: key, UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
	}
	for _, algorithm := range []types.ChecksumAlgorithm{types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmSha256, types.ChecksumAlgorithmCrc64nvme} {
		id := begin(algorithm)
		one, two, three := upload(id, 1, algorithm, data[:5<<20]), upload(id, 2, algorithm, data[5<<20:10<<20]), upload(id, 7, algorithm, data[10<<20:])
		if _, err := complete(id, two, one); code(err) != "InvalidPartOrder" {
			t.Errorf("out of order: %v", err)
		}
		if _, err := complete(id, one, types.CompletedPart{PartNumber: aws.Int32(2), ETag: one.ETag}); code(err) != "InvalidPart" {
			t.Errorf("with another ETag: %v", err)
		}
		out, err := complete(id, one, two, three)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(*out.ETag, `-3"`) {
			t.Errorf("the ETag is %s", *out.ETag)
		}
		if _, err := complete(id, one); code(err) != "NoSuchUpload" {
			t.Errorf("complete again: %v", err)
		}
		got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(got.Body)
		if err != nil || !bytes.Equal(b, data) || *got.ContentType != "text/x" || got.Metadata["a"] != "b" {
			t.Errorf("%s: %d bytes, %v, %+v", algorithm, len(b), err, got)
		}
	}
	id := begin("")
	small, last := upload(id, 1, "", data[:100]), upload(id, 2, "", data[:100])
	if _, err := complete(id, small, last); code(err) != "EntityTooSmall" {
		t.Errorf("a small part that is not the last: %v", err)
	}
	if _, err := c.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: bucket, Key: key, UploadId: id}); err != nil {
		t.Error(err)
	}
	if _, err := complete(id, small); code(err) != "NoSuchUpload" {
		t.Errorf("complete after it was aborted: %v", err)
	}
}

func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			os.Unsetenv(name)
		}
	}
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	os.Exit(code)
}
