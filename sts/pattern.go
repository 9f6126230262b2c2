package sts

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
)

const exampleRolePattern = "arn:aws:iam::123456789012:role/NAME, where * and ? may stand for parts of the partition, the account, and each part of the path and name"

// CheckRolePattern says whether pattern can match the ARN of a role. A pattern is such an ARN in
// which `*` stands for any characters, and `?` for one, in the partition, the account, and each
// part of the path and name. Neither crosses a colon or a slash: `role/acme-*` does not cover
// `role/acme-x/Admin`. There is no escape.
func CheckRolePattern(pattern string) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%q can match no role: %s: write %s", clip.Text(pattern), fmt.Sprintf(format, args...), exampleRolePattern)
	}
	if len(pattern) > 2048 {
		return bad("it has more than 2048 characters")
	}
	f := strings.SplitN(pattern, ":", 6)
	if len(f) < 6 || f[0] != "arn" || f[2] != "iam" || f[3] != "" {
		return bad("it does not have the form arn:PARTITION:iam::ACCOUNT:role/NAME")
	}
	partition, account, resource := f[1], f[4], f[5]
	if !matchesAnyPartition(partition) {
		return bad("%q covers none of the partitions %s", clip.Text(partition), partitionIDs())
	}
	switch {
	case !consistsOf(account, func(c byte) bool { return isDigit(c) || isWildcard(c) }):
		return bad("the account %q has more than digits, * and ?", clip.Text(account))
	case strings.Contains(account, "*"):
		if len(strings.ReplaceAll(account, "*", "")) > 12 {
			return bad("the account %q has more than 12 digits", clip.Text(account))
		}
	case len(account) != 12:
		return bad("the account %q is not 12 digits", clip.Text(account))
	}
	rest, ok := strings.CutPrefix(resource, "role/")
	if !ok {
		return bad("it does not go on with role/ after the account")
	}
	slash := strings.LastIndexByte(rest, '/')
	path, name := rest[:slash+1], rest[slash+1:]
	switch {
	case strings.HasPrefix(path, "/") || strings.Contains(path, "//") || !consistsOf(path, isPathByte):
		return bad("the path %q is not visible ASCII with single slashes", clip.Text(path))
	case name == "" || !consistsOf(name, func(c byte) bool { return isNameByte(c) || isWildcard(c) }):
		return bad("the name %q is not letters, digits, and any of _+=,.@-*?", clip.Text(name))
	case len(strings.ReplaceAll(name, "*", "")) > 64:
		return bad("the name %q has more than 64 characters", clip.Text(name))
	}
	return nil
}

func isWildcard(c byte) bool { return c == '*' || c == '?' }

func matchesAnyPartition(pattern string) bool {
	return slices.ContainsFunc(partitions, func(p endpoint.Partition) bool { return glob(pattern, p.ID) })
}

// MatchRole says whether a pattern, as CheckRolePattern describes it, covers the ARN of a role.
// What is no role's ARN is covered by nothing.
func MatchRole(pattern, arn string) bool {
	return glob(pattern, arn) && CheckRoleARN(arn) == nil
}

// glob matches all of s. On a mismatch it goes back to the latest `*` only and lets it take one more
// character: what an earlier one of the same field could take instead, the latest can take too, and
// those of other fields have no say in this one.
func glob(pattern, s string) bool {
	p, i := 0, 0
	star, taken := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, taken = p, i
			p++
		case p < len(pattern) && (pattern[p] == s[i] || pattern[p] == '?' && !isSeparator(s[i])):
			p++
			i++
		case star >= 0 && !isSeparator(s[taken]):
			taken++
			p, i = star+1, taken
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

func isSeparator(c byte) bool { return c == ':' || c == '/' }
