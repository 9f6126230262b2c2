package standin

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

var memberParameter = regexp.MustCompile(`^(?:Tags\.member\.([1-9]\d*)\.(Key|Value)|(TransitiveTagKeys)\.member\.([1-9]\d*)|(PolicyArns)\.member\.([1-9]\d*)\.arn)$`)

// parseAssumeRole reads and checks the parameters. One that the stand-in does not know is an error, since to leave it out
// would be to let too much happen.
func parseAssumeRole(form url.Values) (*assumeRoleInput, *refusal) {
	type tag struct{ key, value *string }
	in := &assumeRoleInput{duration: time.Hour, tags: map[string]string{}}
	tags, transitive, policies := map[int]tag{}, map[int]string{}, map[int]string{}
	plain := map[string]*string{
		"RoleArn": &in.roleARN, "RoleSessionName": &in.name, "ExternalId": &in.externalID, "SourceIdentity": &in.sourceIdentity,
		"Policy": &in.policy, "SerialNumber": &in.serial, "TokenCode": &in.code,
	}
	for name, values := range form {
		value := values[0]
		if len(values) > 1 {
			return nil, refuse(http.StatusBadRequest, "MalformedInput", "The parameter %s is there more than once.", name)
		}
		switch m := memberParameter.FindStringSubmatch(name); {
		case m != nil && m[2] != "":
			i, _ := strconv.Atoi(m[1])
			t := tags[i]
			if m[2] == "Key" {
				t.key = &value
			} else {
				t.value = &value
			}
			tags[i] = t
		case m != nil && m[3] != "":
			i, _ := strconv.Atoi(m[4])
			transitive[i] = value
		case m != nil:
			i, _ := strconv.Atoi(m[6])
			policies[i] = value
		case plain[name] != nil:
			*plain[name] = value
		case name == "DurationSeconds":
			seconds, err := strconv.ParseInt(value, 10, 32)
			if err != nil {
				return nil, refuse(http.StatusBadRequest, "MalformedInput", "DurationSeconds is no number: %s", clip(value))
			}
			in.duration = time.Duration(seconds) * time.Second
		case name == "Action", name == "Version", strings.HasPrefix(name, "X-Amz-"):
		default:
			return nil, refuse(http.StatusNotImplemented, "NotImplemented", "The stand-in does not know the parameter %s.", name)
		}
	}
	for _, i := range slices.Sorted(maps.Keys(tags)) {
		t := tags[i]
		if t.key == nil || t.value == nil {
			return nil, unfulfilled("null", fmt.Sprintf("tags.%d.member.%s", i, map[bool]string{true: "key", false: "value"}[t.key == nil]), "Member must not be null")
		}
		if refused := in.addTag(i, *t.key, *t.value); refused != nil {
			return nil, refused
		}
	}
	for _, i := range slices.Sorted(maps.Keys(transitive)) {
		in.transitive = append(in.transitive, transitive[i])
	}
	for _, i := range slices.Sorted(maps.Keys(policies)) {
		in.policyARNs = append(in.policyARNs, policies[i])
	}
	return in, in.check(form)
}

func (in *assumeRoleInput) addTag(i int, key, value string) *refusal {
	at := fmt.Sprintf("tags.%d.member.", i)
	switch {
	case utf8.RuneCountInString(key) < 1 || utf8.RuneCountInString(key) > 128:
		return unfulfilled(key, at+"key", "Member must have length less than or equal to 128, and greater than or equal to 1")
	case utf8.RuneCountInString(value) > 256:
		return unfulfilled(value, at+"value", "Member must have length less than or equal to 256")
	case !tagText.MatchString(key):
		return unfulfilled(key, at+"key", `Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+`)
	case !tagText.MatchString(value):
		return unfulfilled(value, at+"value", `Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]*`)
	case strings.HasPrefix(strings.ToLower(key), "aws:"):
		return refuse(http.StatusBadRequest, "InvalidParameterValue", "The tag key %s begins with aws:, which is reserved.", key)
	}
	if _, twice := find(in.tags, key); twice {
		return refuse(http.StatusBadRequest, "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
	}
	in.tags[key] = value
	return nil
}

var (
	arnText         = regexp.MustCompile(`^[\x{9}\x{a}\x{d}\x{20}-\x{7e}\x{85}\x{a0}-\x{d7ff}\x{e000}-\x{fffd}\x{10000}-\x{10ffff}]+$`)
	tagText         = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
	sessionNameText = regexp.MustCompile(`^[\w+=,.@-]*$`)
	externalIDText  = regexp.MustCompile(`^[\w+=,.@:/-]*$`)
	serialText      = regexp.MustCompile(`^[\w+=/:,.@-]*$`)
	codeText        = regexp.MustCompile(`^[\d]*$`)
	policyText      = regexp.MustCompile(`^[\x{9}\x{a}\x{d}\x{20}-\x{ff}]+$`)
)

// check checks what is no tag, in the order in which the API's model lists it.
func (in *assumeRoleInput) check(form url.Values) *refusal {
	for _, name := range []string{"RoleArn", "RoleSessionName"} {
		if !form.Has(name) {
			return invalid("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", strings.ToLower(name[:1])+name[1:])
		}
	}
	for _, p := range []struct {
		name, value string
		low, high   int
		pattern     *regexp.Regexp
	}{
		{"RoleArn", in.roleARN, 20, 2048, arnText},
		{"RoleSessionName", in.name, 2, 64, sessionNameText},
		{"Policy", in.policy, 1, maxPolicies, policyText},
		{"ExternalId", in.externalID, 2, 1224, externalIDText},
		{"SerialNumber", in.serial, 9, 256, serialText},
		{"TokenCode", in.code, 6, 6, codeText},
		{"SourceIdentity", in.sourceIdentity, 2, 64, sessionNameText},
	} {
		if !form.Has(p.name) {
			continue
		}
		if refused := checkText(p.value, strings.ToLower(p.name[:1])+p.name[1:], p.low, p.high, p.pattern); refused != nil {
			return refused
		}
	}
	if !roleARN.MatchString(in.roleARN) {
		return invalid("%s is invalid", in.roleARN)
	}
	switch seconds := int(in.duration / time.Second); {
	case seconds < 900:
		return unfulfilled(strconv.Itoa(seconds), "durationSeconds", "Member must have value greater than or equal to 900")
	case seconds > 43200:
		return unfulfilled(strconv.Itoa(seconds), "durationSeconds", "Member must have value less than or equal to 43200")
	case len(in.tags) > 50:
		return unfulfilled("", "tags", "Member must have length less than or equal to 50")
	case len(in.transitive) > 50:
		return unfulfilled("", "transitiveTagKeys", "Member must have length less than or equal to 50")
	case len(in.policyARNs) > 10:
		return unfulfilled("", "policyArns", "Member must have length less than or equal to 10")
	case strings.HasPrefix(strings.ToLower(in.sourceIdentity), "aws:"):
		return refuse(http.StatusBadRequest, "InvalidParameterValue", "The source identity begins with aws:, which is reserved.")
	}
	for i, arn := range in.policyARNs {
		if refused := checkText(arn, fmt.Sprintf("policyArns.%d.member.arn", i+1), 20, 2048, arnText); refused != nil {
			return refused
		}
	}
	for _, key := range in.transitive {
		if _, ok := find(in.tags, key); !ok {
			return refuse(http.StatusBadRequest, "InvalidParameterValue", "The transitive tag key %s is not among the tags.", key)
		}
	}
	return nil
}

func checkText(value, name string, low, high int, pattern *regexp.Regexp) *refusal {
	switch length := utf8.RuneCountInString(value); {
	case length < low:
		return unfulfilled(value, name, fmt.Sprintf("Member must have length greater than or equal to %d", low))
	case length > high:
		return unfulfilled(value, name, fmt.Sprintf("Member must have length less than or equal to %d", high))
	case !pattern.MatchString(value):
		return unfulfilled(value, name, "Member must satisfy regular expression pattern: "+strings.Trim(pattern.String(), "^$"))
	}
	return nil
}
