package connect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// CheckInput says what is wrong with what a customer typed, without asking AWS. An empty region means
// the integration's. As long as nobody has asked who the vendor's principal is, its own account is not
// told apart here; Submit does that.
func (s *Service) CheckInput(session Session, roleARN, region string) []FieldError {
	c, err := s.integrationOfSession(&session)
	if err != nil {
		return nil // Submit and Page say so.
	}
	return checkInput(&session, c, s.knownPrincipal(session.Integration), roleARN, region)
}

// checkInput needs the principal to refuse the vendor's own account; the zero one refuses none.
func checkInput(session *Session, c *Configured, vendor Principal, roleARN, region string) []FieldError {
	roleARN, region = strings.TrimSpace(roleARN), regionOf(session, &c.Integration, region)
	var wrong []FieldError
	complain := func(field string, code Code, format string, args ...any) {
		wrong = append(wrong, FieldError{field, code, fmt.Sprintf(format, args...)})
	}
	role, err := sts.ParseRoleARN(roleARN)
	switch {
	case err != nil:
		complain(FieldRoleARN, CodeInvalidRoleARN, "%v", err)
	case session.Prefill.RoleARN.refuses(roleARN):
		complain(FieldRoleARN, CodePrefillMismatch, "this session is for the role %s", session.Prefill.RoleARN.Text)
	case vendor.Partition != "" && role.Partition != vendor.Partition:
		complain(FieldRoleARN, CodePartitionMismatch, "the role is in the partition %s of AWS, and can be assumed from %s only: write a role of an account there", role.Partition, vendor.Partition)
	case !c.allows(role.Account, vendor.Account):
		complain(FieldRoleARN, CodeAccountNotAllowed, "roles of the account %s can't be connected here: write a role of your own account, or ask for yours to be allowed", role.Account)
	}
	parsed := err == nil
	partition, ok := endpoint.PartitionOf(region)
	switch {
	case region == "":
		complain(FieldRegion, CodeInvalidRegion, "which region? write one like us-east-1")
	case !ok || len(region) > 63:
		complain(FieldRegion, CodeInvalidRegion, "%q is not the name of an AWS region: write one like us-east-1", clip.Text(region))
	case session.Prefill.Region.refuses(region):
		complain(FieldRegion, CodePrefillMismatch, "this session is for the region %s", session.Prefill.Region.Text)
	case len(c.Regions) > 0 && !slices.Contains(c.Regions, region) && session.Prefill.Region.Text != region:
		complain(FieldRegion, CodeRegionNotAllowed, "%s is not among the regions that can be connected: choose one of %s", region, strings.Join(c.Regions, ", "))
	case parsed && partition.ID != role.Partition:
		complain(FieldRegion, CodePartitionMismatch, "the region is in the partition %s of AWS and the role in %s: choose a region of %s", partition.ID, role.Partition, role.Partition)
	}
	return wrong
}

// regionOf returns the region that is meant where none was typed: the vendor's for this session, else
// the integration's.
func regionOf(session *Session, i *Integration, typed string) string {
	return cmp.Or(strings.TrimSpace(typed), session.Prefill.Region.Text, i.Region)
}

// allows says whether roles of an account may be connected. A role of the vendor's own account may
// trust the vendor for reasons of its own, so the account must be allowed by name.
func (i *Integration) allows(account, vendor string) bool {
	switch {
	case slices.Contains(i.DenyAccounts, account):
		return false
	case len(i.AllowAccounts) > 0:
		return slices.Contains(i.AllowAccounts, account)
	default:
		return account != vendor
	}
}
