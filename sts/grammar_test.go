package sts

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The patterns of the service models of AWS STS and IAM, which the checks follow by hand.
var (
	modelRoleARN     = regexp.MustCompile(`^arn:(aws|aws-cn|aws-us-gov|aws-iso|aws-iso-b|aws-iso-e|aws-iso-f|aws-eusc):iam::\d{12}:role/([\x21-\x7E]+/)*[\w+=,.@-]{1,64}$`)
	modelExternalID  = regexp.MustCompile(`^[\w+=,.@:\/-]{2,}$`) // Go's repetitions end at 1000.
	modelSessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	modelTagText     = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

func TestRoleARN(t *testing.T) {
	name64, path510 := strings.Repeat("n", 64), strings.Repeat("p", 510)
	for _, tc := range []struct {
		arn  string
		want RoleARN
	}{
		{"arn:aws:iam::123456789012:role/P", RoleARN{"aws", "123456789012", "/", "P"}},
		{"arn:aws:iam::000000000000:role/a/b/P+=,.@-_", RoleARN{"aws", "000000000000", "/a/b/", "P+=,.@-_"}},
		{"arn:aws:iam::123456789012:role/aws-service-role/x.amazonaws.com/Y", RoleARN{"aws", "123456789012", "/aws-service-role/x.amazonaws.com/", "Y"}},
		{"arn:aws:iam::123456789012:role/a:b/P", RoleARN{"aws", "123456789012", "/a:b/", "P"}},
		{"arn:aws:iam::123456789012:role/" + name64, RoleARN{"aws", "123456789012", "/", name64}},
		{"arn:aws:iam::123456789012:role/" + path510 + "/P", RoleARN{"aws", "123456789012", "/" + path510 + "/", "P"}},
		{"arn:aws-cn:iam::123456789012:role/P", RoleARN{"aws-cn", "123456789012", "/", "P"}},
		{"arn:aws-us-gov:iam::123456789012:role/P", RoleARN{"aws-us-gov", "123456789012", "/", "P"}},
		{"arn:aws-iso:iam::123456789012:role/P", RoleARN{"aws-iso", "123456789012", "/", "P"}},
		{"arn:aws-iso-b:iam::123456789012:role/P", RoleARN{"aws-iso-b", "123456789012", "/", "P"}},
		{"arn:aws-iso-e:iam::123456789012:role/P", RoleARN{"aws-iso-e", "123456789012", "/", "P"}},
		{"arn:aws-iso-f:iam::123456789012:role/P", RoleARN{"aws-iso-f", "123456789012", "/", "P"}},
		{"arn:aws-eusc:iam::123456789012:role/P", RoleARN{"aws-eusc", "123456789012", "/", "P"}},
	} {
		got, err := ParseRoleARN(tc.arn)
		if err != nil || got != tc.want || got.String() != tc.arn {
			t.Errorf("%q: got %+v, %v, want %+v", tc.arn, got, err, tc.want)
		}
		if !modelRoleARN.MatchString(tc.arn) {
			t.Errorf("%q is not what the model allows", tc.arn)
		}
	}
	for arn, want := range map[string]string{
		"":                                   "it is empty",
		"Proxy":                              "it has 5 characters",
		"123456789012:role/ProxyProxy":       "does not have the form",
		"arn:aws:iam::123456789012:user/Bob": `it names a "user", not a role/`,
		"arn:aws:iam::123456789012:role":     `it names a "role", not a role/`,
		"arn:aws:iam::123456789012:Role/Bob": `it names a "Role", not a role/`,
		"arn:aws:iam::123456789012:root/":    `it names a "root", not a role/`,
		"arn:aws:sts::123456789012:assumed-role/Proxy/session":               "it names a session of a role",
		"arn:aws:s3:::bucket-bucket-bucket":                                  `its service is "s3", not iam`,
		"arn:aws:iam:us-east-1:123456789012:role/P":                          "roles belong to no region",
		"arn:AWS:iam::123456789012:role/P":                                   `"AWS" is none of the partitions aws, aws-cn`,
		"arn::iam::123456789012:role/Proxy":                                  `"" is none of the partitions`,
		"arn:aws:iam::12345678901:role/Proxy":                                "is not 12 digits",
		"arn:aws:iam::1234567890123:role/P":                                  "is not 12 digits",
		"arn:aws:iam::12345678901x:role/Proxy":                               "is not 12 digits",
		"arn:aws:iam::*:role/Proxyyyyyyyy":                                   "is not 12 digits",
		"arn:aws:iam::123456789012:role/":                                    `the role's name "" is not`,
		"arn:aws:iam::123456789012:role/a/":                                  `the role's name "" is not`,
		"arn:aws:iam::123456789012:role//P":                                  "single slashes",
		"arn:aws:iam::123456789012:role/a//P":                                "single slashes",
		"arn:aws:iam::123456789012:role/a b/P":                               "the path",
		"arn:aws:iam::123456789012:role/ä/P":                                 "the path",
		"arn:aws:iam::123456789012:role/P*":                                  "the role's name",
		"arn:aws:iam::123456789012:role/P ":                                  "the role's name",
		"arn:aws:iam::123456789012:role/P\n":                                 "the role's name",
		" arn:aws:iam::123456789012:role/P":                                  "does not have the form",
		"arn:aws:iam::123456789012:role/{env.X}":                             "the role's name",
		"arn:aws:iam::123456789012:role/" + name64 + "n":                     "the role's name",
		"arn:aws:iam::123456789012:role/" + path510 + "pp/P":                 "the path",
		"arn:aws:iam::123456789012:role/" + strings.Repeat("a/", 1010) + "P": "of 20 to 2048",
	} {
		err := CheckRoleARN(arn)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "write one like arn:aws:iam::123456789012:role/NAME") {
			t.Errorf("%q: got %v, want %q and what to write", arn, err, want)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("%q: an error of %d characters", arn, len(err.Error()))
		}
	}
}

// TestChecksAgreeWithTheModels changes one character of something right in every possible way.
func TestChecksAgreeWithTheModels(t *testing.T) {
	replaced := func(s string, f func(string)) {
		f(s)
		for i := range len(s) {
			for c := range 256 {
				f(s[:i] + string([]byte{byte(c)}) + s[i+1:])
			}
			f(s[:i] + s[i+1:])
			f(s[:i] + "ü" + s[i:])
			f(s[:i] + "//" + s[i:])
		}
	}
	replaced("arn:aws-cn:iam::123456789012:role/p/Name", func(s string) {
		// The model allows empty parts of a path; IAM creates no such role.
		if got, want := CheckRoleARN(s) == nil, modelRoleARN.MatchString(s) && !strings.Contains(s, "//"); got != want {
			t.Errorf("role ARN %q: accepted is %v, want %v", s, got, want)
		}
	})
	replaced("ab-:/=@,.+_9Z", func(s string) {
		if got, want := CheckExternalID(s) == nil, modelExternalID.MatchString(s); got != want {
			t.Errorf("External ID %q: accepted is %v, want %v", s, got, want)
		}
	})
	replaced("ab-=@,.+_9Z", func(s string) {
		if got, want := CheckSessionName(s) == nil, modelSessionName.MatchString(s); got != want {
			t.Errorf("session name %q: accepted is %v, want %v", s, got, want)
		}
	})
	replaced("ä b-:/=@,.+_9Z日", func(s string) {
		if got, want := CheckTag("key", s) == nil, modelTagText.MatchString(s) && strings.ToValidUTF8(s, "") == s; got != want {
			t.Errorf("tag value %q: accepted is %v, want %v", s, got, want)
		}
	})
}

func TestLengths(t *testing.T) {
	n := strings.Repeat
	for _, tc := range []struct {
		name  string
		check func(string) error
		value string
		ok    bool
	}{
		{"External ID", CheckExternalID, "", false},
		{"External ID", CheckExternalID, "a", false},
		{"External ID", CheckExternalID, "ab", true},
		{"External ID", CheckExternalID, n("a", 1224), true},
		{"External ID", CheckExternalID, n("a", 1225), false},
		{"session name", CheckSessionName, "", false},
		{"session name", CheckSessionName, "a", false},
		{"session name", CheckSessionName, "ab", true},
		{"session name", CheckSessionName, n("a", 64), true},
		{"session name", CheckSessionName, n("a", 65), false},
		{"tag key", func(s string) error { return CheckTag(s, "") }, "", false},
		{"tag key", func(s string) error { return CheckTag(s, "") }, n("ä", 128), true},
		{"tag key", func(s string) error { return CheckTag(s, "") }, n("ä", 129), false},
		{"tag key", func(s string) error { return CheckTag(s, "") }, "aws:x", false},
		{"tag key", func(s string) error { return CheckTag(s, "") }, "AWS:x", false},
		{"tag key", func(s string) error { return CheckTag(s, "") }, "aws", true},
		{"tag value", func(s string) error { return CheckTag("k", s) }, "", true},
		{"tag value", func(s string) error { return CheckTag("k", s) }, n("ä", 256), true},
		{"tag value", func(s string) error { return CheckTag("k", s) }, n("ä", 257), false},
	} {
		if err := tc.check(tc.value); (err == nil) != tc.ok {
			t.Errorf("%s of %d bytes: got %v, want accepted %v", tc.name, len(tc.value), err, tc.ok)
		}
	}
}

func TestExternalIDIsNotRepeated(t *testing.T) {
	for _, id := range []string{"very#private", strings.Repeat("very-private", 200)} {
		if err := CheckExternalID(id); err == nil || strings.Contains(err.Error(), "private") {
			t.Errorf("got %v, want an error without the ID", err)
		}
	}
}

func TestCheckDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                              "write 15m to 12h",
		-time.Hour:                     "write 15m to 12h",
		15*time.Minute - time.Second:   "write 15m to 12h",
		15 * time.Minute:               "",
		time.Hour:                      "",
		12 * time.Hour:                 "",
		12*time.Hour + time.Second:     "write 15m to 12h",
		time.Hour + time.Millisecond:   "write whole seconds",
		12*time.Hour + time.Nanosecond: "write 15m to 12h",
	} {
		err := CheckDuration(d)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", d, err, want)
		}
	}
	if CheckChainedDuration(time.Hour) != nil || CheckChainedDuration(time.Hour+time.Second) == nil {
		t.Error("the limit of chained roles is not one hour")
	}
}

func TestCheckTags(t *testing.T) {
	many := func(n int) (tags []Tag) {
		for i := range n {
			tags = append(tags, Tag{fmt.Sprint("k", i), "v"})
		}
		return tags
	}
	for _, tc := range []struct {
		tags []Tag
		want string
	}{
		{nil, ""},
		{many(50), ""},
		{many(51), "there are 51 tags: write at most 50"},
		{[]Tag{{"Team", "a"}, {"team", "b"}}, `the tags "Team" and "team" have one key`},
		{[]Tag{{"team", "a"}, {"team", "a"}}, "have one key"},
		{[]Tag{{"a", "b"}, {"", "a"}}, "a tag has no key"},
		{[]Tag{{"a", "b;c"}}, `the value of the tag "a", "b;c"`},
		{[]Tag{{"a&b", "c"}}, `the key of the tag "a&b"`},
		{[]Tag{{"a", "\xff"}}, "the value of the tag"},
	} {
		err := CheckTags(tc.tags)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: got %v, want %q", tc.tags, err, tc.want)
		}
	}
}

func TestCheckPartitions(t *testing.T) {
	const role, china = "arn:aws:iam::123456789012:role/P", "arn:aws-cn:iam::123456789012:role/P"
	for _, tc := range []struct {
		role   string
		others []string
		want   string
	}{
		{role, nil, ""},
		{role, []string{"us-east-1", role, "eu-west-3"}, ""},
		{china, []string{"cn-north-1", china}, ""},
		{role, []string{"cn-north-1"}, "can't be assumed in the region cn-north-1 of aws-cn: write a region of aws"},
		{role, []string{"us-east-1", china}, "can't be assumed by " + china},
		{china, []string{"us-gov-west-1"}, "of aws-us-gov"},
		{role, []string{"nowhere"}, `"nowhere" is not the name of an AWS region`},
		{role, []string{"arn:aws:iam::1:role/P"}, "12 digits"},
		{"P", nil, "is not the ARN of a role"},
	} {
		err := CheckPartitions(tc.role, tc.others...)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s, %v: got %v, want %q", tc.role, tc.others, err, tc.want)
		}
	}
}

func TestSessionName(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "--",
		"a":                      "a-",
		"caddy-host.example.com": "caddy-host.example.com",
		"caddy-a b/c:dä!":        "caddy-a-b-c-d--",
		strings.Repeat("a", 80):  strings.Repeat("a", 64),
		strings.Repeat("ä", 80):  strings.Repeat("-", 64),
		"caddy-\x00\xff":         "caddy---",
	} {
		got := SessionName(text)
		if got != want || CheckSessionName(got) != nil {
			t.Errorf("%q: got %q (%v), want %q", text, got, CheckSessionName(got), want)
		}
	}
}

func FuzzParseRoleARN(f *testing.F) {
	f.Add("arn:aws:iam::123456789012:role/a/b/P")
	f.Add("arn:aws:iam::123456789012:role/")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRoleARN(s)
		if err == nil && (r.String() != s || !modelRoleARN.MatchString(s)) {
			t.Errorf("%q was taken apart into %+v", s, r)
		}
	})
}
