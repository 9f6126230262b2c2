package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestValuesThatAClientMayChoose: neither by way of another handler nor of a
// proxy before this one does a client say what the External ID is.
func TestValuesThatAClientMayChoose(t *testing.T) {
	newSTS(t)
	for _, placeholder := range []string{"{client_ip}", "{http.vars.client_ip}", "{http.aws_sigv4.host}", "{http.reverse_proxy.upstream.host}"} {
		for _, option := range []string{
			"external_id " + placeholder, "source_identity " + placeholder,
			"policy `{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b/" +
				strings.Replace(placeholder, "{client_ip}", "{http.vars.client_ip}", 1) + "/*\"}]}`",
		} {
			err := validate(t, strings.ReplaceAll(site(setup{}, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\ncredentials assume_role "+arn("Role")+" {\n"+
				option+"\n}\n}"), "<port>", ":80"))
			if err == nil || !strings.Contains(err.Error(), "is chosen by the client") {
				t.Errorf("%s: got %v", option, err)
			}
		}
	}
}

// selfSigned returns a certificate of a client's that nobody vouches for, and
// the file that it is in.
func selfSigned(t *testing.T, name string) (cert tls.Certificate, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(tempDir(t), "client.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// TestCertificateThatNobodyVerified: anybody can write any name into one, so it
// says nothing about what the client must not choose.
func TestCertificateThatNobodyVerified(t *testing.T) {
	cert, file := selfSigned(t, "tenant-1")
	verified := "mode require_and_verify\ntrust_pool file " + file
	for name, tc := range map[string]struct {
		clientAuth, option string
		shown              []tls.Certificate
		status             int
	}{
		"requested":           {"mode request", "external_id {http.request.tls.client.subject}", []tls.Certificate{cert}, 403},
		"requested, not sent": {"mode request", "external_id {http.request.tls.client.subject}", nil, 403},
		"required":            {"mode require", "source_identity tenant{http.request.tls.client.serial}", []tls.Certificate{cert}, 403},
		"policy": {
			"mode require", "policy `{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b/{http.request.tls.client.serial}/*\"}]}`",
			[]tls.Certificate{cert},
			403,
		},
		"verified":     {verified, "external_id {http.request.tls.client.subject}", []tls.Certificate{cert}, 200},
		"session name": {"mode require", "session_name {http.request.tls.client.subject}", []tls.Certificate{cert}, 200},
	} {
		for _, style := range []string{"transport", "short form", "handler and transport"} {
			t.Run(name+"/"+style, func(t *testing.T) {
				sts := newSTS(t)
				up := newEndpoint(t, sts.keys("Role"), nil)
				own := certificate(t)
				proxied := styles[style](up.Addr(), setup{
					options: "service s3\nregion eu-west-1\ncredentials assume_role " + arn("Role") + " {\nfrom broker\n" + tc.option + "\n}",
					global:  "aws_sigv4 {\ncredentials broker " + brokerSource + "\n}\n", tls: own,
				})
				keys := fmt.Sprintf("tls %s %s", own.certFile, own.keyFile)
				s := startCaddy(t, strings.Replace(proxied, keys, keys+" {\nclient_auth {\n"+tc.clientAuth+"\n}\n}", 1))
				config := clientTLS(t)
				config.Certificates = tc.shown
				tr := &http.Transport{TLSClientConfig: config}
				defer tr.CloseIdleConnections()
				s.roundTrip(tr, "HTTP/1.1", "GET", "/", "").expect(t, tc.status)
				if n := len(sts.callsFor("Role")); (n > 0) != (tc.status == 200) {
					t.Errorf("STS was called %d times", n)
				}
			})
		}
	}
}

// TestMFADeviceOfAFixedRole: a device has one code in 30 seconds, so no client
// may have a say in how often one is asked for; what is assumed from its
// session may be another one for each client.
func TestMFADeviceOfAFixedRole(t *testing.T) {
	const mfa = "mfa_serial GAHT12345678\nmfa_secret GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n"
	const user = "session_name {http.auth.user.id}\n"
	load := func(hub, spoke string) error {
		return validate(t, strings.ReplaceAll(site(setup{
			global: "aws_sigv4 {\ncredentials broker " + brokerSource + "\ncredentials helper sts_helper https://helper.example/ {\nrole_arn " + arn("Broker") +
				"\nexternal_id {http.auth.user.id}\n}\ncredentials hub assume_role " + arn("Hub") + " {\n" + hub + "}\n}\n",
		}, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\ncredentials assume_role "+arn("Role")+" {\nfrom hub\n"+spoke+"}\n}"), "<port>", ":80"))
	}
	if err := load("from broker\n"+mfa, user); err != nil {
		t.Errorf("a role per user from one with MFA: %v", err)
	}
	for name, hub := range map[string]string{
		"session name": "from broker\n" + mfa + user,
		"tag":          "from broker\n" + mfa + "tag user {http.auth.user.id}\n",
		"policy":       "from broker\n" + mfa + "policy `{\"Version\":\"2012-10-17\",\"Statement\":[],\"Id\":\"{http.auth.user.id}\"}`\n",
		"broker":       "from helper\n" + mfa,
	} {
		if err := load(hub, ""); err == nil || !strings.Contains(err.Error(), "mfa_serial: a request has a say in this role's sessions") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
