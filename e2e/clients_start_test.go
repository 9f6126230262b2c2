package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// The key with which clients sign that can't do without. Nobody knows it.
const throwAwayID, throwAwaySecret, throwAwayRegion = "AKIATHROWAWAY", "throwaway", "us-east-1"

// startPython starts clients/driver.py with a Python that has the module.
func startPython(b *bed, module string) (client, error) {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import "+module).Run() == nil {
			return startDriver(b, exec.Command(python, filepath.Join("clients", "driver.py"), module))
		}
	}
	return client{}, fmt.Errorf("there is no Python with %s", module)
}

func startJavaScript(b *bed) (client, error) {
	if _, err := exec.LookPath("node"); err != nil {
		return client{}, errors.New("there is no node")
	}
	if _, err := os.Stat(filepath.Join("clients", "js", "node_modules")); err != nil {
		return client{}, errors.New("there is no AWS SDK for JavaScript in clients/js/node_modules")
	}
	return startDriver(b, exec.Command("node", filepath.Join("clients", "js", "driver.mjs")))
}

// startDriver starts a program that reads commands and writes outcomes, a line of JSON each.
func startDriver(b *bed, cmd *exec.Cmd) (client, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+filepath.Join(b.dir, "site.pem"))
	in, err := cmd.StdinPipe()
	if err != nil {
		return client{}, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return client{}, err
	}
	if err := cmd.Start(); err != nil {
		return client{}, err
	}
	lines := bufio.NewReader(out)
	do := func(c command) (outcome, error) {
		var o outcome
		line, err := json.Marshal(c)
		if err != nil {
			return o, err
		}
		watchdog := time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() })
		defer watchdog.Stop()
		if _, err := in.Write(append(line, '\n')); err != nil {
			return o, fmt.Errorf("%w: %s", err, stderr.String())
		}
		answer, err := lines.ReadBytes('\n')
		if err != nil {
			return o, fmt.Errorf("%w: %s", err, stderr.String())
		}
		return o, json.Unmarshal(answer, &o)
	}
	return client{do, func() { in.Close(); _ = cmd.Wait() }}, nil
}

// run runs a program of one command, and returns what it prints.
func run(stdin io.Reader, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = stdin, &out, &errs, append(os.Environ(), env...)
	watchdog := time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s%s", err, errs.String(), out.String())
	}
	return out.String(), nil
}

// escaped encodes a key for a URL, so that nothing in it has to be guessed.
func escaped(key string) string {
	var b strings.Builder
	for _, c := range []byte(key) {
		if c == '/' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// startCurl sends plain HTTP, without any signature.
func startCurl(b *bed) (client, error) {
	path, err := exec.LookPath("curl")
	if err != nil {
		return client{}, errors.New("there is no curl")
	}
	return client{func(c command) (outcome, error) {
		args := []string{"--silent", "--show-error", "--fail-with-body", "--path-as-is", "--globoff", "--include", "--cacert", c.CA}
		url := c.Endpoint + "/" + c.Bucket
		var body io.Reader
		switch c.Op {
		case "put":
			args = append(args, "--request", "PUT", "--data-binary", "@-", "--header", "Content-Type: text/plain")
			body = strings.NewReader(c.Body)
			for name, value := range c.Metadata {
				args = append(args, "--header", "x-amz-meta-"+name+": "+value)
			}
		case "stream":
			args = append(args, "--upload-file", c.File)
		case "get":
			if c.Range != "" {
				args = append(args, "--range", strings.TrimPrefix(c.Range, "bytes="))
			}
		case "delete":
			args = append(args, "--request", "DELETE")
		case "list":
			return curlList(path, args, url)
		default:
			return outcome{}, errCannot
		}
		out, err := run(body, nil, path, append(args, url+"/"+escaped(c.Key))...)
		if err != nil {
			return outcome{}, err
		}
		for strings.HasPrefix(out, "HTTP/1.1 100") {
			_, out, _ = strings.Cut(out, "\r\n\r\n")
		}
		head, text, _ := strings.Cut(out, "\r\n\r\n")
		o := outcome{Body: text, Metadata: map[string]string{}}
		for line := range strings.SplitSeq(head, "\r\n") {
			name, value, _ := strings.Cut(line, ": ")
			if len(name) > 11 && strings.EqualFold(name[:11], "x-amz-meta-") {
				o.Metadata[name[11:]] = value // In the case in which it came.
			}
		}
		return o, nil
	}, func() {}}, nil
}

func curlList(path string, args []string, url string) (outcome, error) {
	var o outcome
	for token := ""; ; {
		page := url + "?list-type=2"
		if token != "" {
			page += "&continuation-token=" + escaped(token)
		}
		out, err := run(nil, nil, path, append(args, page)...)
		if err != nil {
			return o, err
		}
		var list struct {
			Contents              []struct{ Key string }
			NextContinuationToken string
		}
		_, out, _ = strings.Cut(out, "\r\n\r\n")
		if err := xml.Unmarshal([]byte(out), &list); err != nil {
			return o, err
		}
		for _, c := range list.Contents {
			o.Keys = append(o.Keys, c.Key)
		}
		if token = list.NextContinuationToken; token == "" {
			return o, nil
		}
	}
}

// startRclone uses rclone with a remote that is configured in the environment. It can't get the metadata of an object, and
// takes keys for paths of files.
func startRclone(b *bed) (client, error) {
	path, err := exec.LookPath("rclone")
	if err != nil {
		return client{}, errors.New("there is no rclone")
	}
	return client{func(c command) (outcome, error) {
		env := []string{
			"RCLONE_CONFIG_R_TYPE=s3", "RCLONE_CONFIG_R_PROVIDER=Other", "RCLONE_CONFIG_R_ENDPOINT=" + c.Endpoint, "RCLONE_CONFIG_R_REGION=" + throwAwayRegion,
			"RCLONE_CONFIG_R_ACCESS_KEY_ID=" + throwAwayID, "RCLONE_CONFIG_R_SECRET_ACCESS_KEY=" + throwAwaySecret, "RCLONE_CONFIG_R_NO_CHECK_BUCKET=true",
			"RCLONE_CONFIG=" + os.DevNull, "RCLONE_CA_CERT=" + c.CA, "RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1", "RCLONE_CONTIMEOUT=20s",
		}
		bucket, object := "R:"+c.Bucket, "R:"+c.Bucket+"/"+c.Key
		if slices.Contains(slashKeys, c.Key) {
			return outcome{}, errCannot
		}
		switch c.Op {
		case "put":
			if len(c.Metadata) > 0 {
				return outcome{}, errCannot
			}
			_, err := run(strings.NewReader(c.Body), env, path, "rcat", object)
			return outcome{}, err
		case "stream":
			_, err := run(nil, env, path, "copyto", c.File, object, "--s3-upload-cutoff", "100M")
			return outcome{}, err
		case "upload":
			_, err := run(nil, env, path, "copyto", c.File, object, "--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M")
			return outcome{}, err
		case "get":
			args := []string{"cat", object}
			if c.Range != "" {
				var from, to int
				fmt.Sscanf(c.Range, "bytes=%d-%d", &from, &to)
				args = append(args, "--offset", fmt.Sprint(from), "--count", fmt.Sprint(to-from+1))
			}
			out, err := run(nil, env, path, args...)
			return outcome{Body: out}, err
		case "delete":
			_, err := run(nil, env, path, "deletefile", object)
			return outcome{}, err
		}
		out, err := run(nil, env, path, "lsf", "--recursive", "--files-only", bucket)
		return outcome{Keys: strings.Split(strings.TrimSuffix(out, "\n"), "\n")}, err
	}, func() {}}, nil
}

// startS5cmd compiles s5cmd, whose version tools/go.mod pins. It can't get parts of an object, nor its metadata.
func startS5cmd(b *bed) (client, error) {
	path := filepath.Join(b.dir, "s5cmd")
	build := exec.Command("go", "build", "-modfile="+filepath.Join("tools", "go.mod"), "-o", path, "github.com/peak/s5cmd/v2")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return client{}, fmt.Errorf("s5cmd can't be compiled: %s", out)
	}
	return client{func(c command) (outcome, error) {
		env := []string{
			"AWS_ACCESS_KEY_ID=" + throwAwayID, "AWS_SECRET_ACCESS_KEY=" + throwAwaySecret, "AWS_REGION=" + throwAwayRegion, "AWS_CA_BUNDLE=" + c.CA,
		}
		s5cmd := func(args ...string) (string, error) {
			return run(nil, env, path, append([]string{"--endpoint-url", c.Endpoint, "--retry-count", "0"}, args...)...)
		}
		object := "s3://" + c.Bucket + "/" + c.Key
		switch c.Op {
		case "put":
			if len(c.Metadata) > 0 {
				return outcome{}, errCannot
			}
			file, err := os.CreateTemp(b.dir, "put-")
			if err != nil {
				return outcome{}, err
			}
			_, err = file.WriteString(c.Body)
			if err := errors.Join(err, file.Close()); err != nil {
				return outcome{}, err
			}
			_, err = s5cmd("cp", "--raw", file.Name(), object)
			return outcome{}, err
		case "stream":
			_, err := s5cmd("cp", "--raw", "--part-size", "100", c.File, object)
			return outcome{}, err
		case "upload":
			_, err := s5cmd("cp", "--raw", "--part-size", "5", c.File, object)
			return outcome{}, err
		case "get":
			if c.Range != "" {
				return outcome{}, errCannot
			}
			out, err := s5cmd("cat", "--raw", object)
			return outcome{Body: out}, err
		case "delete":
			_, err := s5cmd("rm", "--raw", object)
			return outcome{}, err
		}
		out, err := s5cmd("--json", "ls", "--show-fullpath", "s3://"+c.Bucket+"/*")
		var o outcome
		for line := range strings.Lines(out) {
			var entry struct{ Key string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				return o, err
			}
			o.Keys = append(o.Keys, strings.TrimPrefix(entry.Key, "s3://"+c.Bucket+"/"))
		}
		return o, err
	}, func() {}}, nil
}

// startGoSDK uses the AWS SDK for Go in this process.
func startGoSDK(b *bed) (client, error) {
	pem, err := os.ReadFile(filepath.Join(b.dir, "site.pem"))
	if err != nil {
		return client{}, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	httpClient := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	ctx := b.t.Context()
	// What config.LoadDefaultConfig does.
	calculation := aws.RequestChecksumCalculationWhenSupported
	if strings.EqualFold(os.Getenv("AWS_REQUEST_CHECKSUM_CALCULATION"), "when_required") {
		calculation = aws.RequestChecksumCalculationWhenRequired
	}
	return client{func(c command) (outcome, error) {
		sdk := s3.New(s3.Options{
			Region: throwAwayRegion, BaseEndpoint: &c.Endpoint, UsePathStyle: true, RetryMaxAttempts: 1, HTTPClient: httpClient,
			RequestChecksumCalculation: calculation, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
			Credentials: credentials.NewStaticCredentialsProvider(throwAwayID, throwAwaySecret, ""),
		})
		var o outcome
		switch c.Op {
		case "put":
			_, err := sdk.PutObject(ctx, &s3.PutObjectInput{Bucket: &c.Bucket, Key: &c.Key, Body: strings.NewReader(c.Body), Metadata: c.Metadata})
			return o, err
		case "stream":
			f, err := os.Open(c.File)
			if err != nil {
				return o, err
			}
			defer f.Close()
			_, err = sdk.PutObject(ctx, &s3.PutObjectInput{Bucket: &c.Bucket, Key: &c.Key, Body: f})
			return o, err
		case "upload":
			return o, uploadParts(b, sdk, c)
		case "get":
			in := &s3.GetObjectInput{Bucket: &c.Bucket, Key: &c.Key}
			if c.Range != "" {
				in.Range = &c.Range
			}
			out, err := sdk.GetObject(ctx, in)
			if err != nil {
				return o, err
			}
			defer out.Body.Close()
			body, err := io.ReadAll(out.Body)
			return outcome{Body: string(body), Metadata: out.Metadata}, err
		case "delete":
			_, err := sdk.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &c.Bucket, Key: &c.Key})
			return o, err
		}
		for pages := s3.NewListObjectsV2Paginator(sdk, &s3.ListObjectsV2Input{Bucket: &c.Bucket}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return o, err
			}
			for _, object := range page.Contents {
				o.Keys = append(o.Keys, *object.Key)
			}
		}
		return o, nil
	}, httpClient.CloseIdleConnections}, nil
}

// uploadParts sends a file in parts of 5 MiB.
func uploadParts(b *bed, sdk *s3.Client, c command) error {
	data, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	ctx := b.t.Context()
	begun, err := sdk.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &c.Bucket, Key: &c.Key})
	if err != nil {
		return err
	}
	var parts []types.CompletedPart
	for n := int32(1); len(data) > 0; n++ {
		part := data[:min(5<<20, len(data))]
		data = data[len(part):]
		out, err := sdk.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &c.Bucket, Key: &c.Key, UploadId: begun.UploadId, PartNumber: aws.Int32(n), Body: bytes.NewReader(part),
		})
		if err != nil {
			return err
		}
		parts = append(parts, types.CompletedPart{
			PartNumber: aws.Int32(n), ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC64NVME: out.ChecksumCRC64NVME,
		})
	}
	_, err = sdk.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &c.Bucket, Key: &c.Key, UploadId: begun.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	return err
}
