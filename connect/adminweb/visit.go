package adminweb

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/web"
)

// frame is what all pages have in common.
type frame struct {
	Title   string
	Section string // integrations or connections
	User    string
	Up      string // the way to the first page
	Style   string
	Token   string // of forms
	Write   bool   // whether integrations may be written

	Problem string // what went wrong with what was asked for
	Done    string // what was done
}

func (v *visit) frame(section, title string) frame {
	f := frame{
		Title: title, Section: section, User: v.user, Style: v.h.name, Write: v.h.service.Runtime() != nil,
		Up: "./" + strings.Repeat("../", strings.Count(v.r.URL.Path, "/")-1),
	}
	token, err := v.token(time.Now())
	if err != nil {
		v.h.options.Report(err) // The forms will be refused.
	}
	f.Token = token
	f.Done = done[v.r.URL.Query().Get("done")]
	return f
}

// done are what the page says that a browser is sent to after something was done.
var done = map[string]string{
	"created": "The integration was made.", "saved": "It was saved.", "deleted": "It was deleted.", "template": "The template was saved.",
	"removed": "The template was removed.", "paused": "The connection is paused.", "resumed": "The connection may be used again.",
}

// token returns what forms of a user have to send along. It is made of a secret that all instances share, for a
// user and a day.
func (v *visit) token(at time.Time) (string, error) {
	return v.h.service.Store().Proof(v.r.Context(), "admin form", v.user, at.UTC().Format(time.DateOnly))
}

// maxForm is how many bytes a form may have.
const maxForm = 256 << 10

// readForm reads a form, and says whether our own page sent it, for this user. If not, the answer was given.
func (v *visit) readForm() bool {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	err := v.r.ParseForm()
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		v.problem(http.StatusRequestEntityTooLarge, "The form is too large", "")
		return false
	}
	origin := "http://" + v.r.Host
	if v.h.options.HTTPS(v.r) {
		origin = "https://" + v.r.Host
	}
	sent, ok := []byte(v.r.PostFormValue("form_token")), false
	for _, day := range []time.Time{time.Now(), time.Now().Add(-24 * time.Hour)} {
		want, tokenErr := v.token(day)
		if tokenErr != nil {
			v.fail(tokenErr)
			return false
		}
		ok = hmac.Equal(sent, []byte(want)) || ok
	}
	if err != nil || !ok || !web.SameOrigin(v.r, origin) {
		v.problem(http.StatusForbidden, "The form was not sent from this page", "Go back, load the page again, and send it once more. Nothing was changed.")
		return false
	}
	return true
}

// value returns a field of a form without blanks around it.
func (v *visit) value(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }

// render answers with a page.
func (v *visit) render(status int, name string, data any) {
	var b bytes.Buffer
	if err := v.h.pages.ExecuteTemplate(&b, name, data); err != nil {
		v.h.options.Report(fmt.Errorf("the page %s: %w", name, err))
		http.Error(v.w, "The page can't be shown.", http.StatusInternalServerError)
		return
	}
	header := v.w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	v.w.WriteHeader(status)
	v.w.Write(b.Bytes()) //nolint:errcheck // the client may be gone
}

// seeOther sends the browser to another page, given from the first one.
func (v *visit) seeOther(to string) {
	v.w.Header().Set("Location", "./"+strings.Repeat("../", strings.Count(v.r.URL.Path, "/")-1)+to)
	v.w.WriteHeader(http.StatusSeeOther)
}

type problemPage struct {
	frame
	Text string
}

// problem answers with a page that says what is wrong.
func (v *visit) problem(status int, title, text string) {
	p := problemPage{Text: text}
	p.frame = frame{Title: title, User: v.user, Style: v.h.name, Up: "./" + strings.Repeat("../", max(strings.Count(v.r.URL.Path, "/")-1, 0))}
	v.render(status, "problem.html", p)
}

// fail answers with what an error means.
func (v *visit) fail(err error) {
	status, text := v.explain(err)
	title := "It did not work"
	if status == http.StatusNotFound {
		title = "There is no such thing"
	}
	v.problem(status, title, text)
}

// explain says what an error means to an operator. What can't be mended here is reported as well.
func (v *visit) explain(err error) (status int, text string) {
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case is(connect.ErrNotFound):
		return http.StatusNotFound, sentence(err)
	case is(connect.ErrInvalid), is(connect.ErrWrongAccount):
		return http.StatusUnprocessableEntity, sentence(err)
	case is(connect.ErrConflict), is(connect.ErrReadOnly), is(connect.ErrInUse), is(connect.ErrPaused), is(connect.ErrExhausted):
		return http.StatusConflict, sentence(err)
	}
	v.h.options.Report(err)
	if is(connect.ErrUnavailable) {
		return http.StatusServiceUnavailable, "The storage does not answer. The server's log says more. Try again."
	}
	return http.StatusInternalServerError, "Something went wrong here. The server's log says what."
}

// sentence writes an error as one.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
