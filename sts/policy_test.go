package sts

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

const aPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`

func TestCheckPolicy(t *testing.T) {
	for _, p := range []string{
		aPolicy,
		`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`,
		"{\n\t\"Statement\": [],\r\n \"Id\": \"größe ÿ\"}",
		`{"Statement":[{"Effect":"Deny","NotAction":"iam:*","Resource":"arn:aws:s3:::b/${aws:username}/*"}]}`,
	} {
		if err := CheckPolicy(p); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	for p, want := range map[string]string{
		"":                        "it is not JSON: unexpected end of JSON input at its byte 0",
		"x":                       "it is not JSON: invalid character 'x' looking for beginning of value at its byte 1",
		"null":                    "it is null",
		"[]":                      "it is no JSON object",
		`"text"`:                  "it is no JSON object",
		"{}":                      "it has no Statement",
		`{"statement":[]}`:        "it has no Statement",
		`{"Statement":"x"}`:       "it has no Statement",
		`{"Statement":null}`:      "it has no Statement",
		`{"Statement":["x"]}`:     "statement 1 is no object",
		`{"Statement":[{},null]}`: "statement 2 is no object",
		`{"Statement":[{"Effect":"Allow","Principal":"*"}]}`:          "statement 1 has a Principal, which a session policy can't have",
		`{"Statement":{"Effect":"Allow","NotPrincipal":{"AWS":"*"}}}`: "statement 1 has a NotPrincipal",
		aPolicy + "x":                        "it is not JSON",
		`{"Statement":[],"Id":"日"}`:          `it holds '日', which AWS does not take in a session policy: write \u65e5 inside of a string`,
		"{\"Statement\":[],\"Id\":\"\x00\"}": "it holds '\\x00'",
		"{\"Statement\":[],\"Id\":\"\xff\"}": "it is not UTF-8",
	} {
		if err := CheckPolicy(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", p, err, want)
		}
	}
	if got, err := CompactPolicy(" { \"a\" : [ 1 , \"x y\" ] }\n"); err != nil || got != `{"a":[1,"x y"]}` {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := CompactPolicy("{"); err == nil {
		t.Error("half an object was made compact")
	}
}

func TestCheckPolicyARNs(t *testing.T) {
	const own, managed = "arn:aws:iam::123456789012:policy/a/b/Own", "arn:aws:iam::aws:policy/ReadOnlyAccess"
	var many []string
	for i := range 11 {
		many = append(many, fmt.Sprint(own, i))
	}
	for _, tc := range []struct {
		arns []string
		want string
	}{
		{nil, ""},
		{[]string{own, managed}, ""},
		{[]string{"arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"}, ""},
		{many[:10], ""},
		{many, "there are 11 policies: write at most 10"},
		{[]string{own, own}, own + " is there twice"},
		{[]string{"arn:aws:iam::210987654321:policy/Other"}, "is not of the role's account 123456789012, nor AWS's own"},
		{[]string{"arn:aws-cn:iam::aws:policy/ReadOnlyAccess"}, "is in the partition aws-cn and the role in aws"},
		{[]string{"ReadOnlyAccess"}, "has 14 characters, of 20 to 2048"},
		{[]string{"arn:aws:iam::123456789012:role/Proxy"}, "does not go on with policy/"},
		{[]string{"arn:aws:iam::123:policy/ReadOnlyAccess"}, "neither aws nor 12 digits"},
		{[]string{"arn:azure:iam::aws:policy/ReadOnly"}, "is none of the partitions"},
		{[]string{"arn:aws:iam::aws:policy/"}, `the name ""`},
		{[]string{"arn:aws:iam::aws:policy//Read"}, "single slashes"},
		{[]string{"arn:aws:iam::aws:policy/Read*"}, `the name "Read*"`},
		{[]string{"arn:aws:s3:::bucket-of-somebody"}, "does not have the form"},
		{[]string{"arn:aws:iam::aws:policy/" + strings.Repeat("n", 129)}, "is not 1 to 128"},
	} {
		err := CheckPolicyARNs(tc.arns, "arn:aws:iam::123456789012:role/Proxy")
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: got %v, want %q", tc.arns, err, tc.want)
		}
	}
	if err := CheckPolicyARNs([]string{own, "arn:aws:iam::210987654321:policy/Other"}, ""); err != nil {
		t.Errorf("the role is not known: %v", err)
	}
	if err := CheckPolicyARNs([]string{own}, "Proxy"); err == nil {
		t.Error("the account of no role was compared")
	}
}

func TestCheckPolicySize(t *testing.T) {
	arn := "arn:aws:iam::aws:policy/" + strings.Repeat("n", 24) // 48 characters
	for _, tc := range []struct {
		policy string
		arns   []string
		ok     bool
	}{
		{strings.Repeat("x", 2048), nil, true},
		{strings.Repeat("ä", 2048), nil, true},
		{strings.Repeat("x", 2049), nil, false},
		{strings.Repeat("x", 2000), []string{arn}, true},
		{strings.Repeat("x", 2001), []string{arn}, false},
	} {
		if err := CheckPolicySize(tc.policy, tc.arns); (err == nil) != tc.ok {
			t.Errorf("%d and %d: got %v", len(tc.policy), len(tc.arns), err)
		}
	}
}

// The patterns of the service model of AWS STS for the rest of a call.
var (
	modelSourceIdentity = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	modelMFASerial      = regexp.MustCompile(`^[\w+=/:,.@-]{9,256}$`)
	modelMFACode        = regexp.MustCompile(`^\d{6}$`)
	modelPolicy         = regexp.MustCompile(`^[\x{0009}\x{000A}\x{000D}\x{0020}-\x{00FF}]+$`)
)

func TestMoreChecksAgreeWithTheModel(t *testing.T) {
	for name, tc := range map[string]struct {
		base  string
		check func(string) error
		model *regexp.Regexp
	}{
		"source identity": {"ab-=@,.+_9Z", CheckSourceIdentity, modelSourceIdentity},
		"mfa serial":      {"arn:aws:iam::1/a+=@,._", CheckMFASerial, modelMFASerial},
		"mfa code":        {"012345", CheckMFACode, modelMFACode},
	} {
		try := func(s string) {
			if got, want := tc.check(s) == nil, tc.model.MatchString(s); got != want {
				t.Errorf("%s %q: accepted is %v, want %v", name, s, got, want)
			}
		}
		for i := range len(tc.base) {
			for c := range 256 {
				try(tc.base[:i] + string([]byte{byte(c)}) + tc.base[i+1:])
			}
			try(tc.base[:i] + "ü" + tc.base[i:])
			try(tc.base[:i])
		}
		for _, n := range []int{1, 2, 8, 9, 64, 65, 256, 257} {
			try(strings.Repeat("1", n))
		}
	}
	for c := range rune(0x300) {
		if 0xD800 <= c && c < 0xE000 || c == '"' || c == '\\' {
			continue
		}
		// What stands inside of a string in JSON can't be a control character, whatever the model says.
		p := `{"Statement":[],"Id":"` + string(c) + `"}`
		if got, want := CheckPolicy(p) == nil, modelPolicy.MatchString(p) && c >= ' '; got != want {
			t.Errorf("policy with %q: accepted is %v, want %v", c, got, want)
		}
	}
}

func TestCheckTransitiveTags(t *testing.T) {
	tags := []Tag{{"Team", "a"}, {"owner", "b"}}
	for _, tc := range []struct {
		keys []string
		want string
	}{
		{nil, ""},
		{[]string{"Team"}, ""},
		{[]string{"team", "owner"}, ""},
		{[]string{"team", "Team"}, `"Team" is there twice`},
		{[]string{"cost"}, `there is no tag "cost"`},
		{[]string{""}, `there is no tag ""`},
	} {
		err := CheckTransitiveTags(tc.keys, tags)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: got %v, want %q", tc.keys, err, tc.want)
		}
	}
}

func TestMFACodeIsNotRepeated(t *testing.T) {
	if err := CheckMFACode("1234567"); err == nil || strings.Contains(err.Error(), "1234567") {
		t.Errorf("got %v", err)
	}
}

func FuzzCheckPolicy(f *testing.F) {
	f.Add(aPolicy)
	f.Add(`{"Statement":{}}`)
	f.Fuzz(func(t *testing.T, s string) {
		if CheckPolicy(s) != nil {
			return
		}
		compact, err := CompactPolicy(s)
		if err != nil || len(compact) > len(s) || CheckPolicy(compact) != nil {
			t.Errorf("%q became %q (%v)", s, compact, err)
		}
	})
}

func FuzzCheckPolicyARN(f *testing.F) {
	f.Add("arn:aws:iam::aws:policy/job-function/ViewOnlyAccess")
	f.Fuzz(func(t *testing.T, s string) {
		if CheckPolicyARN(s) == nil && !regexp.MustCompile(`^arn:aws[a-z-]*:iam::(aws|\d{12}):policy/([\x21-\x7E]+/)*[\w+=,.@-]{1,128}$`).MatchString(s) {
			t.Errorf("%q was accepted", s)
		}
	})
}
