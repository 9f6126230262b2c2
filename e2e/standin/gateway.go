package standin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin/objects"
)

// gateway is a running versitygw, which listens on a Unix socket.
type gateway struct {
	socket string
	store  *objects.Store
	root   auth.Account
	cancel context.CancelFunc
	done   chan error
}

// startGateway starts versitygw with its objects and all else in dir, which it makes. It returns when requests are
// served.
func startGateway(dir, region string, d *directory) (*gateway, error) {
	data := filepath.Join(dir, "objects")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &gateway{
		socket: filepath.Join(dir, "socket"), store: objects.New(data), cancel: cancel, done: make(chan error, 1),
		root: auth.Account{Access: newKeyID("AKIA"), Secret: newSecret(), Role: auth.RoleAdmin},
	}
	up := make(chan struct{})
	go func() {
		g.done <- embedgw.RunVersityGW(ctx, g.store, &embedgw.Config{
			RootUserAccess: g.root.Access, RootUserSecret: g.root.Secret,
			Region: region, VirtualDomain: "s3." + region + ".amazonaws.com", Ports: []string{g.socket}, IAMService: &iam{directory: d, root: g.root},
			MaxConnections: 4096, MaxRequests: 2048, MultipartMaxParts: 10000,
			KeepAlive: true, Quiet: true, DisableACLs: true,
			S3Options: []s3api.Option{s3api.WithOnListen(func() { close(up) })},
		})
	}()
	select {
	case <-up:
		if err := g.answers(); err != nil {
			return nil, errors.Join(fmt.Errorf("versitygw: %w", err), g.close())
		}
		return g, nil
	case err := <-g.done:
		g.done <- nil
		return nil, errors.Join(fmt.Errorf("versitygw: %w", err), g.close())
	case <-time.After(10 * time.Second):
		return nil, errors.Join(errors.New("versitygw: not up within 10 s"), g.close())
	}
}

// answers waits for an answer, whatever it is. versitygw says that it listens a little before it serves, and a server that
// is closed in between goes on for ever.
func (g *gateway) answers() error {
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", g.socket)
	}}
	defer t.CloseIdleConnections()
	res, err := (&http.Client{Transport: t, Timeout: 10 * time.Second}).Get("http://s3/")
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func (g *gateway) serve(l net.Listener) func() error { return startRelay(l, g.socket).close }

func (g *gateway) close() error {
	g.cancel()
	return <-g.done
}

func (g *gateway) createBucket(name string) error {
	acl, err := json.Marshal(auth.ACL{Owner: g.root.Access})
	if err != nil {
		return err
	}
	if err := g.store.Make(name, acl); err != nil {
		return fmt.Errorf("creating bucket %q: %w", name, err)
	}
	return nil
}

func (g *gateway) putObject(bucket, key, body string) error {
	length := int64(len(body))
	if _, err := g.store.PutObject(context.Background(), s3response.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: strings.NewReader(body), ContentLength: &length,
	}); err != nil {
		return fmt.Errorf("putting %q into the bucket %q: %w", key, bucket, err)
	}
	return nil
}

// iam tells versitygw who signs with which key, and what they may do.
type iam struct {
	directory *directory
	root      auth.Account
}

var (
	_ auth.IAMService         = (*iam)(nil)
	_ auth.SigningKeyProvider = (*iam)(nil)
	_ auth.PolicyEvaluator    = (*iam)(nil)
	_ auth.FixedBucketOwner   = (*iam)(nil)
)

// errExpiredToken is one of AWS's errors that versitygw does not have:
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
var errExpiredToken = s3err.APIError{
	Code: "ExpiredToken", Description: "The provided token has expired.", HTTPStatusCode: http.StatusBadRequest,
}

// DeriveSigningKey returns the key that a request has to be signed with. versitygw compares the signatures.
func (i *iam) DeriveSigningKey(access, token, date, region, service string) ([]byte, auth.Account, error) {
	p, err := i.directory.lookUp(access, token, time.Now())
	switch {
	case errors.As(err, new(unknownKeyError)):
		return nil, auth.Account{}, auth.ErrNoSuchUser
	case errors.As(err, new(wrongTokenError)):
		return nil, auth.Account{}, auth.ErrInvalidSessionToken
	case errors.As(err, new(expiredError)):
		return nil, auth.Account{}, errExpiredToken
	case err != nil:
		return nil, auth.Account{}, err
	}
	return signingKey(p.secret, date, region, service), auth.Account{
		Access: access, Role: auth.RoleUser, SessionToken: token, IsSession: p.isSession(), Arn: p.arn, RoleArn: p.roleARN,
	}, nil
}

// EvaluatePolicy allows everything or nothing: to revoked sessions with an explicit deny, to principals without a
// permission for S3 by not naming them. Session policies are asked about each action.
func (i *iam) EvaluatePolicy(access, token string, actions []auth.Action, resources []string, keys map[string][]string) (auth.PolicyEvaluation, error) {
	var e auth.PolicyEvaluation
	p, err := i.directory.lookUp(access, token, time.Now())
	if errors.As(err, new(expiredError)) {
		err = nil // It had not when the request came.
	}
	if err != nil {
		return e, err
	}
	by := noMatch
	switch {
	case p.revoked:
		by = deny
	case p.s3:
		by = allow
	}
	fill(&e.Decisions, resources, actions, func(string, auth.Action) decision { return by })
	if p.limits != nil {
		ctx := p.context()
		for key, values := range keys {
			if strings.HasPrefix(key, "s3:") {
				ctx[strings.ToLower(key)] = values
			}
		}
		e.HasSessionPolicy = true
		fill(&e.SessionDecisions, resources, actions, func(resource string, action auth.Action) decision {
			return decide(p.limits, string(action), resource, ctx)
		})
	}
	e.PrincipalArn = p.arn
	return e, nil
}

func fill[D ~int](matrix *[][]D, resources []string, actions []auth.Action, decide func(string, auth.Action) decision) {
	for _, resource := range resources {
		row := make([]D, len(actions))
		for c, action := range actions {
			row[c] = D(decide(resource, action))
		}
		*matrix = append(*matrix, row)
	}
}

// BucketOwner has all buckets belong to one account, so that sessions may come and go.
func (i *iam) BucketOwner() auth.Account { return i.root }

// GetUserAccount knows only who owns the buckets: of all others it never tells the secret.
func (i *iam) GetUserAccount(access string) (auth.Account, error) {
	if access == i.root.Access {
		return i.root, nil
	}
	return auth.Account{}, auth.ErrNoSuchUser
}

// ResolveAccounts returns those of the access key IDs that it does not know.
func (i *iam) ResolveAccounts(accessKeyIDs []string) ([]string, error) {
	var unknown []string
	for _, id := range accessKeyIDs {
		if _, err := i.GetUserAccount(id); err != nil {
			unknown = append(unknown, id)
		}
	}
	return unknown, nil
}

var errNotAdministered = s3err.GetAPIError(s3err.ErrAdminMethodNotSupported)

// CreateAccount and the like are of versitygw's administration, which the stand-in has no use for.
func (i *iam) CreateAccount(auth.Account) error                  { return errNotAdministered }
func (i *iam) UpdateUserAccount(string, auth.MutableProps) error { return errNotAdministered }
func (i *iam) DeleteUserAccount(string) error                    { return errNotAdministered }
func (i *iam) ListUserAccounts() ([]auth.Account, error)         { return nil, errNotAdministered }
func (i *iam) Shutdown() error                                   { return nil }

// signingKey derives the key of a credential scope from a secret access key.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
func signingKey(secret, date, region, service string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{date, region, service, "aws4_request"} {
		key = mac(key, part)
	}
	return key
}

func mac(key []byte, message string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(message))
	return m.Sum(nil)
}
