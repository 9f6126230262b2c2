package web

import (
	"cmp"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/trust"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
)

// connectPage is what the templates of a session's page see.
type connectPage struct {
	frame
	*connect.Page

	FormToken string
	Customer  []string // whom it is for, as the vendor calls them
	Cards     []*card
	ByHand    *byHand
	Guide     string // the URL of the first guide, for links from the fields

	Failure *failure
	Steps   []step

	ExampleARN    string
	ExampleRegion string
	Minutes       int // how long a session lasts

	CancelURL string
	DoneURL   string
	Until     time.Time
}

// byHand is the trust policy for those who make the role themselves.
type byHand struct {
	Name, Policy, Create, Update, Terraform string
}

// step is a part of a verification, with its state done, now or todo.
type step struct {
	Name  connect.Step
	State string
}

// show answers with the page as it stands.
func (h *Handler) show(v *visit) {
	// That the page is open keeps the session alive. If it can't be, the page itself says why.
	session, err := h.store.RenewSession(v.r.Context(), v.token)
	if errors.Is(err, connect.ErrUnavailable) {
		h.options.Report(err)
	}
	if err == nil && session.Integration == "" {
		v.showChoices(&session)
		return
	}
	page, err := h.service.Page(v.r.Context(), v.token)
	if err != nil {
		v.fail(err, page)
		return
	}
	if page.Verification.State == connect.StateRunning && v.r.URL.Query().Has("change") {
		page.Verification = connect.Verification{State: connect.StateNone} // Other input gives up what runs.
	}
	v.showPage(http.StatusOK, page)
}

// showPage answers with the page in its state.
func (v *visit) showPage(status int, page *connect.Page) {
	p := v.connectPage(page)
	switch page.Verification.State {
	case connect.StateRunning:
		p.Title, p.Steps = p.T("running.title"), steps(page)
		v.render(status, "running.html", &p.frame, p)
	case connect.StateSucceeded:
		p.Title = p.T("done.title")
		p.Embedding.connected(page.Session.Integration, &page.Verification)
		v.render(status, "done.html", &p.frame, p)
	default:
		p.Title = p.T("connect.title")
		if page.Session.Reconnect {
			p.Title = p.T("connect.title_renew")
		}
		if page.Verification.State == connect.StateFailed {
			p.Failure = p.failure(&page.Verification)
			p.Title = p.T("error.prefix") + ": " + p.Title
			p.Embedding.failed(string(p.Failure.Code), p.Failure.What)
		}
		v.render(status, "connect.html", &p.frame, p)
	}
}

// cancelCode says why a customer who goes back does: because of the failure that the page shows, if it
// shows one.
func cancelCode(v *connect.Verification) string {
	if v.State == connect.StateFailed && v.Code != "" {
		return string(v.Code)
	}
	return "cancelled"
}

func (v *visit) connectPage(page *connect.Page) *connectPage {
	if guide := page.Session.Guide; guide != "" {
		with := *page.Integration
		with.Instructions = []connect.Instruction{{URL: guide}}
		page.Integration = &with
	}
	session, i := &page.Session, page.Integration
	p := &connectPage{
		frame:     v.frame(i),
		Page:      page,
		FormToken: formToken(v.token),
		Minutes:   int(cmp.Or(i.Duration, time.Hour).Minutes()),
		CancelURL: session.ErrorURL(cancelCode(&page.Verification)),
		DoneURL:   session.SuccessURL(),
		Until:     session.Expires,
	}
	p.Customer = customerNames(session)
	partition := cmp.Or(page.Principal.Partition, "aws")
	p.ExampleARN = "arn:" + partition + ":iam::123456789012:role/Name"
	p.ExampleRegion = i.Region
	for _, known := range endpoint.Partitions() {
		if known.ID == partition {
			p.ExampleRegion = cmp.Or(i.Region, known.DefaultRegion)
		}
	}
	if len(i.Instructions) > 0 {
		p.Guide = i.Instructions[0].URL
	}
	for n := range page.Cards {
		p.Cards = append(p.Cards, p.card(&page.Cards[n], n))
	}
	p.ByHand = handmade(page)
	return p
}

// customerNames are whom a session is for, as the vendor calls them.
func customerNames(session *connect.Session) (names []string) {
	for _, who := range []string{cmp.Or(session.Organization.DisplayName, session.Organization.ID), cmp.Or(session.EndUser.DisplayName, session.EndUser.Email, session.EndUser.ID)} {
		if who != "" {
			names = append(names, who)
		}
	}
	return names
}

var notRoleName = regexp.MustCompile(`[^A-Za-z0-9_+=,.@-]+`)

// handmade returns nil if it is not known whom the role has to trust.
func handmade(page *connect.Page) *byHand {
	i := page.Integration
	name := strings.Trim(notRoleName.ReplaceAllString("Connect-"+i.Key, "-"), "-")
	role := trust.Role{
		Name:  name[:min(len(name), 64)],
		Trust: trust.Policy{Principal: page.Principal, ExternalID: page.ExternalID, TagSession: page.TagSession},
	}
	if i.Duration > time.Hour {
		role.MaxSessionDuration = i.Duration
	}
	b := byHand{Name: role.Name}
	var errs [4]error
	b.Policy, errs[0] = role.Trust.JSON()
	b.Create, errs[1] = role.CreateCommands()
	b.Update, errs[2] = role.UpdateCommand()
	b.Terraform, errs[3] = role.Terraform()
	if page.Problem != "" || errors.Join(errs[:]...) != nil {
		return nil
	}
	return &b
}

// steps are those of a verification that runs.
func steps(page *connect.Page) []step {
	names := []connect.Step{connect.StepAssumeRole, connect.StepIdentity}
	if page.Integration.ExternalIDProbe != connect.ProbeOff {
		names = append(names, connect.StepExternalID)
	}
	if page.Integration.TestCall != nil {
		names = append(names, connect.StepTestCall)
	}
	names = append(names, connect.StepSaving)
	at := slices.Index(names, page.Verification.Step)
	all := make([]step, 0, len(names))
	for n, name := range names {
		state := "todo"
		switch {
		case n < at:
			state = "done"
		case n == at:
			state = "now"
		}
		all = append(all, step{name, state})
	}
	return all
}
