package awssigv4

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/payload"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// SignatureAuth authenticates clients that sign their requests with AWS
// Signature Version 4 in the Authorization header, with keys that this
// configuration knows: an AWS SDK gets such a key in place of a real one. The
// user's ID is the access key ID; `{http.auth.user.service}` and
// `{http.auth.user.region}` are what the client signed for.
//
// The signature is checked against the client's original method and URI,
// whatever has rewritten them since. Caddy keeps no original of Host and of the
// headers, so these are checked as they stand: the directive aws_sigv4_auth is
// ordered before `request_header`. As with AWS, the date may be at most 5
// minutes away, `host` and every `x-amz-*` header must be signed, and the body
// must have the hash that was signed; UNSIGNED-PAYLOAD leaves it to TLS, and is
// refused without. A path or query whose signature would also fit another one
// is refused, because the next handler could take it for that one.
// Presigned URLs, session tokens and aws-chunked bodies are refused.
type SignatureAuth struct {
	// The keys that clients may sign with.
	Keys []ClientKey `json:"keys,omitempty"`

	// The largest body, in bytes, that is held in memory for clients that sign
	// its hash without sending it as `x-amz-content-sha256`. Default: 32 MiB.
	BodyLimit int64 `json:"body_limit,omitempty"`

	logger   *zap.Logger
	signers  map[string]*sigv4.Signer
	verifier *sigv4.Verifier
}

// ClientKey is a key pair that a client signs with.
type ClientKey struct {
	// The access key ID: up to 128 letters, digits, `-`, `_` and `.`. May be a
	// placeholder such as `{env.CLIENT_KEY_ID}`.
	ID string `json:"id,omitempty"`

	// The secret access key. Write a placeholder such as
	// `{env.CLIENT_SECRET}` or `{file./run/secrets/client}`: Caddy keeps
	// literal values in its autosaved configuration.
	Secret string `json:"secret,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (SignatureAuth) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.authentication.providers.aws_sigv4",
		New: func() caddy.Module { return new(SignatureAuth) },
	}
}

// Provision resolves the keys.
func (a *SignatureAuth) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	if a.BodyLimit < 0 {
		return fieldError("body_limit", fmt.Errorf("%d is negative: write a size such as 10MiB", a.BodyLimit))
	}
	if len(a.Keys) == 0 {
		return fieldError("keys", errors.New("there are none, so nobody could authenticate: write `key ID SECRET`"))
	}
	a.signers = make(map[string]*sigv4.Signer, len(a.Keys))
	for i, key := range a.Keys {
		path := fmt.Sprintf("keys[%d]", i)
		id, err := sources.ResolveFixed(key.ID)
		if err == nil {
			err = checkClientKeyID(id)
		}
		if err != nil {
			return fieldError(path+".id", err)
		}
		if _, ok := a.signers[id]; ok {
			return fieldError(path+".id", fmt.Errorf("key %q is there twice", id))
		}
		secret, err := sources.ResolveFixed(key.Secret)
		if err != nil {
			return fieldError(path+".secret", err)
		}
		if secret == "" {
			return fieldError(path+".secret", fmt.Errorf("key %q has an empty secret", id))
		}
		if !sources.HasPlaceholder(key.Secret) {
			a.logger.Warn("a key's secret stands literally in the configuration, which Caddy also saves and shows at its admin endpoint: write {env.NAME} or {file./PATH} instead", zap.String("key", id))
		}
		a.signers[id] = sigv4.NewSigner(sigv4.Credentials{AccessKeyID: id, SecretAccessKey: secret})
	}
	a.verifier = sigv4.NewVerifier(func(id string) (*sigv4.Signer, bool) {
		s, ok := a.signers[id]
		return s, ok
	}, 0)
	a.verifier.Exact = true
	return nil
}

func checkClientKeyID(id string) error {
	if !isName(id, 128) {
		return fmt.Errorf("%q can't be an access key ID: write up to 128 letters, digits, `-`, `_` and `.`", id)
	}
	return nil
}

// Authenticate verifies the request's signature.
func (a *SignatureAuth) Authenticate(w http.ResponseWriter, r *http.Request) (caddyauth.User, bool, error) {
	auth, err := a.verify(r)
	if err != nil {
		if c := a.logger.Check(zapcore.InfoLevel, "request not authenticated"); c != nil {
			key := auth.AccessKeyID
			if len(key) > 128 {
				key = key[:128]
			}
			c.Write(zap.Error(err), zap.String("key", key), zap.String("remote", r.RemoteAddr), zap.String("method", r.Method), zap.String("path", r.URL.Path))
		}
		w.Header().Set("Www-Authenticate", "AWS4-HMAC-SHA256")
		answerBeforeBody(w, r)
		return caddyauth.User{}, false, nil
	}
	return caddyauth.User{
		ID:       auth.AccessKeyID,
		Metadata: map[string]string{"service": auth.Service, "region": auth.Region},
	}, true, nil
}

func (a *SignatureAuth) verify(r *http.Request) (sigv4.Authorization, error) {
	orig, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok {
		return sigv4.Authorization{}, errors.New("the original request is not known")
	}
	if r.Header.Get("Authorization") == "" {
		if sigv4.StripAuthQuery(orig.URL.RawQuery) != orig.URL.RawQuery {
			return sigv4.Authorization{}, errors.New("presigned URLs are not accepted here: sign in the Authorization header")
		}
		return sigv4.Authorization{}, errors.New("there is no Authorization header: sign with AWS4-HMAC-SHA256")
	}
	// A body is only read for a key that exists.
	claimed, err := sigv4.ParseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return claimed, err
	}
	if _, ok := a.signers[claimed.AccessKeyID]; !ok {
		return claimed, fmt.Errorf("key %q is not known here", claimed.AccessKeyID)
	}
	for _, v := range r.Header.Values("Connection") {
		for name := range strings.SplitSeq(v, ",") {
			if slices.Contains(claimed.SignedHeaders, strings.ToLower(strings.TrimSpace(name))) {
				return claimed, fmt.Errorf("the Connection header names the signed header %q, which would be removed on the way", strings.TrimSpace(name))
			}
		}
	}
	in := sigv4.VerifyInput{
		Method:   orig.Method,
		Host:     r.Host,
		RawPath:  sigv4.RawPath(&orig),
		RawQuery: orig.URL.RawQuery,
		Header:   r.Header,
	}
	if in.PayloadHash, err = a.saidHash(r); err != nil {
		return claimed, err
	}
	if in.PayloadHash != "" {
		return a.verified(in, claimed)
	}
	// The body has to be read to know its hash. Whatever is wrong besides is
	// found before.
	in.PayloadHash = sigv4.EmptyPayloadHash
	auth, err := a.verifier.Verify(in)
	switch ve, ok := errors.AsType[*sigv4.VerifyError](err); {
	case err == nil:
		return auth, nil
	case !ok || ve.Reason != sigv4.ReasonSignatureMismatch:
		return claimed, err
	}
	if in.PayloadHash, err = a.readHash(r); err != nil {
		return claimed, err
	}
	return a.verified(in, claimed)
}

// verified returns what a good signature says, or what a bad one claims, for
// the log.
func (a *SignatureAuth) verified(in sigv4.VerifyInput, claimed sigv4.Authorization) (sigv4.Authorization, error) {
	auth, err := a.verifier.Verify(in)
	if err != nil {
		return claimed, err
	}
	return auth, nil
}

// saidHash returns the payload hash that the client says, with the body made to
// prove it; or that of nothing, if there is no body; or "".
func (a *SignatureAuth) saidHash(r *http.Request) (string, error) {
	said := r.Header.Get("X-Amz-Content-Sha256")
	noBody := r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0
	switch {
	case said == sigv4.UnsignedPayload && r.TLS == nil:
		return "", errors.New("UNSIGNED-PAYLOAD leaves the body to TLS, and this request came without: sign its hash")
	case said == sigv4.UnsignedPayload:
		return said, nil
	case noBody:
		return sigv4.EmptyPayloadHash, nil
	case said == "":
		return "", nil
	}
	if err := refuseFraming(r.Header); err != nil {
		return "", err
	}
	r.Body = provenBody{payload.NewChecked(r.Body, said)}
	return said, nil
}

// defaultAuthLimit is the size in bytes up to which a body is held before its
// client is authenticated: 32 MiB.
const defaultAuthLimit = 32 << 20

// provenBody is a body that has to prove its hash. If it can't, whoever reads it
// gets an error with the status for the client.
type provenBody struct{ io.ReadCloser }

func (b provenBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if pe, ok := errors.AsType[*payload.Error](err); ok {
		err = caddyhttp.Error(pe.Status, pe)
	}
	return n, err
}

// readHash reads the body into memory, and returns its hash. The headers stay
// as the client signed them, Content-Length among them.
func (a *SignatureAuth) readHash(r *http.Request) (string, error) {
	limit := cmp.Or(a.BodyLimit, defaultAuthLimit)
	held, err := new(payload.Spool).Read(r.Body, r.ContentLength, limit, limit)
	if err != nil {
		return "", err
	}
	r.Body = io.NopCloser(held.NewReader())
	r.ContentLength = held.Size
	r.TransferEncoding = nil
	return held.Hash, nil
}

// UnmarshalCaddyfile sets up the provider from Caddyfile tokens. Syntax:
//
//	aws_sigv4_auth [<matcher>] {
//	    key        <id> <secret>
//	    body_limit <size>
//	}
func (a *SignatureAuth) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if err := noLoneSemicolons(d); err != nil {
		return err
	}
	if d.NextArg() {
		return d.Errf("aws_sigv4_auth takes a block and no arguments, but got %q", d.Val())
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		switch d.Val() {
		case "key":
			var key ClientKey
			if !d.AllArgs(&key.ID, &key.Secret) {
				return d.Err("a key has an ID and a secret: key ID SECRET")
			}
			if !sources.HasPlaceholder(key.ID) {
				if err := checkClientKeyID(key.ID); err != nil {
					return d.WrapErr(err)
				}
			}
			for _, other := range a.Keys {
				if other.ID == key.ID {
					return d.Errf("key %q is there twice", key.ID)
				}
			}
			a.Keys = append(a.Keys, key)
		case "body_limit":
			if err := sources.Once(d, seen); err != nil {
				return err
			}
			var err error
			if a.BodyLimit, err = size(d); err != nil {
				return err
			}
		default:
			return sources.Unknown(d, "key", "body_limit")
		}
	}
	if len(a.Keys) == 0 {
		return d.Err("aws_sigv4_auth has no key, so nobody could authenticate: write `key ID SECRET` in its block")
	}
	return nil
}

// parseAuthDirective reads the directive aws_sigv4_auth.
func parseAuthDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	a := new(SignatureAuth)
	if err := a.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return caddyauth.Authentication{
		ProvidersRaw: caddy.ModuleMap{"aws_sigv4": caddyconfig.JSON(a, nil)},
	}, nil
}

// MarshalLogObject keeps secrets that are written literally out of logs.
func (a *SignatureAuth) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddInt("keys", len(a.Keys))
	return nil
}

var (
	_ caddy.Provisioner       = (*SignatureAuth)(nil)
	_ caddyauth.Authenticator = (*SignatureAuth)(nil)
	_ caddyfile.Unmarshaler   = (*SignatureAuth)(nil)
	_ zapcore.ObjectMarshaler = (*SignatureAuth)(nil)
)
