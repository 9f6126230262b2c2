package sources

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// HelperEndpoint is where an STS helper is, and what it knows this server by. At most one of `api_key`,
// `basic_password` and `bearer_token` may be given, and with each of them, or alone, a client
// certificate. The placeholders `{env.*}`, `{file.*}` and `{system.*}` are resolved once, when the
// configuration is loaded; no request may fill any.
type HelperEndpoint struct {
	// The URL that is called, for example `https://sts-helper.example.com/assume-role`. `http://` is
	// for this machine alone, unless `insecure` is set. Required.
	URL string `json:"url,omitempty"`

	// The key that the helper knows this caller by. Write a placeholder such as `{env.NAME}` or
	// `{file./PATH}`: a literal one also stands in Caddy's autosaved configuration and in the
	// answers of its admin endpoint, which a warning says.
	APIKey string `json:"api_key,omitempty"`

	// The header that `api_key` is sent in. Default: `x-api-key`.
	APIKeyHeader string `json:"api_key_header,omitempty"`

	// The user of HTTP Basic authentication; it may be empty.
	BasicUser string `json:"basic_user,omitempty"`

	// The password of HTTP Basic authentication. Write a placeholder, as for `api_key`.
	BasicPassword string `json:"basic_password,omitempty"`

	// A bearer token. Write a placeholder, as for `api_key`.
	BearerToken string `json:"bearer_token,omitempty"`

	// A file with a certificate in PEM, followed by those of its issuers if need be, that is shown to
	// the helper if it asks for one. It is read again for each connection.
	ClientCertificate string `json:"client_certificate,omitempty"`

	// The file with the key of `client_certificate` in PEM.
	ClientKey string `json:"client_key,omitempty"`

	// A file with the certificates in PEM of those who may have issued the helper's. Default: those
	// that the system trusts.
	CA string `json:"ca,omitempty"`

	// How long a call may take, at most `15s`. Default: `10s`.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Permit `http://` to another machine. Whoever is on the way can read the secret and the
	// credentials.
	Insecure bool `json:"insecure,omitempty"`
}

// endpointValues are the values of HelperEndpoint that may hold placeholders.
type endpointValues struct {
	url                                                         template
	apiKey, apiKeyHeader, basicUser, basicPassword, bearerToken template
	clientCertificate, clientKey, ca                            template
}

// helperField is a value with its name in JSON.
type helperField struct {
	name, value string
	into        *template
}

func (h *HelperEndpoint) fields(v *endpointValues) []helperField {
	return []helperField{
		{"url", h.URL, &v.url},
		{"api_key", h.APIKey, &v.apiKey},
		{"api_key_header", h.APIKeyHeader, &v.apiKeyHeader},
		{"basic_user", h.BasicUser, &v.basicUser},
		{"basic_password", h.BasicPassword, &v.basicPassword},
		{"bearer_token", h.BearerToken, &v.bearerToken},
		{"client_certificate", h.ClientCertificate, &v.clientCertificate},
		{"client_key", h.ClientKey, &v.clientKey},
		{"ca", h.CA, &v.ca},
	}
}

// values makes a template of each value.
func (h *HelperEndpoint) values(of func(string) (template, error)) (endpointValues, error) {
	var v endpointValues
	err := fillTemplates(h.fields(&v), of)
	return v, err
}

func fillTemplates(fields []helperField, of func(string) (template, error)) error {
	for _, f := range fields {
		var err error
		if *f.into, err = of(f.value); err != nil {
			return inField(f.name, err)
		}
	}
	return nil
}

// checkFilled refuses placeholders that only a request can fill, where nobody can say what it may fill in.
func checkFilled(fields []helperField) error {
	for _, f := range fields {
		for _, p := range parse(f.value) {
			if p.needsRequest() {
				return inField(f.name, fmt.Errorf("%s is filled by a request, which has no say in this: write {env.NAME}, {file./PATH} or the value itself", p.text))
			}
		}
	}
	return nil
}

// check checks each value that is known. Options may still follow.
func (h *HelperEndpoint) check(v endpointValues) error {
	if !v.url.perRequest() && !v.url.isEmpty() {
		// Whether http is right is said when all options are there.
		if _, err := sts.ParseHelperURL(v.url.known(), true); err != nil {
			return inField("url", err)
		}
	}
	if d := time.Duration(h.Timeout); d < 0 || d > sts.MaxHelperTimeout {
		return inField("timeout", fmt.Errorf("%v: write up to %v, which is the time that a fetch has", d, sts.MaxHelperTimeout))
	}
	return nil
}

// checkComplete checks what can only be said when all options are there. What is left of a half configured
// authentication would be none.
func (h *HelperEndpoint) checkComplete(v endpointValues) error {
	switch {
	case v.url.isEmpty():
		return inField("url", errors.New("it is missing: write one like https://sts-helper.example.com/assume-role"))
	case h.APIKey == "" && h.APIKeyHeader != "":
		return inField("api_key", errors.New("there is a header for it, and no key: write {env.NAME} or {file./PATH}"))
	case h.BasicPassword == "" && h.BasicUser != "":
		return inField("basic_password", errors.New("there is a user, and no password: write {env.NAME} or {file./PATH}"))
	case h.ClientCertificate == "" && h.ClientKey != "":
		return inField("client_certificate", errors.New("there is a key, and no certificate: write its file"))
	case h.ClientCertificate != "" && h.ClientKey == "":
		return inField("client_key", errors.New("there is a certificate, and no key: write its file"))
	}
	var given []string
	for _, f := range h.secrets() {
		if f.Value != "" {
			given = append(given, f.Name)
		}
	}
	if len(given) > 1 {
		return inField(given[1], fmt.Errorf("%s is given too: write one of the two", given[0]))
	}
	if v.url.perRequest() {
		return nil
	}
	u, err := sts.ParseHelperURL(v.url.known(), h.Insecure)
	switch {
	case err != nil:
		return inField("url", err)
	case u.Scheme == "http" && h.ClientCertificate != "":
		return inField("client_certificate", errors.New("it is shown over https only: write https:// in the URL"))
	case u.Scheme == "http" && h.CA != "":
		return inField("ca", errors.New("http has no certificates: write https:// in the URL"))
	}
	return nil
}

// secrets are those that a helper may know this server by.
func (h *HelperEndpoint) secrets() []credentials.Field {
	return []credentials.Field{{Name: "api_key", Value: h.APIKey}, {Name: "basic_password", Value: h.BasicPassword}, {Name: "bearer_token", Value: h.BearerToken}}
}

// Client resolves the placeholders, checks everything, reads certificates and returns a client of the
// helper, with a text that differs for helpers, or ways to authenticate, that may give other
// credentials, and holds no secret. It does not touch the network.
func (h *HelperEndpoint) Client(ctx caddy.Context) (client *sts.HelperClient, key string, err error) {
	var v endpointValues
	if err := checkFilled(h.fields(&v)); err != nil {
		return nil, "", err
	}
	if v, err = h.values(newTemplate); err != nil {
		return nil, "", err
	}
	if err := h.check(v); err != nil {
		return nil, "", err
	}
	if err := h.checkComplete(v); err != nil {
		return nil, "", err
	}
	if client, key, err = h.connect(v); err != nil {
		return nil, "", err
	}
	for _, f := range h.secrets() {
		if f.Value != "" && !HasPlaceholder(f.Value) {
			warnOfLiteral(ctx, f.Name)
		}
	}
	return client, key, nil
}

func (h *HelperEndpoint) connect(v endpointValues) (*sts.HelperClient, string, error) {
	cfg := sts.HelperConfig{URL: v.url.known(), Timeout: time.Duration(h.Timeout), Insecure: h.Insecure}
	var err error
	if cfg.Auth, err = v.auth(); err != nil {
		return nil, "", err
	}
	key := []string{
		credentials.Sealed(cfg.URL), time.Duration(h.Timeout).String(), strconv.FormatBool(h.Insecure),
		v.apiKeyHeader.known(), credentials.Sealed(v.apiKey.known()), credentials.Sealed(v.basicUser.known()),
		credentials.Sealed(v.basicPassword.known()), credentials.Sealed(v.bearerToken.known()),
	}
	if path := v.ca.known(); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, "", inField("ca", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, "", inField("ca", fmt.Errorf("there is no certificate in PEM in %s", path))
		}
		sum := sha256.Sum256(pem)
		key = append(key, "ca", hex.EncodeToString(sum[:]))
	}
	if certFile, keyFile := v.clientCertificate.known(), v.clientKey.known(); certFile != "" {
		cfg.ClientCertificate = func() (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(certFile, keyFile)
			return &cert, err
		}
		cert, err := cfg.ClientCertificate()
		if err != nil {
			return nil, "", inField("client_certificate", err)
		}
		// The certificate holds the public key, which stands for the private one.
		sum := sha256.Sum256(cert.Certificate[0])
		key = append(key, "certificate", certFile, keyFile, hex.EncodeToString(sum[:]))
	}
	client, err := sts.NewHelperClient(cfg)
	if err != nil {
		return nil, "", inField("url", err)
	}
	return client, credentials.NewKey(key...), nil
}

// auth returns what the helper knows this caller by.
func (v endpointValues) auth() (sts.HelperAuth, error) {
	switch {
	case !v.apiKey.isEmpty():
		a, err := sts.HelperAPIKey(v.apiKeyHeader.known(), v.apiKey.known())
		return a, inField("api_key", err)
	case !v.basicPassword.isEmpty():
		a, err := sts.HelperBasic(v.basicUser.known(), v.basicPassword.known())
		return a, inField("basic_password", err)
	case !v.bearerToken.isEmpty():
		a, err := sts.HelperBearer(v.bearerToken.known())
		return a, inField("bearer_token", err)
	}
	return sts.HelperAuth{}, nil
}
