package sts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
)

// The limits of session policies, from
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html. The size that AWS packs
// them and the tags into has a limit of its own, which nobody can compute.
const (
	maxPolicySize = 2048
	maxPolicyARNs = 10
)

// CompactPolicy returns a session policy without the blanks between its words, which count for its
// size. What is no JSON is an error, as in CheckPolicy.
func CompactPolicy(policy string) (string, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(policy)); err != nil {
		return "", CheckPolicy(policy) // It counts bytes right.
	}
	return b.String(), nil
}

// CheckPolicy says whether policy may be a session policy: one JSON object with statements, in
// characters up to U+00FF.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html.
func CheckPolicy(policy string) error {
	if !utf8.ValidString(policy) {
		return errors.New("it is not UTF-8: write a JSON policy document")
	}
	for _, r := range policy {
		if r > 0xFF || r < ' ' && r != '\t' && r != '\n' && r != '\r' {
			return fmt.Errorf("it holds %q, which AWS does not take in a session policy: write \\u%04x inside of a string", r, r)
		}
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal([]byte(policy), &doc); err != nil {
		return notJSON(err)
	}
	if doc == nil {
		return errors.New("it is null: write a JSON policy document, an object with Version and Statement")
	}
	statement := bytes.TrimSpace(doc["Statement"])
	if len(statement) == 0 || statement[0] != '{' && statement[0] != '[' {
		return errors.New("it has no Statement: write a JSON policy document, an object with Version and Statement")
	}
	statements := []json.RawMessage{statement}
	if statement[0] == '[' {
		if err := json.Unmarshal(statement, &statements); err != nil {
			return notJSON(err)
		}
	}
	for i, s := range statements {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(s, &fields); err != nil || fields == nil {
			return fmt.Errorf("statement %d is no object: write {\"Effect\": …, \"Action\": …, \"Resource\": …}", i+1)
		}
		for _, name := range []string{"Principal", "NotPrincipal"} {
			if _, ok := fields[name]; ok {
				return fmt.Errorf("statement %d has a %s, which a session policy can't have: it is about the session itself; leave it out", i+1, name)
			}
		}
	}
	return nil
}

func notJSON(err error) error {
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("it is not JSON: %w at its byte %d: write a JSON policy document", err, s.Offset)
	}
	return fmt.Errorf("it is no JSON object: %w: write a JSON policy document, an object with Version and Statement", err)
}

// CheckPolicyARNs says whether these managed policies may limit a session of the role: at most 10,
// no two equal, each AWS's own or of the role's account. If the role is not known yet, roleARN is empty.
func CheckPolicyARNs(arns []string, roleARN string) error {
	if len(arns) == 0 {
		return nil
	}
	if len(arns) > maxPolicyARNs {
		return fmt.Errorf("there are %d policies: write at most %d", len(arns), maxPolicyARNs)
	}
	seen := make(map[string]bool, len(arns))
	for _, arn := range arns {
		if err := CheckPolicyARN(arn); err != nil {
			return err
		}
		if seen[arn] {
			return fmt.Errorf("%s is there twice: keep one", clip.Text(arn))
		}
		seen[arn] = true
		if roleARN == "" {
			continue
		}
		role, err := ParseRoleARN(roleARN)
		if err != nil {
			return err
		}
		f := strings.SplitN(arn, ":", 6)
		switch {
		case f[1] != role.Partition:
			return fmt.Errorf("%s is in the partition %s and the role in %s: write a policy of %s", clip.Text(arn), f[1], role.Partition, role.Partition)
		case f[4] != "aws" && f[4] != role.Account:
			return fmt.Errorf("%s is not of the role's account %s, nor AWS's own: write a policy of that account", clip.Text(arn), role.Account)
		}
	}
	return nil
}

// CheckPolicyARN says whether arn is the ARN of a managed policy of IAM.
func CheckPolicyARN(arn string) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%q is not the ARN of a managed policy: %s: write one like arn:aws:iam::aws:policy/ReadOnlyAccess or arn:aws:iam::123456789012:policy/NAME",
			clip.Text(arn), fmt.Sprintf(format, args...))
	}
	f := strings.SplitN(arn, ":", 6)
	switch {
	case len(arn) < 20 || len(arn) > 2048:
		return bad("it has %d characters, of 20 to 2048", len(arn))
	case len(f) < 6 || f[0] != "arn" || f[2] != "iam" || f[3] != "":
		return bad("it does not have the form arn:PARTITION:iam::ACCOUNT:policy/NAME")
	case !isPartition(f[1]):
		return bad("%q is none of the partitions %s", clip.Text(f[1]), partitionIDs())
	case f[4] != "aws" && !isAccount(f[4]):
		return bad("the account %q is neither aws nor 12 digits", clip.Text(f[4]))
	}
	rest, ok := strings.CutPrefix(f[5], "policy/")
	slash := strings.LastIndexByte(rest, '/')
	path, name := "/"+rest[:slash+1], rest[slash+1:]
	switch {
	case !ok:
		return bad("it does not go on with policy/ after the account")
	case len(path) > 512 || strings.Contains(path, "//") || !consistsOf(path, isPathByte):
		return bad("the path %q is not up to 512 visible ASCII characters with single slashes", clip.Text(path))
	case len(name) > 128 || name == "" || !consistsOf(name, isNameByte):
		return bad("the name %q is not 1 to 128 letters, digits, and any of _+=,.@-", clip.Text(name))
	}
	return nil
}

// CheckPolicySize says whether a session policy and managed policies fit into one call: together at
// most 2048 characters.
func CheckPolicySize(policy string, arns []string) error {
	size := utf8.RuneCountInString(policy)
	for _, arn := range arns {
		size += len(arn)
	}
	if size > maxPolicySize {
		return fmt.Errorf("the session policy and the ARNs of policies have %d characters together: write at most %d, or put what is fixed into a managed policy", size, maxPolicySize)
	}
	return nil
}
