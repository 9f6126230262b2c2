package adminweb

import (
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

const (
	perPage = 50

	// most is how many connections are looked through for those of a status.
	most = 100_000
)

// The statuses of a connection, which exclude each other.
const (
	statusPaused    = "paused"
	statusExhausted = "exhausted"
	statusFailing   = "failing"
	statusActive    = "active"
)

func statusOf(c *connect.Connection) string {
	switch {
	case c.Paused:
		return statusPaused
	case c.LastError != nil && !c.LastError.Exhausted.IsZero():
		return statusExhausted
	case c.LastError != nil:
		return statusFailing
	default:
		return statusActive
	}
}

// row is a connection with what is only known here.
type row struct {
	connect.Connection
	Status  string
	Expires time.Time // of the credentials that are held; zero if there are none
}

func (h *Handler) row(c connect.Connection) row {
	r := row{Connection: c, Status: statusOf(&c)}
	if at, ok := h.options.Expires(c); ok {
		r.Expires = at
	}
	return r
}

type connectionsPage struct {
	frame
	Rows         []row
	Integrations []*connect.Configured
	Statuses     []string
	Search       string
	Integration  string
	Status       string
	Total        int
	Counted      bool // whether Total is known
	Next, First  string
}

// listConnections answers with a page of the connections that are asked for.
func (h *Handler) listConnections(v *visit) {
	q := v.r.URL.Query()
	p := &connectionsPage{
		frame: v.frame("connections", "Connections"), Search: q.Get("q"), Integration: q.Get("integration"), Status: q.Get("status"),
		Statuses: []string{statusActive, statusFailing, statusExhausted, statusPaused},
	}
	f := connect.Filter{Search: p.Search}
	if p.Integration != "" {
		f.Integrations = []string{p.Integration}
	}
	var err error
	if p.Integrations, err = h.service.Integrations(); err != nil {
		_, p.Problem = v.explain(err)
	}
	next, err := p.choose(v, f, q.Get("after"))
	status := http.StatusOK
	if err != nil {
		status, p.Problem = v.explain(err)
	}
	q.Del("after")
	q.Del("done")
	if v.r.URL.Query().Has("after") {
		p.First = "?" + q.Encode()
	}
	if next != "" {
		q.Set("after", next)
		p.Next = "?" + q.Encode()
	}
	v.render(status, "connections.html", p)
}

// choose fills the rows, and returns the ID to go on after.
func (p *connectionsPage) choose(v *visit, f connect.Filter, after string) (next string, err error) {
	if p.Status == "" {
		chosen, next, total, err := v.h.service.List(v.r.Context(), f, after, perPage)
		for _, c := range chosen {
			p.Rows = append(p.Rows, v.h.row(c))
		}
		p.Total, p.Counted = total, true
		return next, err
	}
	for seen := 0; seen < most; {
		chosen, next, _, err := v.h.service.List(v.r.Context(), f, after, 1000)
		if err != nil {
			return "", err
		}
		for _, c := range chosen {
			if statusOf(&c) != p.Status {
				continue
			}
			if len(p.Rows) == perPage {
				return p.Rows[perPage-1].ID, nil
			}
			p.Rows = append(p.Rows, v.h.row(c))
		}
		if next == "" {
			return "", nil
		}
		seen, after = seen+len(chosen), next
	}
	return after, nil
}

type connectionPage struct {
	frame
	Row      row
	Verified *connect.Verification // that was just made
}

// connection returns the connection that the path names; if there is none, the answer was given.
func (v *visit) connection() (connect.Connection, bool) {
	c, err := v.h.service.Store().Connection(v.r.Context(), v.r.PathValue("id"))
	if err != nil {
		v.fail(err)
		return c, false
	}
	return c, true
}

func (v *visit) connectionPage(c connect.Connection) *connectionPage {
	return &connectionPage{frame: v.frame("connections", "Connection "+c.ID), Row: v.h.row(c)}
}

func (h *Handler) showConnection(v *visit) {
	if c, ok := v.connection(); ok {
		v.render(http.StatusOK, "connection.html", v.connectionPage(c))
	}
}

// changeConnection verifies, pauses or resumes a connection, or makes a link that renews it.
func (h *Handler) changeConnection(v *visit) {
	c, ok := v.connection()
	if !ok {
		return
	}
	switch action := v.value("action"); action {
	case "verify":
		h.verify(v, c)
	case "pause", "resume":
		_, err := h.service.UpdateConnection(v.r.Context(), c.ID, func(c *connect.Connection) error {
			c.Paused = action == "pause"
			return nil
		})
		if err != nil {
			v.fail(err)
			return
		}
		to := "connections/" + url.PathEscape(c.ID) + "/?done=" + map[string]string{"pause": "paused", "resume": "resumed"}[action]
		v.seeOther(to)
	case "renew":
		h.renew(v, c)
	default:
		v.problem(http.StatusUnprocessableEntity, "It is not known what to do", "")
	}
}

func (h *Handler) verify(v *visit, c connect.Connection) {
	verified, err := h.service.Reverify(v.r.Context(), c.ID)
	if err != nil {
		v.fail(err)
		return
	}
	if now, err := h.service.Store().Connection(v.r.Context(), c.ID); err == nil {
		c = now
	}
	p := v.connectionPage(c)
	p.Verified = &verified
	v.render(http.StatusOK, "connection.html", p)
}

func (h *Handler) renew(v *visit, c connect.Connection) {
	token, session, err := h.service.CreateReconnectSession(v.r.Context(), c.ID, connect.NewSession{Integration: c.Integration})
	if err != nil {
		v.fail(err)
		return
	}
	p := &sessionPage{frame: v.frame("connections", "Link that renews a connection"), Connection: c.ID}
	v.showLink(p, token, session)
}

func (h *Handler) askToDeleteConnection(v *visit) {
	if c, ok := v.connection(); ok {
		v.render(http.StatusOK, "delete.html", &deletePage{
			frame: v.frame("connections", "Delete a connection"), What: "connection", Name: c.RoleARN, Back: "./",
			Warning: "Nothing is called with it any more. The role stays in the customer's account; the customer can connect it again with a new link.",
		})
	}
}

func (h *Handler) deleteConnection(v *visit) {
	c, ok := v.connection()
	if !ok {
		return
	}
	if err := h.service.DeleteConnection(v.r.Context(), c.ID); err != nil {
		v.fail(err)
		return
	}
	v.seeOther("connections/?done=deleted")
}
