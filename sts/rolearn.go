// Package sts calls AWS Security Token Service: it assumes roles, and knows the grammar of what
// goes into such a call, so that a mistake is found where it was written and not by AWS.
package sts

import (
	"fmt"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
)

// RoleARN is the ARN of an IAM role, taken apart.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html.
type RoleARN struct {
	// Partition is the ID of the AWS partition, for example "aws" or "aws-cn".
	Partition string

	// Account is the 12 digits of the account that the role belongs to.
	Account string

	// Path begins and ends with a slash; it is "/" for most roles.
	Path string

	// Name is the role's name, without the path.
	Name string
}

// String returns the ARN.
func (r RoleARN) String() string {
	return "arn:" + r.Partition + ":iam::" + r.Account + ":role" + r.Path + r.Name
}

const exampleRoleARN = "arn:aws:iam::123456789012:role/NAME"

// ParseRoleARN takes the ARN of an IAM role apart. An error says what is wrong with it and what to
// write.
func ParseRoleARN(arn string) (RoleARN, error) {
	bad := func(format string, args ...any) (RoleARN, error) {
		return RoleARN{}, fmt.Errorf("%q is not the ARN of a role: %s: write one like %s",
			clip.Text(arn), fmt.Sprintf(format, args...), exampleRoleARN)
	}
	switch n := len(arn); {
	case n == 0:
		return bad("it is empty")
	case n < 20 || n > 2048:
		return bad("it has %d characters, of 20 to 2048", n)
	}
	f := strings.SplitN(arn, ":", 6)
	if len(f) < 6 || f[0] != "arn" {
		return bad("it does not have the form arn:PARTITION:iam::ACCOUNT:role/NAME")
	}
	partition, service, region, account, resource := f[1], f[2], f[3], f[4], f[5]
	switch {
	case !isPartition(partition):
		return bad("%q is none of the partitions %s", clip.Text(partition), partitionIDs())
	case service == "sts":
		return bad("it names a session of a role, which can't be assumed")
	case service != "iam":
		return bad("its service is %q, not iam", clip.Text(service))
	case region != "":
		return bad("roles belong to no region, so nothing stands between iam: and :ACCOUNT")
	case !isAccount(account):
		return bad("the account %q is not 12 digits", clip.Text(account))
	}
	rest, ok := strings.CutPrefix(resource, "role/")
	if !ok {
		kind, _, _ := strings.Cut(resource, "/")
		return bad("it names a %q, not a role/", clip.Text(kind))
	}
	slash := strings.LastIndexByte(rest, '/')
	path, name := "/"+rest[:slash+1], rest[slash+1:]
	switch {
	case len(path) > 512 || strings.Contains(path, "//") || !consistsOf(path, isPathByte):
		return bad("the path %q is not up to 512 visible ASCII characters with single slashes", clip.Text(path))
	case len(name) > 64 || name == "" || !consistsOf(name, isNameByte):
		return bad("the role's name %q is not 1 to 64 letters, digits, and any of _+=,.@-", clip.Text(name))
	}
	return RoleARN{Partition: partition, Account: account, Path: path, Name: name}, nil
}

// CheckRoleARN says whether arn is the ARN of an IAM role: 20 to 2048 characters, an AWS partition,
// a 12-digit account, a path of at most 512 characters, a name of at most 64.
// See https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html.
func CheckRoleARN(arn string) error {
	_, err := ParseRoleARN(arn)
	return err
}

// CheckPartitions says whether a role can be assumed given the regions and the roles of the brokers
// on its way, each either a region's name or a role's ARN: credentials of one AWS partition mean
// nothing in another.
func CheckPartitions(roleARN string, others ...string) error {
	role, err := ParseRoleARN(roleARN)
	if err != nil {
		return err
	}
	for _, o := range others {
		if strings.HasPrefix(o, "arn:") {
			broker, err := ParseRoleARN(o)
			if err != nil {
				return err
			}
			if broker.Partition != role.Partition {
				return fmt.Errorf("%s is in the partition %s and can't be assumed by %s in %s: write roles of one partition",
					roleARN, role.Partition, o, broker.Partition)
			}
			continue
		}
		p, ok := endpoint.PartitionOf(o)
		if !ok {
			return fmt.Errorf("%q is not the name of an AWS region: write one like us-east-1", clip.Text(o))
		}
		if p.ID != role.Partition {
			return fmt.Errorf("%s is in the partition %s and can't be assumed in the region %s of %s: write a region of %s",
				roleARN, role.Partition, o, p.ID, role.Partition)
		}
	}
	return nil
}

var partitions = endpoint.Partitions()

// defaultRegion returns the region of a partition that has STS and that no account needs to opt in
// to.
func defaultRegion(partition string) string {
	for _, p := range partitions {
		if p.ID == partition {
			return p.DefaultRegion
		}
	}
	return ""
}

func isPartition(id string) bool { return defaultRegion(id) != "" }

func partitionIDs() string {
	ids := make([]string, len(partitions))
	for i, p := range partitions {
		ids[i] = p.ID
	}
	return strings.Join(ids, ", ")
}

func isAccount(s string) bool { return len(s) == 12 && consistsOf(s, isDigit) }

// consistsOf says whether all bytes of s satisfy is.
func consistsOf(s string, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isNameByte accepts what IAM writes as [\w+=,.@-], in role names and session names.
func isNameByte(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("_+=,.@-", c) >= 0
}

// isPathByte accepts what IAM writes as [\x21-\x7E].
func isPathByte(c byte) bool { return '!' <= c && c <= '~' }
