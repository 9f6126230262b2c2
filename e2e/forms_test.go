package e2e_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/moto"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

// form is an upload form as an application makes it and a browser sends it. See
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html.
type form struct {
	bucket, key        string
	credentials        aws.Credentials
	region             string
	expires            time.Time
	conditions         []any
	fields             [][2]string // besides those that every form has
	uncovered          [][2]string // fields that the policy does not know
	fileName, fileType string
	file               string
	boundary           string
	spell              func(name string) string // of the fields' names
	headers            []string                 // of the request
	forged             bool
}

// build signs the policy, by AWS's own description, and writes the request's body. It returns its Content-Type, too.
func (f *form) build(t *testing.T) (body, contentType string) {
	t.Helper()
	now := time.Now().UTC()
	date := now.Format("20060102")
	all := [][2]string{
		{"x-amz-algorithm", "AWS4-HMAC-SHA256"},
		{"x-amz-credential", f.credentials.AccessKeyID + "/" + date + "/" + f.region + "/s3/aws4_request"},
		{"x-amz-date", now.Format("20060102T150405Z")},
	}
	if f.credentials.SessionToken != "" {
		all = append(all, [2]string{"x-amz-security-token", f.credentials.SessionToken})
	}
	all = append(all, f.fields...)
	conditions := append([]any{map[string]string{"bucket": f.bucket}, []string{"starts-with", "$key", "uploads/"}}, f.conditions...)
	for _, field := range all {
		conditions = append(conditions, []string{"eq", "$" + field[0], field[1]})
	}
	policy, err := json.Marshal(map[string]any{"expiration": f.expires.UTC().Format("2006-01-02T15:04:05.000Z"), "conditions": conditions})
	if err != nil {
		t.Fatal(err)
	}
	encoded := base64.StdEncoding.EncodeToString(policy)
	key := []byte("AWS4" + f.credentials.SecretAccessKey)
	for _, part := range []string{date, f.region, "s3", "aws4_request", encoded} {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	if f.forged {
		key[0]++
	}
	all = append(append([][2]string{{"key", f.key}}, all...), f.uncovered...)
	all = append(all, [2]string{"policy", encoded}, [2]string{"x-amz-signature", hex.EncodeToString(key)})

	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if f.boundary != "" {
		if err := w.SetBoundary(f.boundary); err != nil {
			t.Fatal(err)
		}
	}
	for _, field := range all {
		if f.spell != nil {
			field[0] = f.spell(field[0])
		}
		if err := w.WriteField(field[0], field[1]); err != nil {
			t.Fatal(err)
		}
	}
	head := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name="file"; filename="%s"`, f.fileName)}}
	if f.fileType != "" {
		head.Set("Content-Type", f.fileType)
	}
	part, err := w.CreatePart(head)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write([]byte(f.file)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// formCase is one of the ways in which browsers upload.
type formCase struct {
	name   string
	change func(f *form)
	status int
	text   string // in the answer
	stored string // the key, if not uploads/name
	also   func(t *testing.T, r reply, head *s3.HeadObjectOutput)
}

// goodForms are 17 forms that S3 takes.
var goodForms = []formCase{
	{name: "as it is", status: 204},
	{name: "status 200", change: func(f *form) { f.fields = [][2]string{{"success_action_status", "200"}} }, status: 200},
	{
		name: "status 201", change: func(f *form) { f.fields = [][2]string{{"success_action_status", "201"}} }, status: 201,
		also: func(t *testing.T, r reply, _ *s3.HeadObjectOutput) {
			var answer struct{ Bucket, Key, ETag string }
			if err := xml.Unmarshal([]byte(r.body), &answer); err != nil || answer.Bucket != formBucket || answer.Key != "uploads/name" || answer.ETag == "" {
				t.Errorf("answered %v, %v", r, err)
			}
		},
	},
	{
		name: "redirect", change: func(f *form) {
			f.fields = [][2]string{{"success_action_redirect", "https://app.example.com/done?a=b"}}
		}, status: 303,
		also: func(t *testing.T, r reply, _ *s3.HeadObjectOutput) {
			u, err := url.Parse(r.header.Get("Location"))
			if err != nil || u.Host != "app.example.com" || u.Path != "/done" || u.Query().Get("a") != "b" || u.Query().Get("key") != "uploads/name" {
				t.Errorf("Location is %q, %v", r.header.Get("Location"), err)
			}
		},
	},
	{
		name: "content type", change: func(f *form) { f.fields = [][2]string{{"content-type", "image/x-test"}} }, status: 204,
		also: func(t *testing.T, _ reply, head *s3.HeadObjectOutput) {
			if aws.ToString(head.ContentType) != "image/x-test" {
				t.Errorf("its type is %q", aws.ToString(head.ContentType))
			}
		},
	},
	{
		name: "metadata", change: func(f *form) { f.fields = [][2]string{{"x-amz-meta-foo", "Bar  baz"}} }, status: 204,
		also: func(t *testing.T, _ reply, head *s3.HeadObjectOutput) {
			if head.Metadata["foo"] != "Bar  baz" {
				t.Errorf("its metadata is %q", head.Metadata)
			}
		},
	},
	// S3 would put the file's name there; versitygw leaves it as it comes.
	{name: "key with ${filename}", change: func(f *form) { f.key = "uploads/${filename}" }, status: 204, stored: "uploads/${filename}"},
	{name: "odd key", change: func(f *form) { f.key = "uploads/ü +%25&?#'()" }, status: 204, stored: "uploads/ü +%25&?#'()"},
	{name: "odd file name", change: func(f *form) { f.fileName = "ü +%25&.txt" }, status: 204},
	{name: "type of the file", change: func(f *form) { f.fileType = "application/octet-stream" }, status: 204},
	{name: "size in range", change: func(f *form) { f.conditions = []any{[]any{"content-length-range", 1, 100}} }, status: 204},
	{name: "fields to ignore", change: func(f *form) { f.uncovered = [][2]string{{"x-ignore-this", "1"}} }, status: 204},
	{name: "empty file", change: func(f *form) { f.file = "" }, status: 204},
	{name: "names in upper case", change: func(f *form) { f.spell = strings.ToUpper }, status: 204},
	{name: "boundary of dashes", change: func(f *form) { f.boundary = "------WebKitFormBoundaryabcDEF123456" }, status: 204},
	{name: "3 MiB of anything", change: func(f *form) { f.file = strings.Repeat("\x00\xff\r\n--", 3*mebi/6) }, status: 204},
	{
		name: "what a browser adds", change: func(f *form) {
			f.headers = []string{
				"Origin: https://app.example.com", "Referer: https://app.example.com/form", "Cookie: session=1", "Accept-Encoding: gzip, br",
				"Authorization: Basic dXNlcjpwYXNz", "Sec-Fetch-Mode: navigate", "Upgrade-Insecure-Requests: 1",
			}
		}, status: 204,
	},
}

// badForms are forms that S3 refuses, in its own words.
var badForms = []formCase{
	{name: "forged", change: func(f *form) { f.forged = true }, status: 403, text: "SignatureDoesNotMatch"},
	{name: "expired", change: func(f *form) { f.expires = time.Now().Add(-time.Minute) }, status: 403, text: "Policy expired"},
	{name: "another key", change: func(f *form) { f.key = "elsewhere" }, status: 403, text: "Policy Condition failed", stored: "elsewhere"},
	{name: "a field more", change: func(f *form) { f.uncovered = [][2]string{{"acl", "public-read"}} }, status: 403, text: "Extra input fields"},
	{name: "too large", change: func(f *form) { f.conditions = []any{[]any{"content-length-range", 1, 2}} }, status: 400, text: "EntityTooLarge"},
	{name: "another's credentials", change: func(f *form) { f.credentials.AccessKeyID = "AKIANOBODY" }, status: 403, text: "InvalidAccessKeyId"},
}

const formBucket = "my-bucket"

// newForm returns a form that S3 takes.
func (b *bed) newForm(c aws.Credentials) *form {
	return &form{
		bucket: formBucket, key: "uploads/name", credentials: c, region: b.Region(), expires: time.Now().Add(time.Hour),
		fileName: "name.txt", fileType: "text/plain", file: "the file's content",
	}
}

// submit sends a form to the site.
func (b *bed) submit(t *testing.T, target string, f *form) reply {
	t.Helper()
	body, contentType := f.build(t)
	r, err := send(b.site, http.MethodPost, target, body, append([]string{"Content-Type: " + contentType}, f.headers...)...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// head returns what S3 tells of an object in the forms' bucket, or nil.
func (b *bed) head(t *testing.T, key string) *s3.HeadObjectOutput {
	t.Helper()
	head, err := b.direct.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(formBucket), Key: &key})
	if err != nil {
		return nil
	}
	return head
}

// formExample is the example's Caddyfile, at the site in place of its own name.
func formExample(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "examples", "s3-form-upload", "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	const address = "\nuploads.example.com {"
	if strings.Count(string(text), address) != 1 {
		t.Fatalf("the example has no site %q", address)
	}
	return strings.Replace(string(text), address, "\nhttp://<site> {", 1)
}

// startFormExample runs the example in front of a bucket, and returns credentials for forms: a user's and a session's.
func startFormExample(t *testing.T) (b *bed, user, session aws.Credentials) {
	t.Helper()
	b = newBed(t)
	if err := b.CreateBucket(formBucket); err != nil {
		t.Fatal(err)
	}
	u, err := b.AddUser(standin.User{ARN: "arn:aws:iam::123456789012:user/application", S3: true})
	if err != nil {
		t.Fatal(err)
	}
	user = aws.Credentials{AccessKeyID: u.AccessKeyID, SecretAccessKey: u.SecretAccessKey}
	broker := aws.Credentials{AccessKeyID: b.broker.AccessKeyID, SecretAccessKey: b.broker.SecretAccessKey}
	status, answer := moto.Call(t, b.STS(), b.Region(), "sts", broker, url.Values{
		"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {readerARN}, "RoleSessionName": {"forms"}, "ExternalId": {externalID},
	}, nil)
	var assumed struct {
		Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken string } `xml:"AssumeRoleResult>Credentials"`
	}
	if err := xml.Unmarshal([]byte(answer), &assumed); err != nil || status != http.StatusOK {
		t.Fatalf("AssumeRole: %d %s, %v", status, answer, err)
	}
	session = aws.Credentials{
		AccessKeyID: assumed.Credentials.AccessKeyId, SecretAccessKey: assumed.Credentials.SecretAccessKey, SessionToken: assumed.Credentials.SessionToken,
	}
	environment := b.namedHosts(t, formBucket+".s3."+b.Region()+".amazonaws.com")
	b.startProcess(t, formExample(t), append(environment, "AWS_ACCESS_KEY_ID="+user.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+user.SecretAccessKey)...)
	return b, user, session
}

// TestFormUploads sends browsers' upload forms through the example, which runs as it stands.
func TestFormUploads(t *testing.T) {
	b, user, session := startFormExample(t)
	for _, c := range slices.Concat(goodForms, badForms) {
		t.Run(c.name, func(t *testing.T) {
			for who, credentials := range map[string]aws.Credentials{"user": user, "session": session} {
				f := b.newForm(credentials)
				if c.change != nil {
					c.change(f)
				}
				r := b.submit(t, "/", f)
				r.expect(t, who, c.status, c.text)
				key := c.stored
				if key == "" {
					key = "uploads/name"
				}
				head := b.head(t, key)
				if (head != nil) != (c.status < 400) {
					t.Errorf("%s: S3 has it: %t", who, head != nil)
				}
				if head == nil {
					continue
				}
				r = b.do("GET", "/"+escaped(key), "")
				if r.status != 200 || r.body != f.file {
					t.Errorf("%s: through the signing route: %.200v", who, r)
				}
				if c.also != nil {
					c.also(t, b.submit(t, "/", f), head)
				}
				b.do("DELETE", "/"+escaped(key), "").expect(t, "delete", 204)
			}
		})
	}
	b.do("PUT", "/plain", "hello").expect(t, "put", 200)
	b.do("POST", "/?delete", `<Delete><Object><Key>none</Key></Object></Delete>`, "Content-Type: application/xml", "Content-MD5: EpvYphShtu0A5NGVEQm6CQ==").expect(t, "a POST that is no form", 200, "<DeleteResult")
	b.do("GET", "/?list-type=2", "").expect(t, "list", 200, "<Key>plain</Key>")
}

// TestFormUploadsAreNotSigned sends forms to routes that sign, which can't be right: 400, with a word about the example.
func TestFormUploadsAreNotSigned(t *testing.T) {
	for style, routes := range styles {
		t.Run(style, func(t *testing.T) {
			b := newBed(t)
			if err := b.CreateBucket(formBucket); err != nil {
				t.Fatal(err)
			}
			b.runCaddy(sites(routes))
			for _, c := range goodForms {
				f := b.newForm(aws.Credentials{AccessKeyID: b.broker.AccessKeyID, SecretAccessKey: b.broker.SecretAccessKey})
				if c.change != nil {
					c.change(f)
				}
				b.submit(t, "/"+formBucket, f).expect(t, c.name, 400, "examples/s3-form-upload")
				if b.head(t, "uploads/name") != nil {
					t.Errorf("%s: S3 has it", c.name)
				}
			}
		})
	}
}
