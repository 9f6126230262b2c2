package web

import (
	"net/http"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// replaceExternalID answers POST /connections/external-id/replace: the next session of a customer shows a new
// External ID, which the first AWS account that is connected with it takes. Connections keep the one they have.
func (h *Handler) replaceExternalID(r *http.Request, key *Key) (int, any, error) {
	if err := readQuery(r).done(); err != nil {
		return 0, nil, err
	}
	f, err := body(r)
	if err != nil {
		return 0, nil, err
	}
	integration := f.text("provider_config_key")
	o, u := readOrganization(f), readEndUser(f)
	switch {
	case integration == "" && !f.wrong("provider_config_key"):
		f.problem("required", "it is needed", "provider_config_key")
	case (o == nil) == (u == nil):
		f.problem("custom", "whose External ID? write the organization or the end user that sessions were made for: the organization if they had one", "organization")
	}
	f.done()
	if len(*f.problems) > 0 {
		return 0, nil, invalidBody(*f.problems...)
	}
	if err := h.knows(key, integration); err != nil {
		return 0, nil, err
	}
	var organization connect.Organization
	var user connect.EndUser
	if o != nil {
		organization = *o
	} else {
		user = *u
	}
	if err := h.service.ReplaceExternalID(r.Context(), integration, organization, user); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]bool{"success": true}, nil
}
