package adminweb

import (
	"net/http"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/web"
)

// sessionPage makes a link for a customer, or shows one that was just made.
type sessionPage struct {
	frame
	Integration *connect.Configured
	Connection  string // that is renewed, if any

	Organization, OrganizationName, EndUser, EndUserName, Email, Region string

	Link    string
	Expires time.Time
}

func (h *Handler) newSession(v *visit) {
	if c := v.integration(); c != nil {
		v.render(http.StatusOK, "session.html", &sessionPage{frame: v.frame("integrations", "New link for "+c.Key), Integration: c})
	}
}

func (h *Handler) createSession(v *visit) {
	c := v.integration()
	if c == nil {
		return
	}
	p := &sessionPage{
		frame: v.frame("integrations", "New link for "+c.Key), Integration: c, Organization: v.value("organization"), OrganizationName: v.value("organization_name"),
		EndUser: v.value("end_user"), EndUserName: v.value("end_user_name"), Email: v.value("email"), Region: v.value("region"),
	}
	n := connect.NewSession{
		Integration: c.Key, Organization: connect.Organization{ID: p.Organization, DisplayName: p.OrganizationName},
		EndUser: connect.EndUser{ID: p.EndUser, DisplayName: p.EndUserName, Email: p.Email}, Prefill: connect.Prefill{Region: connect.Value{Text: p.Region}},
	}
	var err error
	var token string
	var session connect.Session
	if n.Organization.ID == "" && n.EndUser.ID == "" {
		err = wrong("whom is the link for? write the ID of an organization, of an end user, or of both")
	} else {
		token, session, err = h.service.CreateSession(v.r.Context(), n)
	}
	if err != nil {
		var status int
		status, p.Problem = v.explain(err)
		p.Title = "Error: " + p.Title
		v.render(status, "session.html", p)
		return
	}
	v.showLink(p, token, session)
}

// showLink answers with a link, which is shown here and never again.
func (v *visit) showLink(p *sessionPage, token string, session connect.Session) {
	base := v.h.options.ConnectURL
	if base == "" {
		base = "https://" + v.r.Host
		if !v.h.options.HTTPS(v.r) {
			base = "http://" + v.r.Host
		}
	}
	p.Link, p.Expires, p.Done = web.Link(base, token), session.Expires, "The link was made."
	v.render(http.StatusCreated, "session.html", p)
}
