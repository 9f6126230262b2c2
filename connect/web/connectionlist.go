package web

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

const (
	// maxPage is how many connections a caller may ask for at once, and defaultPage how many it gets
	// that asks for none in particular.
	maxPage     = 2000
	defaultPage = 10000

	// maxPages keeps the number of what is skipped an int.
	maxPages = 1 << 20
)

// listConnections answers GET /connections.
func (h *Handler) listConnections(r *http.Request, key *Key) (int, any, error) {
	q := readQuery(r)
	f := connect.Filter{
		ID: q.text("connectionId"), Search: q.text("search"), EndUser: q.text("endUserId"), Organization: q.text("endUserOrganizationId"),
		Tags: map[string]string{},
	}
	for tag, value := range q.members("tags") {
		f.Tags[strings.ToLower(tag)] = value
	}
	limit := defaultPage
	if q.values.Has("limit") {
		limit = max(q.number("limit", 1, maxPage), 1)
	}
	skip := q.number("page", 0, maxPages) * limit
	after := q.text("after")
	wanted := q.text("integrationId")
	if after != "" && skip > 0 {
		q.problem("custom", "write either page or after", "page")
	}
	if err := q.done(); err != nil {
		return 0, nil, err
	}
	var none bool
	if f.Integrations, none = key.narrow(wanted); none {
		return http.StatusOK, connectionsJSON(nil, "", 0), nil
	}
	page, next, total, err := h.service.ListFrom(r.Context(), f, after, skip, limit)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, connectionsJSON(page, next, total), nil
}

// narrow returns the integrations of a list that the key may be used with, of all if the list is empty; none
// says that there are none among them.
func (k *Key) narrow(list string) (integrations []string, none bool) {
	if list == "" {
		return k.Integrations, false
	}
	for wanted := range strings.SplitSeq(list, ",") {
		if wanted = strings.TrimSpace(wanted); wanted != "" && k.mayUse(wanted) && !slices.Contains(integrations, wanted) {
			integrations = append(integrations, wanted)
		}
	}
	return integrations, len(integrations) == 0
}

// connectionsJSON is a page of connections as the API writes it.
func connectionsJSON(page []connect.Connection, next string, total int) any {
	list := make([]any, 0, len(page))
	for n := range page {
		out := briefJSON(&page[n])
		out["created"] = timestamp(page[n].Created)
		list = append(list, out)
	}
	return map[string]any{"connections": list, "next": nullable(next), "total": total}
}

// fullJSON is a connection as the API writes it when it is asked for. There are no credentials in it.
func fullJSON(c *connect.Connection, service string) map[string]any {
	config := map[string]string{"role_arn": c.RoleARN, "external_id": c.ExternalID, "region": c.Region, "service": service}
	if c.BaseURL != "" {
		config["base_url"] = c.BaseURL
	}
	out := briefJSON(c)
	maps.Copy(out, map[string]any{
		"connection_config":    config,
		"webhook_url_override": nullable(c.WebhookURL),
		"limits":               limitsJSON(&c.Limits),
		"credentials":          struct{}{},
		"created_at":           timestamp(c.Created),
		"updated_at":           timestamp(c.Updated),
		"verified_at":          nullable(timestamp(c.Verified)),
		"last_fetched_at":      nil,
	})
	if c.Probe != "" {
		out["external_id_probe"] = c.Probe
	}
	return out
}

// briefJSON is what every answer has of a connection.
func briefJSON(c *connect.Connection) map[string]any {
	out := map[string]any{
		"id":                  number(c.ID),
		"connection_id":       c.ID,
		"provider_config_key": c.Integration,
		"provider":            "aws-sigv4",
		"account":             c.Account,
		"errors":              problemsJSON(c.LastError),
		"paused":              c.Paused,
		"tags":                notNil(c.Tags),
		"metadata":            notNil(c.Metadata),
		"end_user":            nil,
		"organization":        nil,
	}
	if c.EndUser.ID != "" {
		out["end_user"] = endUser(c.EndUser, c.Organization)
	}
	if c.Organization.ID != "" {
		out["organization"] = organization(c.Organization)
	}
	return out
}

func problemsJSON(e *connect.Failure) []map[string]string {
	if e == nil {
		return []map[string]string{}
	}
	return []map[string]string{{
		"type": "auth", "log_id": e.RequestID, "code": string(e.Code), "message": e.Text, "at": timestamp(e.At),
	}}
}

// number makes a number of a connection's ID, for clients that want one. Its 52 random bits fit into a
// number of JavaScript's.
func number(id string) uint64 {
	var n uint64
	digits := 0
	for _, c := range strings.ReplaceAll(id, "-", "") {
		d := strings.IndexRune("0123456789abcdef", c)
		if digits++; digits == 13 || d < 0 {
			continue // The version of the UUID.
		}
		if digits > 14 {
			break
		}
		n = n<<4 | uint64(d)
	}
	return n
}
