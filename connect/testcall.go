package connect

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// testCallWait bounds a test call.
const testCallWait = 15 * time.Second

// target returns the URL with what its placeholders stand for.
func (t *TestCall) target(region, account string) string {
	return strings.NewReplacer("{region}", region, "{account}", account).Replace(t.URL)
}

// testCall sees whether the role may do what it is for.
func (c *check) testCall(ctx context.Context, creds sigv4.Credentials) *problem {
	t := c.role.integration.TestCall
	ctx, cancel := context.WithTimeout(ctx, testCallWait)
	defer cancel()
	req, err := c.testRequest(ctx, creds)
	if err != nil {
		return &problem{code: CodeTestCallFailed, text: "the test call can't be made as it is configured", remedy: askVendor, detail: err.Error()}
	}
	res, err := onlyHere(c.s.options.HTTPClient).Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // The URL's query is nobody's business.
		}
		return &problem{
			code: CodeTestCallFailed, text: "the test call to " + req.URL.Host + " was not answered", remedy: tryLater,
			detail: err.Error(), again: passing,
		}
	}
	defer res.Body.Close()
	if res.StatusCode == t.Status {
		return nil
	}
	p := &problem{
		code: CodeTestCallFailed, field: FieldRoleARN,
		text:   fmt.Sprintf("the role can be assumed, and may not do what it is for: a test call to %s was answered %d and not %d", req.URL.Host, res.StatusCode, t.Status),
		remedy: "see that the role's policies allow all that the template or the guide lists",
	}
	p.awsCode, p.requestID = refusalOf(res)
	p.detail = strings.TrimSuffix(fmt.Sprintf("%s %s was answered %d %s", t.Method, req.URL.Host, res.StatusCode, p.awsCode), " ")
	switch {
	case res.StatusCode == http.StatusForbidden, res.StatusCode == http.StatusUnauthorized:
		p.again = settles
	case res.StatusCode >= http.StatusInternalServerError, res.StatusCode == http.StatusTooManyRequests:
		p.again = passing
	}
	return p
}

func (c *check) testRequest(ctx context.Context, creds sigv4.Credentials) (*http.Request, error) {
	t := c.role.integration.TestCall
	req, err := http.NewRequestWithContext(ctx, t.Method, t.target(c.role.region, c.role.account), http.NoBody)
	if err != nil {
		return nil, errors.New("its URL can't be read")
	}
	service, region := c.role.integration.Service, c.role.region
	if e, err := endpoint.Parse(req.URL.Host); err == nil {
		if e.Algorithm != endpoint.SigV4 {
			return nil, fmt.Errorf("%s takes no signature for one region", req.URL.Host)
		}
		service, region = e.Service, e.Region
	}
	target, err := sigv4.Canonicalize(req.URL.EscapedPath(), req.URL.RawQuery, sigv4.PathRuleFor(service))
	if err != nil {
		return nil, err
	}
	target.SetURL(req.URL)
	payload, rule := sigv4.EmptyPayloadHash, sigv4.PayloadRuleFor(service)
	if rule == sigv4.PayloadUnsigned {
		payload = sigv4.UnsignedPayload
	}
	req.Header.Set("User-Agent", "caddy-aws-sigv4")
	return req, sigv4.NewSigner(creds).Sign(sigv4.Input{
		Method:        t.Method,
		Host:          sigv4.StripDefaultPort(req.URL.Host, req.URL.Scheme),
		Target:        target,
		Header:        req.Header,
		PayloadHash:   payload,
		PayloadHeader: rule != sigv4.PayloadHash,
		Service:       service,
		Region:        region,
		Time:          time.Now(),
	})
}

// onlyHere returns a client that follows no redirect: the signature, the credentials and the operator's
// consent are for the URL that was written.
func onlyHere(client *http.Client) *http.Client {
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

var awsWord = regexp.MustCompile(`^[A-Za-z0-9._+/=-]{1,128}$`)

// refusalOf returns AWS's code and request ID of an answer, as far as it has them. S3 and the older
// services say them in XML, the others in JSON or in a header.
func refusalOf(res *http.Response) (code, requestID string) {
	requestID = res.Header.Get("X-Amzn-Requestid")
	if requestID == "" {
		requestID = res.Header.Get("X-Amz-Request-Id")
	}
	code, _, _ = strings.Cut(res.Header.Get("X-Amzn-Errortype"), ":")
	body, err := io.ReadAll(io.LimitReader(res.Body, 16<<10))
	if err == nil && code == "" {
		code = codeIn(bytes.TrimSpace(body))
	}
	if !awsWord.MatchString(code) {
		code = ""
	}
	if !awsWord.MatchString(requestID) {
		requestID = ""
	}
	return code, requestID
}

func codeIn(body []byte) string {
	if bytes.HasPrefix(body, []byte("{")) {
		var j struct {
			Type string `json:"__type"`
			Code string `json:"code"`
		}
		if json.Unmarshal(body, &j) != nil {
			return ""
		}
		return j.Code + j.Type[strings.LastIndexByte(j.Type, '#')+1:]
	}
	var x struct {
		Code  string `xml:"Code"`
		Error struct {
			Code string `xml:"Code"`
		} `xml:"Error"`
	}
	if xml.Unmarshal(body, &x) != nil {
		return ""
	}
	return x.Code + x.Error.Code
}
