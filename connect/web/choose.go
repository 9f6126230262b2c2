package web

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// fieldIntegration is the field of the form by which a customer chooses among a session's integrations.
const fieldIntegration = "integration"

// choosePage asks which integration the session is for.
type choosePage struct {
	frame
	FormToken string
	Customer  []string
	Choices   []choiceName
}

// choiceName is an integration as customers know it.
type choiceName struct{ Key, Name string }

// showChoices answers with the page on which one is chosen. One that is not there any more is not offered.
func (v *visit) showChoices(session *connect.Session) {
	p := choosePage{frame: v.frame(nil), FormToken: formToken(v.token), Customer: customerNames(session)}
	for _, c := range session.Choices {
		if i, ok := v.h.service.Integration(c.Integration); ok {
			p.Choices = append(p.Choices, choiceName{i.Key, cmp.Or(i.DisplayName, i.Key)})
		}
	}
	p.Title = p.T("choose.title")
	v.render(http.StatusOK, "choose.html", &p.frame, &p)
}

// choose has the session be for an integration, or for none yet, and shows what comes next.
func (v *visit) choose(integration string) {
	session, err := v.h.store.Choose(v.r.Context(), v.token, integration)
	if err != nil && !errors.Is(err, connect.ErrInvalid) && !errors.Is(err, connect.ErrConflict) && !errors.Is(err, connect.ErrUsed) {
		v.fail(err, &connect.Page{Session: session})
		return
	}
	v.seeOther("./")
}
