package e2e_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// spelling is a key as a client may write it on its request line, and the bytes that S3 then has to keep.
type spelling struct{ target, key string }

// spellings are fifteen odd keys, each in the one form that needs no thought, and then all the forms that the rules of
// the canonical path were written for: the proxy has to send each in a form that S3 reads as the client meant it.
var spellings = []spelling{
	{"plain.txt", "plain.txt"},
	{"with%20space", "with space"},
	{"plus%2Bplus", "plus+plus"},
	{"percent%25", "percent%"},
	{"percent%2525", "percent%25"},
	{"tilde~", "tilde~"},
	{"quotes%27%22", `quotes'"`},
	{"parens%28%29", "parens()"},
	{"stars%2A%21", "stars*!"},
	{"signs%3A%40%24%26%2C%3B%3D", "signs:@$&,;="},
	{"marks%3F%23", "marks?#"},
	{"%C3%BCml%C3%A4ut", "ümläut"},
	{"%F0%9F%8E%89", "🎉"},
	{"brackets%5B%5D%7B%7D%7C%5E%60%5C%3C%3E", "brackets[]{}|^`\\<>"},
	{"deep/er/.hidden/..dots../end.", "deep/er/.hidden/..dots../end."},

	{"/a//b/", "/a//b/"},
	{"//x", "//x"},
	{"x//", "x//"},
	{"k/.", "k/."},
	{"k/l/..", "k/l/.."},
	{"a/../b", "a/../b"},
	{"a/./b", "a/./b"},
	{"a/%2e%2e/c", "a/../c"},
	{"raw+plus", "raw+plus"},
	{"raw(", "raw("},
	{"raw)", "raw)"},
	{"raw*", "raw*"},
	{"raw'", "raw'"},
	{"raw!", "raw!"},
	{"escaped%7E", "escaped~"},
	{"escaped%7e.", "escaped~."},
	{"raw-é", "raw-é"},
	{"escaped-%c3%a9", "escaped-é"},
	{"slash%2Fupper", "slash/upper"},
	{"slash%2flower", "slash/lower"},
	{"double%252Fslash", "double%2Fslash"},
	{"raw:@$&,;=", "raw:@$&,;="},
	{"raw[x]", "raw[x]"},
	{"raw{}|^\"\\<>`", "raw{}|^\"\\<>`"},
	{"both%2Fslash{brace", "both/slash{brace"},
	{"nul%00", "nul\x00"},
	{"crlf%0d%0a", "crlf\r\n"},
	{"bad-utf8-%ff", "bad-utf8-\xff"},
	{"upper", "upper"},
	{"UPPER", "UPPER"},
}

// TestKeys puts, gets, heads and deletes objects, with each spelling of a key, through each style of configuration, and
// looks at S3 itself for what was stored.
func TestKeys(t *testing.T) {
	for style, routes := range styles {
		t.Run(style, func(t *testing.T) {
			b := newBed(t)
			b.runCaddy(sites(routes))
			direct := b.direct
			for i, sp := range spellings {
				body := fmt.Sprintf("%d: %s", i, sp.target)
				if strings.HasSuffix(sp.key, "/") {
					body = "" // versitygw wants what looks like a directory to be empty.
				}
				b.do("PUT", "/bucket/"+sp.target, body).expect(t, "put "+sp.target, 200)
				out, err := direct.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: &sp.key})
				if err != nil {
					t.Errorf("%s: S3 has no key %q: %v", sp.target, sp.key, err)
					continue
				}
				if stored, err := io.ReadAll(out.Body); err != nil || string(stored) != body {
					t.Errorf("%s: S3 has %q, %v under %q", sp.target, stored, err, sp.key)
				}
			}
			for i, sp := range spellings {
				body := fmt.Sprintf("%d: %s", i, sp.target)
				if strings.HasSuffix(sp.key, "/") {
					body = ""
				}
				if r := b.do("GET", "/bucket/"+sp.target, ""); r.status != 200 || r.body != body {
					t.Errorf("get %s: %v, want %q", sp.target, r, body)
				}
				head := b.do("HEAD", "/bucket/"+sp.target, "")
				if head.status != 200 || head.header.Get("Content-Length") != fmt.Sprint(len(body)) || head.header.Get("Etag") == "" {
					t.Errorf("head %s: %d, %v", sp.target, head.status, head.header)
				}
				b.do("DELETE", "/bucket/"+sp.target, "").expect(t, "delete "+sp.target, 204)
				b.do("GET", "/bucket/"+sp.target, "").expect(t, "get once deleted "+sp.target, 404, "NoSuchKey")
			}
			left, err := direct.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("bucket")})
			if err != nil || len(left.Contents) > 0 {
				t.Errorf("%d objects are left, %v", len(left.Contents), err)
			}
			for _, target := range []string{"/bucket/%zz", "/bucket/a b", "/bucket/%", "/bucket?prefix=%zz", "/bucket?a=%"} {
				b.do("GET", target, "").expect(t, target, 400)
			}
		})
	}
}

// listed are the keys in an answer to a list.
func listed(t *testing.T, r reply) []string {
	t.Helper()
	var result struct {
		XMLName  xml.Name `xml:"ListBucketResult"`
		Contents []struct{ Key string }
	}
	if err := xml.Unmarshal([]byte(r.body), &result); r.status != 200 || err != nil {
		t.Errorf("no list: %v, %v", r, err)
	}
	var keys []string
	for _, c := range result.Contents {
		keys = append(keys, c.Key)
	}
	return keys
}

// TestQueries lists with each spelling of a query. A list's prefix tells how S3 read it.
func TestQueries(t *testing.T) {
	keys := []string{"a b", "a+b", "a;b=c", "a=b", "a&b", "é", "%41", "A", "a/b", "x?y", "~'()*!", "{}|^\"\\<>`[]"}
	for style, routes := range styles {
		t.Run(style, func(t *testing.T) {
			b := newBed(t)
			b.runCaddy(sites(routes))
			direct := b.direct
			for _, key := range keys {
				if _, err := direct.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: &key}); err != nil {
					t.Fatal(err)
				}
			}
			for _, tt := range []struct {
				query string
				want  []string
			}{
				{"list-type=2&prefix=a%20b", []string{"a b"}},
				{"list-type=2&prefix=a+b", []string{"a b"}},
				{"list-type=2&prefix=a%2Bb", []string{"a+b"}},
				{"list-type=2&prefix=a%2bb", []string{"a+b"}},
				{"list-type=2&prefix=a;b=c", []string{"a;b=c"}},
				{"list-type=2&prefix=a%3Bb", []string{"a;b=c"}},
				{"list-type=2&prefix=a=b", []string{"a=b"}},
				{"list-type=2&prefix=a%26b", []string{"a&b"}},
				{"list-type=2&prefix=é", []string{"é"}},
				{"list-type=2&prefix=%c3%a9", []string{"é"}},
				{"list-type=2&prefix=%2541", []string{"%41"}},
				{"list-type=2&prefix=%41", []string{"A"}},
				{"list-type=2&prefix=a/", []string{"a/b"}},
				{"list-type=2&prefix=a%2F", []string{"a/b"}},
				{"list-type=2&prefix=x?y", []string{"x?y"}},
				{"list-type=2&prefix=~'()*!", []string{"~'()*!"}},
				{"list-type=2&prefix=%7E", []string{"~'()*!"}},
				{"list-type=2&prefix={}|^\"\\<>`[]", []string{"{}|^\"\\<>`[]"}},
				{"&&prefix=a%20b&&list-type=2&", []string{"a b"}},
				{"prefix=a%20b&list-type=2&Prefix=x", []string{"a b"}},
				{"list-type=2&prefix=none", nil},
				{"list-type=2&max-keys=1&start-after=a%2Bb", []string{"a/b"}},
				{"prefix=a;b", []string{"a;b=c"}},
			} {
				if got := listed(t, b.do("GET", "/bucket?"+tt.query, "")); !slices.Equal(got, tt.want) {
					t.Errorf("?%s: %q, want %q", tt.query, got, tt.want)
				}
			}
			slices.Sort(keys)
			for _, query := range []string{"?", "", "?list-type=2", "?list-type=2&prefix", "?prefix=&list-type=2"} {
				if got := listed(t, b.do("GET", "/bucket"+query, "")); !slices.Equal(got, keys) {
					t.Errorf("%q: %q, want all", query, got)
				}
			}
			b.do("GET", "/", "").expect(t, "buckets", 200, "<Name>bucket</Name>")
			b.do("GET", "http://"+b.site, "").expect(t, "buckets, with an absolute target", 200, "<Name>bucket</Name>")
			b.do("GET", "/bucket?versioning", "").expect(t, "?versioning", 200, "VersioningConfiguration")
			b.do("GET", "/bucket?location", "").expect(t, "?location", 200, b.Region())
		})
	}
}

// TestRangesAndConditions gets parts of an object, and objects that are as the client has them.
func TestRangesAndConditions(t *testing.T) {
	for style, routes := range styles {
		t.Run(style, func(t *testing.T) {
			b := newBed(t)
			b.runCaddy(sites(routes))
			put := b.do("PUT", "/bucket/k", "0123456789", "Content-Type: text/x", "x-amz-meta-foo: Bar  baz", "Cache-Control: no-cache")
			put.expect(t, "put", 200)
			etag := put.header.Get("Etag")
			for _, tt := range []struct {
				lines  string
				status int
				body   string
				header string
			}{
				{"Range: bytes=0-0", 206, "0", "bytes 0-0/10"},
				{"Range: bytes=2-4", 206, "234", "bytes 2-4/10"},
				{"Range: bytes=7-", 206, "789", "bytes 7-9/10"},
				{"Range: bytes=-2", 206, "89", "bytes 8-9/10"},
				{"Range: bytes=10-", 416, "InvalidRange", ""},
				{"If-None-Match: " + etag, 304, "", ""},
				{"If-Match: " + etag, 200, "0123456789", ""},
				{`If-Match: "x"`, 412, "PreconditionFailed", ""},
			} {
				r := b.do("GET", "/bucket/k", "", tt.lines)
				r.expect(t, tt.lines, tt.status, tt.body)
				if r.header.Get("Content-Range") != tt.header {
					t.Errorf("%s: Content-Range is %q, want %q", tt.lines, r.header.Get("Content-Range"), tt.header)
				}
				if tt.status < 300 && (r.header.Get("Etag") != etag || r.header.Get("Content-Type") != "text/x" ||
					r.header.Get("X-Amz-Meta-Foo") != "Bar  baz" || r.header.Get("Cache-Control") != "no-cache" || r.header.Get("X-Amz-Request-Id") == "") {
					t.Errorf("%s: %v", tt.lines, r.header)
				}
			}
		})
	}
}

// TestForgedSignatures sends what clients with keys of their own send. Nothing of it gets through, and the proxy's own
// signature is right all the same.
func TestForgedSignatures(t *testing.T) {
	b := newBed(t)
	b.runCaddy(sites(styles["short form"]))
	b.do("PUT", "/bucket/k", "hello").expect(t, "put", 200)
	presigned := url.Values{
		"X-Amz-Algorithm": {"AWS4-HMAC-SHA256"}, "X-Amz-Credential": {"AKIA/20260101/us-east-1/s3/aws4_request"}, "X-Amz-Date": {"20260101T000000Z"},
		"X-Amz-Expires": {"60"}, "X-Amz-SignedHeaders": {"host"}, "X-Amz-Signature": {"00"}, "X-Amz-Security-Token": {"token"},
	}.Encode()
	for _, r := range []reply{
		b.do("GET", "/bucket/k", "", "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"),
		b.do("GET", "/bucket/k", "", "X-Amz-Security-Token: token", "X-Amz-Date: 20260101T000000Z", "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD", "Date: Thu, 01 Jan 2026 00:00:00 GMT"),
		b.do("GET", "/bucket/k?"+presigned, ""),
		b.do("GET", "/bucket/k", "", "Connection: X-Amz-Date, Authorization, X-Amz-Content-Sha256, X-Amz-Security-Token"),
		b.do("GET", "/bucket/k", "", "X-Amz-Made-Up: anything"),
	} {
		r.expect(t, "forged", 200, "hello")
	}
}
