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

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// helperValues are the values of STSHelper that may hold placeholders.
type helperValues struct {
	roleARN, externalID template // which a request may fill

	// These no request may fill.
	url, region, service                                        template
	apiKey, apiKeyHeader, basicUser, basicPassword, bearerToken template
	clientCertificate, clientKey, ca                            template
}

// helperField is a value of STSHelper with its name in JSON.
type helperField struct {
	name, value string
	into        *template
}

// fixedFields are those that no request may fill.
func (h *STSHelper) fixedFields(v *helperValues) []helperField {
	return []helperField{
		{"url", h.URL, &v.url},
		{"region", h.Region, &v.region},
		{"service", h.Service, &v.service},
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

// helperValues makes a template of each value.
func (h *STSHelper) helperValues(of func(string) (template, error)) (helperValues, error) {
	var v helperValues
	for _, f := range append(h.fixedFields(&v), helperField{"role_arn", h.RoleARN, &v.roleARN}, helperField{"external_id", h.ExternalID, &v.externalID}) {
		var err error
		if *f.into, err = of(f.value); err != nil {
			return v, inField(f.name, err)
		}
	}
	return v, nil
}

// checkFixedFields refuses placeholders that only a request can fill, where nobody can say what it may fill
// in: who gets the External ID and the secret, and what that is.
func (h *STSHelper) checkFixedFields() error {
	for _, f := range h.fixedFields(new(helperValues)) {
		for _, p := range parse(f.value) {
			if p.needsRequest() {
				return inField(f.name, fmt.Errorf("%s is filled by a request, which has no say in this: write {env.NAME}, {file./PATH} or the value itself", p.text))
			}
		}
	}
	return nil
}

// check checks each value that is known. Options may still follow.
func (h *STSHelper) check(v helperValues) error {
	for _, f := range h.IdentityFields() {
		if err := CheckIdentityPlaceholders(f.Name, f.Value); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name  string
		value template
		check func(string) error
	}{
		{"role_arn", v.roleARN, sts.CheckRoleARN},
		{"external_id", v.externalID, sts.CheckExternalID},
		{"region", v.region, checkRegion},
		{"service", v.service, endpoint.CheckService},
		{"url", v.url, func(url string) error {
			_, err := sts.ParseHelperURL(url, true) // Whether http is right is said when all options are there.
			return err
		}},
	} {
		if f.value.perRequest() || f.value.isEmpty() {
			continue
		}
		if err := f.check(f.value.known()); err != nil {
			return inField(f.name, err)
		}
	}
	if d := time.Duration(h.Timeout); d < 0 || d > sts.MaxHelperTimeout {
		return inField("timeout", fmt.Errorf("%v: write up to %v, which is the time that a fetch has", d, sts.MaxHelperTimeout))
	}
	return nil
}

// checkComplete checks what can only be said when all options are there. What is left of a half configured
// authentication would be none.
func (h *STSHelper) checkComplete(v helperValues) error {
	switch {
	case v.url.isEmpty():
		return inField("url", errors.New("it is missing: write one like https://sts-helper.example.com/assume-role"))
	case v.roleARN.isEmpty():
		return inField("role_arn", errors.New("it is missing: write one like arn:aws:iam::123456789012:role/NAME"))
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
	for _, f := range []credentials.Field{{Name: "api_key", Value: h.APIKey}, {Name: "basic_password", Value: h.BasicPassword}, {Name: "bearer_token", Value: h.BearerToken}} {
		if f.Value != "" {
			given = append(given, f.Name)
		}
	}
	if len(given) > 1 {
		return inField(given[1], fmt.Errorf("%s is given too: write one of the two", given[0]))
	}
	if !v.url.perRequest() {
		u, err := sts.ParseHelperURL(v.url.known(), h.Insecure)
		if err != nil {
			return inField("url", err)
		}
		if u.Scheme == "http" && h.ClientCertificate != "" {
			return inField("client_certificate", errors.New("it is shown over https only: write https:// in the URL"))
		}
		if u.Scheme == "http" && h.CA != "" {
			return inField("ca", errors.New("http has no certificates: write https:// in the URL"))
		}
	}
	if region := v.region.known(); region != "" && !v.roleARN.perRequest() {
		return inField("region", sts.CheckPartitions(v.roleARN.known(), region))
	}
	return nil
}

// connect makes the client, and the part of the identities' keys that is the same for all.
func (h *STSHelper) connect() error {
	v := h.values
	cfg := sts.HelperConfig{URL: v.url.known(), Timeout: time.Duration(h.Timeout), Insecure: h.Insecure}
	var err error
	if cfg.Auth, err = v.auth(); err != nil {
		return err
	}
	key := []string{
		credentials.Sealed(cfg.URL), time.Duration(h.Timeout).String(), strconv.FormatBool(h.Insecure),
		v.apiKeyHeader.known(), credentials.Sealed(v.apiKey.known()), credentials.Sealed(v.basicUser.known()),
		credentials.Sealed(v.basicPassword.known()), credentials.Sealed(v.bearerToken.known()),
	}
	if path := v.ca.known(); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return inField("ca", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return inField("ca", fmt.Errorf("there is no certificate in PEM in %s", path))
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
			return inField("client_certificate", err)
		}
		// The certificate holds the public key, which stands for the private one.
		sum := sha256.Sum256(cert.Certificate[0])
		key = append(key, "certificate", certFile, keyFile, hex.EncodeToString(sum[:]))
	}
	if h.client, err = sts.NewHelperClient(cfg); err != nil {
		return inField("url", err)
	}
	h.key = credentials.NewKey(key...)
	return nil
}

// auth returns what the helper knows this caller by.
func (v helperValues) auth() (sts.HelperAuth, error) {
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
