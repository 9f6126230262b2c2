package awssigv4

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// FuzzCaddyfile gives any text to each of our blocks. Nothing may panic, and
// what is accepted must come back from JSON as it was.
func FuzzCaddyfile(f *testing.F) {
	for _, seed := range []string{
		"service s3\nregion eu-west-1\nhost b.s3.eu-west-1.amazonaws.com",
		"credentials acme",
		"credentials static A B C",
		"credentials assume_role arn:aws:iam::123456789012:role/R {\nfrom x\nexternal_id y1\nduration 1h\ntag a b\n}",
		"credentials acme assume_role arn:aws:iam::123456789012:role/R {\nfrom acme\n}",
		"payload signed\nbody_limit 10MiB\nbody_memory 1KiB\nsign_headers + x-a x-b",
		"allow_services s3\nallow_regions eu-west-1\nallow_hosts *.a.b a:1\nallow_roles arn:aws:iam::*:role/a-*",
		"upstream a:1 {\nservice s3\n}\nupstream_only\ndial_timeout 3s\ntls",
		"key A B\nkey C D\nbody_limit 1k",
		"spool_dir /x\nspool_limit 1",
		"connection {http.request.header.a}\nintegration a\napi_key a {env.A} {\nscopes proxy\nintegrations a\n}\nstrip_prefix /p\nauthenticated_by_caddy\ninsecure",
		"integration a {\nservice s3\nbase_url https://a.b/c\nallow_hosts a.b\nallow_paths /a/*\nrate_limit 1 1s\n}\nconnections {\nkey {env.A}\n}",
		"api_key a {env.A} {env.B} {\nroles arn:aws:iam::*:role/a-*\nexternal_ids a:*\nprobe\n}\nduration 1h\nrequire_external_id off\nregion eu-west-1\nregions eu-west-1",
		"basic_auth a b {env.A} {\nrole arn:aws:iam::123456789012:role/R\nexternal_id ab\n}\nallow_origins https://a.b\nplain_http any\ntag a {key}\nsession_name x-{key}",
		"service {http.request.header.X}\nhost {env.A}:443",
		"; x", "service s3 ; region x", "service \"a b\"", "host [::1]:443", "upstream *. {\n}", "body_limit -1", "{", "}", "\"", "import x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, target := range []caddyfile.Unmarshaler{
			new(Handler), &Transport{HTTPTransport: new(reverseproxy.HTTPTransport)}, new(SignatureAuth), new(STSHelper),
		} {
			tokens, err := caddyfile.Tokenize([]byte("aws_sigv4 {\n"+text+"\n}"), "Fuzz")
			if err != nil {
				return
			}
			if err := target.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil {
				if strings.Contains(err.Error(), "%!") && !strings.Contains(text, "%") {
					t.Errorf("%T: %v", target, err)
				}
				continue
			}
			once, err := json.Marshal(target)
			if err != nil {
				t.Fatal(err)
			}
			back := reflect.New(reflect.TypeOf(target).Elem()).Interface()
			if err := json.Unmarshal(once, back); err != nil {
				t.Fatalf("%T: %s: %v", target, once, err)
			}
			if twice, err := json.Marshal(back); err != nil || string(twice) != string(once) {
				t.Errorf("%T: %s became %s, %v", target, once, twice, err)
			}
		}
		_, err := parseGlobalOption(caddyfile.NewTestDispenser("aws_sigv4 {\n"+text+"\n}"), nil)
		if err != nil && strings.Contains(err.Error(), "%!") && !strings.Contains(text, "%") {
			t.Error(err)
		}
	})
}
