package sources

import (
	"errors"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// helperValues are the values of STSHelper that may hold placeholders.
type helperValues struct {
	endpointValues

	roleARN, externalID template // which a request may fill
	region, service     template // which it may not
}

// fixedFields are those that no request may fill.
func (h *STSHelper) fixedFields(v *helperValues) []helperField {
	return append(h.fields(&v.endpointValues), helperField{"region", h.Region, &v.region}, helperField{"service", h.Service, &v.service})
}

// helperValues makes a template of each value.
func (h *STSHelper) helperValues(of func(string) (template, error)) (helperValues, error) {
	var v helperValues
	fields := append(h.fixedFields(&v), helperField{"role_arn", h.RoleARN, &v.roleARN}, helperField{"external_id", h.ExternalID, &v.externalID})
	err := fillTemplates(fields, of)
	return v, err
}

// checkFixedFields refuses placeholders that only a request can fill, where nobody can say what it may fill
// in: who gets the External ID and the secret, and what that is.
func (h *STSHelper) checkFixedFields() error { return checkFilled(h.fixedFields(new(helperValues))) }

// check checks each value that is known. Options may still follow.
func (h *STSHelper) check(v helperValues) error {
	for _, f := range h.IdentityFields() {
		if err := CheckIdentityPlaceholders(f.Name, f.Value); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name  string
		value template
		check func(string) error
	}{
		{"role_arn", v.roleARN, sts.CheckRoleARN},
		{"external_id", v.externalID, sts.CheckExternalID},
		{"region", v.region, checkRegion},
		{"service", v.service, endpoint.CheckService},
	} {
		if f.value.perRequest() || f.value.isEmpty() {
			continue
		}
		if err := f.check(f.value.known()); err != nil {
			return inField(f.name, err)
		}
	}
	return h.HelperEndpoint.check(v.endpointValues)
}

// checkComplete checks what can only be said when all options are there.
func (h *STSHelper) checkComplete(v helperValues) error {
	if err := h.HelperEndpoint.checkComplete(v.endpointValues); err != nil {
		return err
	}
	if v.roleARN.isEmpty() {
		return inField("role_arn", errors.New("it is missing: write one like arn:aws:iam::123456789012:role/NAME"))
	}
	if region := v.region.known(); region != "" && !v.roleARN.perRequest() {
		return inField("region", sts.CheckPartitions(v.roleARN.known(), region))
	}
	return nil
}
