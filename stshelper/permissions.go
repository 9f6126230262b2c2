package stshelper

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// checkPermissions reports what a key could never use, or would have without limit. Errors begin with
// the field's name.
func (h *Handler) checkPermissions(k *Key) error {
	if len(k.Roles) == 0 && k.Role == "" {
		return fmt.Errorf("roles: key %q may ask for none: write roles with the ARNs or patterns that it may ask for, or role with the one of GET /credentials/%s", k.Name, k.Name)
	}
	for i, pattern := range k.Roles {
		if err := sts.CheckRolePattern(pattern); err != nil {
			return fmt.Errorf("roles[%d]: %w", i, err)
		}
	}
	for i, pattern := range k.ExternalIDs {
		if err := CheckExternalIDPattern(pattern); err != nil {
			return fmt.Errorf("external_ids[%d]: %w", i, err)
		}
	}
	switch {
	case len(k.ExternalIDs) > 0 && len(k.Roles) == 0:
		return fmt.Errorf("external_ids: key %q has no roles that they could go with: write roles, or external_id for the one of GET /credentials/%s", k.Name, k.Name)
	case k.Probe && len(k.Roles) == 0:
		return fmt.Errorf("probe: key %q has no roles to probe: write roles", k.Name)
	case k.Role == "" && k.ExternalID != "":
		return fmt.Errorf("external_id: key %q has no role that it could go with: write role, or external_ids for what POST may ask for", k.Name)
	case k.Role == "":
		return nil
	}
	if err := sts.CheckRoleARN(k.Role); err != nil {
		return fmt.Errorf("role: %w", err)
	}
	if err := h.checkPartition(k.Role, ""); err != nil {
		return fmt.Errorf("role: %w", err)
	}
	switch {
	case k.ExternalID != "":
		if err := sts.CheckExternalID(k.ExternalID); err != nil {
			return fmt.Errorf("external_id: %w", err)
		}
	case !h.opts.OptionalExternalID:
		return fmt.Errorf("external_id: the role of key %q has none: write external_id, or require_external_id off", k.Name)
	}
	return nil
}

// checkPartition says whether the broker can assume a role, calling the STS of a region, if any.
func (h *Handler) checkPartition(role, region string) error {
	var others []string
	if h.opts.Broker.RoleARN != "" {
		others = append(others, h.opts.Broker.RoleARN)
	}
	if region != "" {
		others = append(others, region)
	}
	return sts.CheckPartitions(role, others...)
}

// permit says whether a key may have a role with an External ID, which are of the right form.
func (h *Handler) permit(k *key, role, externalID string) *failure {
	if !slices.ContainsFunc(k.Roles, func(pattern string) bool { return sts.MatchRole(pattern, role) }) {
		return notPermitted("role_arn", "key %s may not ask for this role", k.Name)
	}
	if len(k.ExternalIDs) > 0 && !slices.ContainsFunc(k.ExternalIDs, func(pattern string) bool { return matchExternalID(pattern, externalID) }) {
		return notPermitted("external_id", "key %s may not use this External ID", k.Name)
	}
	return nil
}

func notPermitted(field, format string, args ...any) *failure {
	return &failure{
		status: http.StatusForbidden, word: "not_permitted", field: field, outcome: Refused,
		message: fmt.Sprintf(format, args...) + "; AWS was not asked",
	}
}

// CheckExternalIDPattern says whether a pattern can match an External ID. It is an External ID in
// which `*` stands for any characters, and `?` for one, neither of them a colon or a slash.
func CheckExternalIDPattern(pattern string) error {
	// Either wildcard may stand for a letter.
	example := strings.NewReplacer("*", "xx", "?", "x").Replace(pattern)
	if sts.CheckExternalID(example) != nil {
		return fmt.Errorf("%.80q can match no External ID: write 2 to 1224 letters, digits, and _+=,.@:/-, with * and ? for parts of it", pattern)
	}
	return nil
}

// matchExternalID compares field by field: `*` crosses neither `:` nor `/`.
func matchExternalID(pattern, id string) bool {
	patterns, fields := strings.Split(pattern, ":"), strings.Split(id, ":")
	if len(patterns) != len(fields) {
		return false
	}
	for i, p := range patterns {
		// Of path.Match's own characters an External ID holds none but the wildcards.
		if ok, err := path.Match(p, fields[i]); !ok || err != nil {
			return false
		}
	}
	return true
}

// CheckRegion says whether name has the form of an AWS region's name.
func CheckRegion(name string) error {
	if _, ok := endpoint.PartitionOf(name); !ok {
		return fmt.Errorf("%.80q is not the name of an AWS region: write one like eu-west-1", name)
	}
	return nil
}

// CheckOrigin says whether a browser could send this as its Origin.
func CheckOrigin(origin string) error {
	if origin == "*" {
		return errors.New("`*` would let every web page ask for credentials with a key that a browser holds: write origins such as https://app.example.com")
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || origin != u.Scheme+"://"+u.Host || strings.ToLower(origin) != origin {
		return fmt.Errorf("%.80q is not a web origin: write scheme and host in lower case, and nothing after it, such as https://app.example.com", origin)
	}
	return nil
}
