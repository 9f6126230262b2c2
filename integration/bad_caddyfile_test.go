package integration_test

import (
	"fmt"
	"strings"
	"testing"
)

// badOptions are mistakes in the block of aws_sigv4, one for each row. The
// options begin on line 8; the error names the mistake's line and what to
// write. Without a line, the mistake only shows when everything was read, and
// the error has the field's path in the JSON instead.
var badOptions = []struct {
	options string
	line    int
	want    string
}{
	// Unknown, repeated and incomplete options.
	{"service s3\nservice s3", 9, "service is given twice: keep one"},
	{"service", 8, "service has no value: write it on the same line"},
	{"service s3 s4", 8, "service has"},
	{"credentials", 8, "credentials need a name from the global option aws_sigv4, or a source: one of"},
	{"allow_services", 8, "allow_services needs at least one value"},
	{"service s3 ; region eu-west-1", 8, "write each option on a line of its own"},
	{"; service s3", 8, "write each option on a line of its own"},

	// Malformed values.
	{`service ""`, 8, "the service is empty: write its signing name"},
	{"service S3!", 8, `"S3!" is no signing name: write`},
	{"service S3", 8, "write `s3`"},
	{"region eu_west", 8, `"eu_west" is no AWS region: write its code`},
	{"region EU-WEST-1", 8, "write `eu-west-1`"},
	{"host https://x/", 8, "is not a host: write HOST"},
	{"host *.x", 8, "is a pattern: write one host"},
	{"host a:b", 8, "has a port that is not a number"},
	{`host "a b"`, 8, "is not a host: write HOST"},
	{"payload maybe", 8, `payload mode "maybe" does not exist: write auto, signed or unsigned`},
	{"body_limit big", 8, "write a number of bytes, or one such as 10MiB"},
	{"body_limit -1", 8, "write a number of bytes"},
	{"body_limit 0", 8, "write a number of bytes"},
	{"body_limit 1MiB 2MiB", 8, "body_limit has"},
	{"sign_headers +", 8, "write the names of the headers to add after it"},
	{"sign_headers Authorization", 8, "it carries the signature; leave it out"},
	{"sign_headers x-forwarded-for", 8, "leave it out"},
	{`sign_headers "a b"`, 8, "is no field name: write"},
	{"allow_services S3", 8, "write `s3`"},
	{"allow_regions x", 8, "is no AWS region: write its code"},
	{"allow_hosts https://x", 8, "is not a host: write HOST, HOST:PORT or *.suffix"},
	{"allow_roles x", 8, "can match no role"},

	// Credentials.
	{"credentials no!body", 8, "can't be a name: write"},
	{"credentials good x", 8, "there is no source"},
	{"credentials good {\nfrom x\n}", 9, "is a name, and takes no block"},
	{"credentials default x", 8, "default takes no"},
	{"credentials static A", 8, "static has no secret_access_key: write"},
	{"credentials static A B {\nsecret_access_key C\n}", 9, "secret_access_key is given twice"},
	{"credentials static A B {\nfile C\n}", 9, `unknown option "file"`},
	{"credentials env {\nx y\n}", 9, "there are no options here"},
	{"credentials assume_role", 8, "assume_role has no value"},
	{"credentials assume_role x", 8, "role_arn: \"x\" is not the ARN of a role"},
	{"credentials assume_role arn:aws:iam::12:role/x", 8, "is not 12 digits: write one like arn:aws:iam::123456789012:role/NAME"},
	{"credentials assume_role arn:aws:iam::123456789012:user/x", 8, `it names a "user"`},
	{"credentials assume_role arn:aws:iam::123456789012:role/", 8, "is not the ARN of a role"},
	{"credentials assume_role arn:azure:iam::123456789012:role/x", 8, "is none of the partitions"},
	{"credentials assume_role arn:aws:sts::123456789012:assumed-role/x/y", 8, "can't be assumed"},
	{inRole("color blue"), 9, `unknown option "color": write one of from, external_id`},
	{inRole("external_id x"), 9, "external_id: an External ID has 2 to 1224 characters"},
	{inRole(`external_id "a b"`), 9, "external_id: an External ID holds only"},
	{inRole(`external_id ""`), 9, "external_id is empty: write a value"},
	{inRole("external_id " + strings.Repeat("x", 1225)), 9, "1224"},
	{inRole(`session_name "x y"`), 9, "session_name: session name"},
	{inRole("session_name x"), 9, "write 2 to 64"},
	{inRole("session_name " + strings.Repeat("x", 65)), 9, "write 2 to 64"},
	{inRole("duration 5m"), 9, "write 15m to 12h"},
	{inRole("duration 13h"), 9, "write 15m to 12h"},
	{inRole("duration long"), 9, "write 15m to 12h"},
	{inRole("duration {env.DURATION}"), 9, "write 15m to 12h"},
	{inRole("duration"), 9, "duration has no value"},
	{inRole("tag a"), 9, "tag has 1 of 2 values"},
	{inRole("tag a b\ntag a c"), 10, "tag a is given twice"},
	{inRole("tag a b\ntag A c"), 10, "have one key for AWS"},
	{inRole("tag aws:x y"), 9, "AWS keeps aws: for itself"},
	{inRole("from default\nfrom default"), 10, "from is given twice"},
	{inRole("policy x"), 9, "policy: it is not JSON: invalid character 'x'"},
	{inRole("policy `[]`"), 9, "policy: it is no JSON object"},
	{inRole("policy {\n\"Statement\": []\n}"), 9, "write it between backticks, or write policy_file PATH"},
	{inRole("policy `{\"Statement\": {\"Principal\": \"*\"}}`"), 9, "a session policy can't have"},
	{inRole("policy `{\"Statement\": [], \"Id\": \"{header.X}\"}`"), 9, "policy: {http.request.header.X} is chosen by the client"},
	{inRole("policy `{\"Statement\": []}`\npolicy_file x"), 11, "write one of the two"},
	{inRole("policy_arns ReadOnlyAccess"), 9, "is not the ARN of a managed policy"},
	{inRole("policy_arns arn:aws:iam::aws:policy/{http.auth.user.id}"), 9, "which has no say in this"},
	{inRole("policy_arns arn:aws:iam::210987654321:policy/Other"), 9, "is not of the role's account"},
	{inRole("tags a b"), 9, "write `tag KEY VALUE` for each"},
	{inRole("transitive_tags a\ntag b c"), 11, `transitive_tags: there is no tag "a"`},
	{inRole("source_identity a/b"), 9, "source_identity: source identity"},
	{inRole("source_identity {header.X}"), 9, "is chosen by the client, and a source identity says who somebody is only if it is not"},
	{inRole("mfa_serial x"), 9, "is not the serial number of an MFA device"},
	{inRole("mfa_serial GAHT12345678"), 10, "write mfa_secret {file./PATH} or mfa_command"},
	{inRole("mfa_serial GAHT12345678\nmfa_code 123456"), 10, "a code works once"},
	{inRole("mfa_command x"), 10, "mfa_serial: it is missing"},
	{inRole("sts_region nowhere"), 9, "is not the name of an AWS region"},
	{inRole("sts_region cn-north-1"), 9, "write a region of aws"},
	{inRole("sts_region {http.auth.user.id}"), 9, "which has no say in this"},
	{inRole("sts_endpoint http://minio:9000"), 9, "write https://, or http:// with a loopback address"},
	{inRole("sts_endpoint https://{header.X}"), 9, "which has no say in this"},
	{inRole("sts_endpoint https://s3.eu-west-1.amazonaws.com"), 9, "is an endpoint of s3"},
	{inRole("sts_endpoint https://minio.example.com\nfips"), 10, "write the FIPS endpoint's URL, or only fips"},
	{inRole("fips on"), 9, "fips takes no value"},

	// Values that are different in every request.
	{inRole("session_name s-{http.request.uuid}"), 9, "session_name: {http.request.uuid} is different in every request"},
	{inRole("session_name {time.now.unix}"), 9, "session_name: {time.now.unix} is different in every request"},
	{inRole("session_name {http.request.remote.port}"), 9, "is different in every request"},
	{inRole("external_id {uuid}"), 9, "external_id: {http.request.uuid} is different in every request"},
	{inRole("tag x {http.request.header.X-Request-Id}"), 9, "tags.x: {http.request.header.X-Request-Id} is different in every request"},
	{"credentials assume_role " + arn("{http.request.uuid}"), 8, "role_arn: {http.request.uuid} is different in every request"},
	{inRole("external_id {header.X}"), 9, "is chosen by the client"},

	// What later versions may build is not there.
	{"payload chunked", 8, `payload mode "chunked" does not exist`},
	{"credentials profile x", 8, "there is no source"},
	{"credentials sso x", 8, "there is no source"},
	{"credentials process x", 8, "there is no source"},
	{"credentials container x", 8, "there is no source"},
	{"credentials imds x", 8, "there is no source"},
	{"credentials web_identity x", 8, "there is no source"},
	{"credentials vault x", 8, "there is no source"},
	{"credentials roles_anywhere x", 8, "there is no source"},
	{"credentials profile", 0, `there are no credentials named "profile"`},
	{"credentials imds", 0, `there are no credentials named "imds"`},

	// What only shows when everything was read.
	{"credentials nobody", 0, `there are no credentials named "nobody": define them in the global option aws_sigv4 (defined: good`},
	{inRole("from nobody"), 0, `credentials: from: there are no credentials named "nobody"`},
	{inRole("external_id {env.AWS_TEST_NOT_SET}"), 0, "external_id: {env.AWS_TEST_NOT_SET} is empty: set the environment variable"},
	{inRole("external_id {file./does/not/exist}"), 0, "external_id: {file./does/not/exist} is empty"},
	{"service {header.S}", 0, "say with allow_services which values it may take"},
	{"region {header.R}", 0, "say with allow_regions which values it may take"},
	{"host {header.H}", 0, "say with allow_hosts which values it may take"},
	{"credentials assume_role arn:aws:iam::123456789012:role/{header.X}", 0, "say with allow_roles which roles it may name"},
	{"credentials assume_role " + arn("Other") + "\nallow_roles " + arn("Only"), 0, "is not in allow_roles"},
	{"credentials good\nallow_roles " + arn("Only"), 0, "assumes no role"},
	{"service vpc-lattice-svcs\nregion eu-west-1\npayload signed", 0, "write `payload unsigned`"},
}

// laterOptions are options that later versions may have; today each is unknown.
var laterOptions = []string{
	"color blue", "algorithm auto", "algorithm sigv4a", "region_set *", "sign header", "sign query 5m",
	"clock_skew auto",
}

func inRole(options string) string {
	return "credentials assume_role " + arn("Role") + " {\n" + options + "\n}"
}

// blocks are the places that take these options; the first option is on line 8.
var blocks = map[string]string{
	"handler":    "{\naws_sigv4 {\ncredentials good static A B\n}\n}\nhttp://site.example {\naws_sigv4 {\n%s\n}\n}",
	"transport":  "{\naws_sigv4 {\ncredentials good static A B\n}\n}\nhttp://site.example {\nreverse_proxy https://b.s3.eu-west-1.amazonaws.com {\ntransport aws_sigv4 {\n%s\n}\n}\n}",
	"short form": "{\naws_sigv4 {\ncredentials good static A B\n}\n}\nhttp://site.example {\naws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\n%s\n}\n}",
}

// TestBadOptions: every mistake is refused in every place, with the same words.
func TestBadOptions(t *testing.T) {
	for place, block := range blocks {
		shift := 0
		if place == "transport" {
			shift = 1
		}
		for _, tt := range badOptions {
			t.Run(place+"/"+strings.ReplaceAll(tt.options[:min(len(tt.options), 80)], "\n", " "), func(t *testing.T) {
				err := validate(t, fmt.Sprintf(block, tt.options))
				wantError(t, err, tt.want)
				if at := fmt.Sprintf("at Caddyfile:%d", tt.line+shift); tt.line > 0 && err != nil && !strings.HasSuffix(err.Error(), at) {
					t.Errorf("%v; want %q at its end", err, at)
				}
			})
		}
		for _, option := range laterOptions {
			t.Run(place+"/"+option, func(t *testing.T) {
				name, _, _ := strings.Cut(option, " ")
				err := validate(t, fmt.Sprintf(block, option))
				wantError(t, err, name)
				if err != nil && (!strings.Contains(err.Error(), "unknown option") && !strings.Contains(err.Error(), "unrecognized subdirective") ||
					!strings.HasSuffix(err.Error(), fmt.Sprintf("at Caddyfile:%d", 8+shift))) {
					t.Errorf("%v; want it to be unknown, with its line", err)
				}
			})
		}
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Error("accepted")
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %q in it", err, want)
	}
}

// TestBadCaddyfiles are mistakes elsewhere.
func TestBadCaddyfiles(t *testing.T) {
	site := "http://site.example {\n%s\n}\n"
	global := "{\naws_sigv4 {\n%s\n}\n}\n"
	tests := []struct{ name, caddyfile, want string }{
		// Upstreams.
		{"host that can't be inferred", fmt.Sprintf(site, "aws_sigv4 https://search.internal"), "write `service NAME` and `region NAME`"},
		{"region that can't be inferred", fmt.Sprintf(site, "aws_sigv4 https://search.internal {\nservice es\n}"), "write"},
		{"ambiguous host", fmt.Sprintf(site, "aws_sigv4 https://db.abc123.eu-west-1.rds.amazonaws.com"), "write `service NAME`"},
		{"host for SigV4a", fmt.Sprintf(site, "aws_sigv4 https://mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com"), "can't be signed yet"},
		{"plain host", fmt.Sprintf(site, "reverse_proxy search.internal:9200 {\ntransport aws_sigv4\n}"), "write `service NAME` and `region NAME`"},
		{"https port without TLS", fmt.Sprintf(site, "reverse_proxy b.s3.eu-west-1.amazonaws.com:443 {\ntransport aws_sigv4\n}"), "write https:// before it"},
		{"upstream from the request", fmt.Sprintf(site, "reverse_proxy {header.X-To} {\ntransport aws_sigv4 {\nservice s3\nregion eu-west-1\n}\n}"), "say with allow_hosts"},
		{"upstream from the request, short form", fmt.Sprintf(site, "aws_sigv4 {header.X-To} {\nservice s3\nregion eu-west-1\n}"), "say with allow_hosts"},
		{"header_up Host from the request", fmt.Sprintf(site, "reverse_proxy https://b.s3.eu-west-1.amazonaws.com {\nheader_up Host {header.X-To}\ntransport aws_sigv4\n}"), "say with allow_hosts"},
		{"socket", fmt.Sprintf(site, "aws_sigv4 unix//run/x.sock {\nservice s3\nregion eu-west-1\n}"), "host NAME"},
		{"unsigned without TLS", fmt.Sprintf(site, "aws_sigv4 http://b.s3.eu-west-1.amazonaws.com {\npayload unsigned\n}"), "needs an https upstream"},
		{"handler for an unknown host", fmt.Sprintf(site, "aws_sigv4 {\nhost search.internal\n}\nrespond x"), "write `service NAME` and `region NAME`"},
		{"health checks without a service", fmt.Sprintf(site, "aws_sigv4 {\nservice s3\nregion eu-west-1\n}\nreverse_proxy h.internal {\nhealth_uri /\ntransport aws_sigv4\n}"), "health checks pass through no handler"},

		// Blocks of upstreams.
		{"upstream in the handler", fmt.Sprintf(site, "aws_sigv4 {\nupstream x.example {\nservice s3\n}\n}"), "belongs to `transport aws_sigv4`"},
		{"upstream_only in the handler", fmt.Sprintf(site, "aws_sigv4 {\nupstream_only\n}"), "belongs to `transport aws_sigv4`"},
		{"upstream_only alone", fmt.Sprintf(site, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\nupstream_only\n}"), "add an `upstream` block"},
		{"upstream_only with a value", fmt.Sprintf(site, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\nupstream_only x\n}"), "takes no arguments"},
		{"upstream without a host", fmt.Sprintf(site, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\nupstream\n}"), "upstream has no value"},
		{"upstream as a URL", fmt.Sprintf(site, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\nupstream https://x\n}"), "without scheme and path"},
		{"upstream twice", fmt.Sprintf(site, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\nupstream x.example {\nservice s3\n}\nupstream x.example {\nservice s3\n}\n}"), "upstream x.example is there twice"},
		{"unknown option of an upstream", fmt.Sprintf(site, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\nupstream x.example {\npayload signed\n}\n}"), "unknown option \"payload\": write one of service, region, host, credentials"},
		{"upstream with unknown credentials", fmt.Sprintf(site, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\nupstream x.example {\ncredentials nobody\n}\n}"), `there are no credentials named "nobody"`},

		// The short form.
		{"another transport", fmt.Sprintf(site, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\ntransport fastcgi\n}"), "always sends through transport aws_sigv4"},
		{"our option in the transport", fmt.Sprintf(site, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\ntransport aws_sigv4 {\nservice s3\n}\n}"), "service stands beside `transport`"},
		{"transport twice", fmt.Sprintf(site, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\ntransport http\ntransport http\n}"), "transport is there twice"},
		{"dynamic upstreams", fmt.Sprintf(site, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\ndynamic aws_sigv4\n}"), "write a reverse_proxy of your own"},
		{"arguments for dynamic", fmt.Sprintf(site, "reverse_proxy {\ndynamic aws_sigv4 x\ntransport aws_sigv4\n}"), "takes no arguments"},
		{"one-line block", fmt.Sprintf(site, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com { service s3 }"), "Caddyfile:2"},
		{"connect", fmt.Sprintf(site, "aws_connect"), "aws_connect has no key, so nobody could make a connect session: write `api_key NAME SECRET`"},

		// The global option.
		{"unknown global option", fmt.Sprintf(global, "metrics"), `unknown option "metrics"`},
		{"global argument", "{\naws_sigv4 x\n}\n", "takes a block and no arguments"},
		{"global option twice", fmt.Sprintf("{\naws_sigv4 {\n%s\n}\naws_sigv4 {\n%s\n}\n}\n", "", ""), "put everything into one block"},
		{"no name", fmt.Sprintf(global, "credentials"), "credentials NAME SOURCE"},
		{"no source", fmt.Sprintf(global, "credentials a"), "credentials a need a source"},
		{"unknown source", fmt.Sprintf(global, "credentials a imds"), "imds"},
		{"a source's name", fmt.Sprintf(global, "credentials env default"), "is the name of a source: choose another name"},
		{"a name twice", fmt.Sprintf(global, "credentials a env\ncredentials a env"), `credentials "a" are defined twice`},
		{"a name that is none", fmt.Sprintf(global, "credentials a/b env"), "can't be a name"},
		{"global semicolon", fmt.Sprintf(global, "credentials a env ; credentials b env"), "write each option on a line of its own"},
		{"from nobody", fmt.Sprintf(global, "credentials a assume_role "+arn("A")+" {\nfrom nobody\n}"), `there are no credentials named "nobody"`},
		{"from itself", fmt.Sprintf(global, "credentials a assume_role "+arn("A")+" {\nfrom a\n}"), "a from a"},
		{"a circle", fmt.Sprintf(global, "credentials a assume_role "+arn("A")+" {\nfrom b\n}\ncredentials b assume_role "+arn("B")+" {\nfrom c\n}\ncredentials c assume_role "+arn("C")+" {\nfrom a\n}"), "a from b from c from a"},
		{"a role of the request to stand on", fmt.Sprintf(global, "credentials a assume_role "+arn("{http.request.header.R}")+"\ncredentials b assume_role "+arn("B")+" {\nfrom a\n}") +
			fmt.Sprintf(site, "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\ncredentials b\nallow_roles "+arn("B")+"\n}"), "write a fixed role"},

		// aws_sigv4_auth.
		{"auth without keys", fmt.Sprintf(site, "aws_sigv4_auth"), "write `key ID SECRET`"},
		{"auth with an argument", fmt.Sprintf(site, "aws_sigv4_auth /x y {\nkey A B\n}"), "takes a block and no arguments"},
		{"auth key without a secret", fmt.Sprintf(site, "aws_sigv4_auth {\nkey A\n}"), "key ID SECRET"},
		{"auth key twice", fmt.Sprintf(site, "aws_sigv4_auth {\nkey A B\nkey A C\n}"), `key "A" is there twice`},
		{"auth key with a slash", fmt.Sprintf(site, "aws_sigv4_auth {\nkey A/B C\n}"), "can't be an access key ID"},
		{"auth key that is not set", fmt.Sprintf(site, "aws_sigv4_auth {\nkey A {env.AWS_TEST_NOT_SET}\n}"), "keys[0].secret"},
		{"auth size", fmt.Sprintf(site, "aws_sigv4_auth {\nkey A B\nbody_limit x\n}"), "is not a size"},
		{"auth unknown option", fmt.Sprintf(site, "aws_sigv4_auth {\nkey A B\nskew 5m\n}"), `unknown option "skew": write one of key, body_limit`},
		{"auth semicolon", fmt.Sprintf(site, "aws_sigv4_auth {\nkey A B ; key C D\n}"), "write each option on a line of its own"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantError(t, validate(t, tt.caddyfile), tt.want) })
	}
}
