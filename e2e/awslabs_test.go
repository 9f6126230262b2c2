package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// TestRightWhereAwslabsIsWrong is the list of what awslabs/aws-sigv4-proxy was seen to get wrong in front of an S3.
func TestRightWhereAwslabsIsWrong(t *testing.T) {
	for _, tt := range []struct {
		awslabs string
		ours    func(t *testing.T)
	}{
		{"aws-chunked uploads are answered 200, and stored with their framing", refusesFramedUploads},
		{"chunked bodies are answered 411", takesChunkedBodies},
		{"uploads of boto3 and of JavaScript streams over TLS are answered 411", takesUploadsOverTLS},
		{"presigned URLs are answered 400", takesPresignedURLs},
		{"a PUT of 200 MiB takes 684 MB of memory, a GET 1.19 GB", takesLittleMemory},
		{"S3 and SQS at the same time get a false 403 now and then", signsForServicesAtOnce},
		{"s3.us-east-1.amazonaws.com is not recognised", knowsUSEast1},
		{"names of metadata come back capitalised", keepsNamesOfMetadata},
		{"17 upload forms of browsers fail", takesForms},
	} {
		t.Run(tt.awslabs, tt.ours)
	}
}

// framed are uploads in the framing of https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html, as SDKs send
// them.
var framed = map[string]struct {
	lines  []string
	upload string
}{
	"signed chunks": {
		[]string{"X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "Content-Encoding: aws-chunked", "X-Amz-Decoded-Content-Length: 5"},
		"5;chunk-signature=" + strings.Repeat("0", 64) + "\r\nhello\r\n0;chunk-signature=" + strings.Repeat("0", 64) + "\r\n\r\n",
	},
	"signed chunks and trailer": {
		[]string{
			"X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "Content-Encoding: aws-chunked",
			"X-Amz-Decoded-Content-Length: 5", "X-Amz-Trailer: x-amz-checksum-crc32",
		},
		"5;chunk-signature=" + strings.Repeat("0", 64) + "\r\nhello\r\n0;chunk-signature=" + strings.Repeat("0", 64) +
			"\r\nx-amz-checksum-crc32:NhCmhg==\r\nx-amz-trailer-signature:" + strings.Repeat("0", 64) + "\r\n\r\n",
	},
	"unsigned chunks and trailer": {
		[]string{
			"X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding: aws-chunked",
			"X-Amz-Decoded-Content-Length: 5", "X-Amz-Trailer: x-amz-checksum-crc32",
		},
		"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
	},
	"only the header that says so": {[]string{"Content-Encoding: gzip,aws-chunked"}, "5\r\nhello\r\n0\r\n\r\n"},
	"only the hash that says so":   {[]string{"X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, "5\r\nhello\r\n0\r\n\r\n"},
}

func refusesFramedUploads(t *testing.T) {
	for style, routes := range withTLS() {
		t.Run(style, func(t *testing.T) {
			b := newBed(t)
			b.runCaddy(sites(routes))
			for name, f := range framed {
				b.do("PUT", "/bucket/k", f.upload, f.lines...).expect(t, name, http.StatusNotImplemented, "aws-chunked", "request_checksum_calculation=when_required")
				// As boto3 sends it: chunked once more.
				b.do("PUT", "/bucket/k", f.upload, append(slices.Clip(f.lines), chunked)...).expect(t, name+", chunked", http.StatusNotImplemented, "aws-chunked")
			}
			b.expectNothingStored(t)
		})
	}
}

// withTLS are all styles, and the short form with S3 over TLS.
func withTLS() map[string]string {
	all := map[string]string{"short form over TLS": overTLS}
	maps.Copy(all, styles)
	return all
}

// expectNothingStored fails the test if S3 has any object.
func (b *bed) expectNothingStored(t *testing.T) {
	t.Helper()
	list, err := b.direct.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("bucket")})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		t.Errorf("S3 has %s, %d bytes", *o.Key, *o.Size)
	}
}

func takesChunkedBodies(t *testing.T) {
	for style, routes := range withTLS() {
		t.Run(style, func(t *testing.T) {
			b := newBed(t)
			b.runCaddy(sites(routes))
			for i, body := range []string{"", "hello", strings.Repeat("0123456789", 300_000)} {
				key := fmt.Sprint(i)
				b.do("PUT", "/bucket/"+key, body, chunked).expect(t, key, 200)
				if b.stored(key) != hashOf(strings.NewReader(body)) {
					t.Errorf("%d bytes: S3 has something else", len(body))
				}
			}
		})
	}
}

func takesUploadsOverTLS(t *testing.T) {
	// What the refusal of framed uploads tells people to set.
	t.Setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
	b := newBed(t)
	b.runCaddy(sites(styles["short form"]))
	b.write("20MiB", read20MiB(t))
	for _, name := range []string{"aws-sdk-go-v2", "aws-sdk-js-v3", "boto3", "aws-cli"} {
		t.Run(name, func(t *testing.T) {
			c := b.startClient(t, name)
			defer c.close()
			s := &session{bed: b, client: c, t: t, bucket: "bucket"}
			for _, op := range []string{"put", "stream"} {
				if err := s.overTLS(op); err != nil {
					t.Errorf("%s: %v", op, err)
				}
			}
		})
	}
}

func takesPresignedURLs(t *testing.T) {
	presign := s3.NewPresignClient(s3.New(s3.Options{
		Region: throwAwayRegion, BaseEndpoint: aws.String("https://bucket.example"), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(throwAwayID, throwAwaySecret, "token/+="),
	}))
	for style, routes := range withTLS() {
		t.Run(style, func(t *testing.T) {
			b := newBed(t)
			b.runCaddy(sites(routes))
			const key = "a b/+ü&=.txt"
			put, err := presign.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String(key)})
			if err != nil {
				t.Fatal(err)
			}
			get, err := presign.PresignGetObject(t.Context(), &s3.GetObjectInput{
				Bucket: aws.String("bucket"), Key: aws.String(key), ResponseContentType: aws.String("text/x; a=b"),
			})
			if err != nil {
				t.Fatal(err)
			}
			b.do(put.Method, targetOf(t, put.URL), "hello").expect(t, "put", 200)
			if b.stored(key) != hashOf(strings.NewReader("hello")) {
				t.Error("S3 has something else")
			}
			r := b.do(get.Method, targetOf(t, get.URL), "")
			r.expect(t, "get", 200, "hello")
			if got := r.header.Get("Content-Type"); got != "text/x; a=b" {
				t.Errorf("the parameters that are no signature got lost: the type is %q", got)
			}
		})
	}
}

// targetOf is the request target of a URL, as it is written.
func targetOf(t *testing.T, from string) string {
	t.Helper()
	u, err := url.Parse(from)
	if err != nil {
		t.Fatal(err)
	}
	return u.RequestURI()
}

func takesLittleMemory(t *testing.T) {
	for _, u := range uploads {
		if u.name == "spooled, over HTTP" || u.name == "streamed, over TLS, unsigned" { // TestMemory has them all.
			t.Run(u.name, func(t *testing.T) { u.run(t, 200*mebi) })
		}
	}
}

func signsForServicesAtOnce(t *testing.T) {
	b := newBed(t)
	user, err := b.AddUser(standin.User{ARN: "arn:aws:iam::123456789012:user/both", S3: true})
	if err != nil {
		t.Fatal(err)
	}
	verifier := &wireverify.Verifier{Key: func(id string) (wireverify.Key, bool) {
		return wireverify.Key{Secret: user.SecretAccessKey}, id == user.AccessKeyID
	}}
	sqs, err := wireverify.Listen("127.0.0.1:0", nil, func(*wireverify.Request) wireverify.Action {
		return wireverify.Action{Respond: func(r *wireverify.Request) wireverify.Response {
			switch by, err := verifier.Verify(r); {
			case err != nil:
				return wireverify.Response{Status: http.StatusForbidden, Body: err.Error()}
			case by.Service != "sqs" || by.Region != b.Region():
				return wireverify.Response{Status: http.StatusForbidden, Body: "signed for " + by.Service + " in " + by.Region}
			}
			return wireverify.Response{Body: "{}"}
		}}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sqs.Close()
	b.runCaddy(fmt.Sprintf(`{
	aws_sigv4 {
		credentials both static %s %s
	}
}
http://<site> {
	@sqs header X-Amz-Target *
	handle @sqs {
		aws_sigv4 %s {
			service sqs
			region <region>
			credentials both
		}
	}
	handle {
		aws_sigv4 <s3> {
			service s3
			region <region>
			credentials both
		}
	}
}
`, user.AccessKeyID, user.SecretAccessKey, sqs.Addr()))
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			for i := range 60 {
				key := fmt.Sprintf("/bucket/%d-%d", worker, i)
				for _, request := range []struct{ method, target, body, line string }{
					{"PUT", key, key, "X-Amz-Meta-Worker: " + fmt.Sprint(worker)},
					{"POST", "/", `{"QueueUrl":"` + key + `"}`, "X-Amz-Target: AmazonSQS.SendMessage"},
					{"GET", key, "", "Accept: */*"},
				} {
					r, err := send(b.site, request.method, request.target, request.body, request.line)
					if err != nil || r.status != http.StatusOK || request.method == "GET" && r.body != key {
						t.Errorf("%s %s: %v, %v", request.method, request.target, r, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func knowsUSEast1(t *testing.T) {
	for _, host := range []string{"s3.us-east-1.amazonaws.com", "s3.amazonaws.com", "bucket.s3.us-east-1.amazonaws.com", "s3.dualstack.us-east-1.amazonaws.com"} {
		t.Run(host, func(t *testing.T) {
			b := newBedIn(t, "us-east-1")
			user, err := b.AddUser(standin.User{ARN: "arn:aws:iam::123456789012:user/u", S3: true})
			if err != nil {
				t.Fatal(err)
			}
			environment := b.namedHosts(t, host)
			b.startProcess(t, "http://<site> {\naws_sigv4 https://"+host+"\n}",
				append(environment, "AWS_ACCESS_KEY_ID="+user.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+user.SecretAccessKey)...)
			path := "/bucket/k"
			if strings.HasPrefix(host, "bucket.") {
				path = "/k"
			}
			b.do("PUT", path, "hello").expect(t, "put", 200)
			if b.stored("k") != hashOf(strings.NewReader("hello")) {
				t.Error("S3 has something else")
			}
		})
	}
}

func keepsNamesOfMetadata(t *testing.T) {
	for style, routes := range withTLS() {
		if style == "transport" {
			continue // It can't: reverse_proxy writes names in Go's canonical form. docs/signing-proxy.md says so.
		}
		t.Run(style, func(t *testing.T) {
			b := newBed(t)
			b.runCaddy(sites(routes))
			b.do("PUT", "/bucket/k", "hello", "X-Amz-Meta-Foo-Bar: 1").expect(t, "put", 200)
			if r := b.do("GET", "/bucket/k", ""); !strings.Contains(r.head, "\r\nx-amz-meta-foo-bar: 1\r\n") {
				t.Errorf("answered\n%s", r.head)
			}
		})
	}
}

func takesForms(t *testing.T) {
	if len(goodForms) != 17 {
		t.Errorf("there are %d forms, want 17", len(goodForms))
	}
	t.Run("the example takes them", TestFormUploads)
	t.Run("a signing route names it", TestFormUploadsAreNotSigned)
}
