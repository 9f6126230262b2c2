package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

// question is a request to the STS helper, and what to read with the credentials that it answers; answered is what came of
// it.
type question struct {
	URL      string            `json:"url"`
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	Endpoint string            `json:"endpoint"`
	Bucket   string            `json:"bucket"`
	Key      string            `json:"key"`
	Region   string            `json:"region"`
}

type answered struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
	Read   string `json:"read"`
}

// helperPeers are programs that ask an STS helper and know nothing of this repository's Go code. Each brings its own HTTP and
// JSON, and its own signer.
var helperPeers = map[string]func([]question) ([]answered, error){
	"curl": askWithCurl,
	"Node.js and the AWS SDK for JavaScript": func(q []question) ([]answered, error) {
		cmd, err := node("helper.mjs")
		return askWith(cmd, err, q)
	},
	"Python and boto3": func(q []question) ([]answered, error) {
		cmd, err := python("boto3", filepath.Join("clients", "helper.py"))
		return askWith(cmd, err, q)
	},
}

// absentError says that this machine lacks a program.
type absentError struct{ error }

func askWith(cmd *exec.Cmd, err error, questions []question) ([]answered, error) {
	if err != nil {
		return nil, absentError{err}
	}
	in, err := json.Marshal(questions)
	if err != nil {
		return nil, err
	}
	out, err := run(bytes.NewReader(in), nil, cmd.Path, cmd.Args[1:]...)
	if err != nil {
		return nil, err
	}
	var all []answered
	return all, json.Unmarshal([]byte(out), &all)
}

// askWithCurl lets curl ask, and sign the request to S3, too.
func askWithCurl(questions []question) (all []answered, err error) {
	path, err := exec.LookPath("curl")
	if err != nil {
		return nil, absentError{errors.New("there is no curl")}
	}
	args := []string{"--silent", "--show-error", "--max-time", "20"}
	for _, q := range questions {
		ask := append(args, "--write-out", "\n%{http_code}", "--data-binary", "@-", "--header", "content-type: application/json")
		for name, value := range q.Headers {
			ask = append(ask, "--header", name+": "+value)
		}
		out, err := run(strings.NewReader(q.Body), nil, path, append(ask, q.URL)...)
		if err != nil {
			return nil, err
		}
		end := strings.LastIndexByte(out, '\n')
		a := answered{Body: out[:end]}
		if a.Status, err = strconv.Atoi(out[end+1:]); err != nil {
			return nil, err
		}
		if a.Status == 200 {
			var c struct{ AccessKeyID, SecretAccessKey, SessionToken string }
			if err := json.Unmarshal([]byte(a.Body), &c); err != nil {
				return nil, err
			}
			if a.Read, err = run(nil, nil, path, append(args, "--fail-with-body", "--aws-sigv4", "aws:amz:"+q.Region+":s3",
				"--user", c.AccessKeyID+":"+c.SecretAccessKey, "--header", "x-amz-security-token: "+c.SessionToken,
				"--header", "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
				q.Endpoint+"/"+q.Bucket+"/"+q.Key)...); err != nil {
				return nil, err
			}
		}
		all = append(all, a)
	}
	return all, nil
}

// TestHelperPeers lets programs that were not made for it ask the helper, as they would ask the service that it takes the
// place of, and use what they get. Each answer is what docs/sts-helper.md says.
func TestHelperPeers(t *testing.T) {
	b := newBed(t)
	b.runHelper()
	b.putObject("k", "hello")
	outside, away := "arn:aws:iam::123456789012:role/Outside", "arn:aws:iam::123456789012:role/customers/Away"
	b.putRole(standin.Role{ARN: away})
	b.SetFault(away, standin.Throttled)

	body := func(role, id, region string) string {
		return fmt.Sprintf(`{"role_arn":%q,"external_id":%q,"region":%q,"service":"s3"}`, role, id, region)
	}
	right := body(readerARN, externalID, b.Region())
	key := map[string]string{"x-api-key": agentKey}
	const issued = ""
	cases := []struct {
		name    string
		headers map[string]string
		body    string
		status  int
		word    string // of the error
		texts   []string
	}{
		{"API key", key, right, 200, issued, nil},
		{"bearer token", map[string]string{"authorization": "Bearer " + agentKey}, right, 200, issued, nil},
		{"the secret alone", map[string]string{"authorization": agentKey}, right, 200, issued, nil},
		{"basic", map[string]string{"authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("agent:"+agentPassword))}, right, 200, issued, nil},
		{"without region", key, body(readerARN, externalID, ""), 200, issued, nil},
		{"members nobody knows", key, strings.TrimSuffix(right, "}") + `,"tenant":{"id":[1,2]}}`, 200, issued, nil},
		{"no key", nil, right, 401, "invalid_api_key", nil},
		{"wrong key", map[string]string{"x-api-key": agentKey + "x"}, right, 401, "invalid_api_key", nil},
		{"no role", key, `{"external_id":"abc"}`, 400, "invalid_request", []string{`"field":"role_arn"`}},
		{"no External ID", key, body(readerARN, "", ""), 400, "invalid_request", []string{`"field":"external_id"`}},
		{"no JSON", key, `role_arn=x`, 400, "invalid_request", nil},
		{"a region of another partition", key, body(readerARN, externalID, "cn-north-1"), 400, "invalid_request", []string{`"field":"region"`}},
		{"a role outside", key, body(outside, externalID, b.Region()), 403, "not_permitted", []string{"AWS was not asked"}},
		{"wrong External ID", key, body(readerARN, "wrong-external-id", b.Region()), 403, "assume_role_failed", []string{`"code":"AccessDenied"`, `"requestId":"`}},
		{"throttled", key, body(away, externalID, b.Region()), 503, "assume_role_failed", []string{`"code":"Throttling"`}},
	}
	var questions []question
	for _, c := range cases {
		headers := c.headers
		if headers == nil {
			headers = map[string]string{}
		}
		questions = append(questions, question{"http://" + b.site + "/assume-role", headers, c.body, b.S3(), "bucket", "k", b.Region()})
	}
	for name, ask := range helperPeers {
		t.Run(name, func(t *testing.T) {
			answers, err := ask(questions)
			if errors.As(err, new(absentError)) {
				absent.Skip(t, name, err.Error()+"; clients/install installs it")
			}
			if err != nil || len(answers) != len(cases) {
				t.Fatalf("%d answers, %v", len(answers), err)
			}
			for i, c := range cases {
				got := answers[i]
				var members map[string]string
				if err := json.Unmarshal([]byte(got.Body), &members); err != nil || got.Status != c.status || members["error"] != c.word {
					t.Errorf("%s: %d %s, %v; want %d %s", c.name, got.Status, got.Body, err, c.status, c.word)
					continue
				}
				for _, text := range c.texts {
					if !strings.Contains(got.Body, text) {
						t.Errorf("%s: %s, want %s in it", c.name, got.Body, text)
					}
				}
				switch c.status {
				case 401:
					if strings.TrimSpace(got.Body) != `{"error":"invalid_api_key"}` {
						t.Errorf("%s: %s", c.name, got.Body)
					}
				case 200:
					expires, err := time.Parse(time.RFC3339, members["expiresAt"])
					if left := time.Until(expires); err != nil || left < 50*time.Minute || left > time.Hour || len(members) != 4 || got.Read != "hello" {
						t.Errorf("%s: %d members, expires in %v, %v; read %q", c.name, len(members), left, err, got.Read)
					}
				}
			}
		})
	}
	names := map[string]int{}
	for _, s := range b.Sessions(readerARN) {
		names[s.Name]++
	}
	// Without a region, it is the one that the helper is in.
	if names["helper-agent"] != 1 || names["helper-basic"] != 1 || len(names) != 2 {
		t.Errorf("sessions: %v", names)
	}
	for _, c := range b.Calls() {
		if c.RoleARN == outside {
			t.Errorf("STS was asked for a role that no key may have: %+v", c)
		}
	}
	log, err := os.ReadFile(b.log)
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string]string{
		"an API key": agentKey, "a password": agentPassword, "an External ID": externalID, "the broker's secret": b.broker.SecretAccessKey,
	} {
		if strings.Contains(string(log), secret) {
			t.Errorf("the log holds %s", what)
		}
	}
}
