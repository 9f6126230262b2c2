package web

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

//go:embed pages/*.html
var pageFiles embed.FS

func (h *Handler) readPages() (*template.Template, error) {
	return template.New("").Option("missingkey=error").ParseFS(pageFiles, "pages/*.html")
}

// visit is one request of a customer's browser.
type visit struct {
	h     *Handler
	w     http.ResponseWriter
	r     *http.Request
	token string // of the session, if its page is asked for
	lang  string
	theme string // "" for the browser's
}

// frame is what all pages have in common. Their templates read its texts by T and H.
type frame struct {
	Lang      string
	Theme     string // "" for the browser's
	Languages []languageChoice
	Title     string
	Vendor    string // the vendor's name, "" if it is not known
	Logo      string
	Up        string // the way from this page to /connect/
	Style     string
	Script    string
	Icon      string
	Embedding *embedding // nil if there are no frames

	texts catalogue
}

type languageChoice struct {
	language
	Current bool
}

// T returns a text. {vendor} in it is the vendor's name.
func (f *frame) T(key string, values ...any) string {
	return f.texts.text(key, append(values, "vendor", f.Vendor)...)
}

// H returns a text as HTML, with its values marked as code.
func (f *frame) H(key string, values ...any) template.HTML {
	return f.texts.coded(key, append(values, "vendor", f.Vendor)...)
}

// page registers a page of a session. It is called with the token of the session.
func (h *Handler) page(pattern string, answer func(*visit)) {
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		v := h.visit(w, r)
		// A browser that may not tell who sent a form does not tell the origin either.
		w.Header().Set("Referrer-Policy", "same-origin")
		if !h.confidential(r) {
			v.end(http.StatusForbidden, "https_required", nil)
			return
		}
		if lang := r.URL.Query().Get("lang"); lang != "" && r.Method == http.MethodGet {
			h.setLanguage(w, lang)
			v.seeOther("./")
			return
		}
		var err error
		switch v.token, err = h.tokenOf(r); {
		case err != nil:
			v.fail(err, nil)
			return
		case v.token == "":
			v.end(http.StatusForbidden, "no_cookie", nil)
			return
		}
		if r.Method == http.MethodPost && !v.readForm() {
			return
		}
		answer(v)
	})
}

func (h *Handler) visit(w http.ResponseWriter, r *http.Request) *visit {
	return &visit{h: h, w: w, r: r, lang: languageOf(r), theme: themeOf(r)}
}

// maxForm is how many bytes a form may have. A role's ARN has at most 2048 characters.
const maxForm = 16 << 10

// readForm reads a form, and says whether our own page sent it. If not, the answer was given.
func (v *visit) readForm() bool {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	err := v.r.ParseForm()
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		v.end(http.StatusRequestEntityTooLarge, "too_large", nil)
		return false
	}
	if err != nil || v.h.forged(v.r, v.token) {
		v.end(http.StatusForbidden, "forged", nil)
		return false
	}
	return true
}

// frame returns what the pages of an integration have in common; nil stands for none.
func (v *visit) frame(i *connect.Integration) frame {
	f := frame{
		Lang:      v.lang,
		Theme:     v.theme,
		Up:        v.up(),
		Style:     v.h.assets["style.css"].name,
		Script:    v.h.assets["page.js"].name,
		Icon:      v.h.assets["icon.svg"].name,
		Embedding: v.h.embedding(),
		texts:     v.h.texts[v.lang],
	}
	if v.theme != "" {
		f.Style = v.h.assets["style-"+v.theme+".css"].name
	}
	for _, l := range languages {
		f.Languages = append(f.Languages, languageChoice{l, l.Tag == v.lang})
	}
	if i != nil {
		f.Vendor, f.Logo = cmp.Or(i.DisplayName, i.Key), i.Logo
	}
	return f
}

// up is the way from what was asked for to /connect/. It is relative, because something before this
// server may have stripped a prefix.
func (v *visit) up() string {
	rest, below := strings.CutPrefix(v.r.URL.Path, "/connect/")
	if !below {
		return "connect/"
	}
	return strings.Repeat("../", strings.Count(rest, "/"))
}

// render answers with a page.
func (v *visit) render(status int, name string, f *frame, data any) {
	var b bytes.Buffer
	if err := v.h.pages.ExecuteTemplate(&b, name, data); err != nil {
		v.h.options.Report(fmt.Errorf("the page %s: %w", name, err))
		http.Error(v.w, f.T("code.server_error"), http.StatusInternalServerError)
		return
	}
	header := v.w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Language", v.lang)
	header.Set("Vary", "Accept-Language, Cookie")
	header.Set("Content-Security-Policy", v.h.policy(f.Logo))
	v.w.WriteHeader(status)
	v.w.Write(b.Bytes()) //nolint:errcheck // the client may be gone
}

// policy is the Content-Security-Policy of a page: what is ours, and the vendor's logo.
func (h *Handler) policy(logo string) string {
	images := "'self'"
	if u, err := url.Parse(logo); err == nil && u.Scheme == "https" && u.Host != "" && !strings.ContainsFunc(u.Host, unsafeInPolicy) {
		images += " https://" + u.Host
	}
	return "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; img-src " +
		images + "; frame-ancestors " + h.ancestors("'none'")
}

func (h *Handler) ancestors(none string) string {
	if len(h.options.FrameAncestors) == 0 {
		return none
	}
	return "'self' " + strings.Join(h.options.FrameAncestors, " ")
}

// seeOther sends the browser on. The place is relative to the page, see up.
func (v *visit) seeOther(place string) {
	v.w.Header().Set("Location", place)
	v.w.WriteHeader(http.StatusSeeOther)
}

// endPage says that it does not go on here.
type endPage struct {
	frame
	Code string
	Back string // where to, and whether that is the vendor's
	Home bool
}

// endPage says why it does not go on. The session's page, if there is one, tells the vendor and the way back.
func (v *visit) endPage(code string, page *connect.Page) *endPage {
	var i *connect.Integration
	end := &endPage{Code: code}
	if page != nil {
		i = page.Integration
		end.Back = page.Session.ErrorURL(code)
	}
	end.frame = v.frame(i)
	if end.Vendor == "" && strings.Contains(end.texts["next."+code], "{vendor}") {
		end.Code = "unknown_link" // Whom to ask can't be said.
	}
	if v.r.PathValue("session") == "" {
		end.Languages = nil // The way back here would have the token in it.
	}
	end.Title = strings.TrimRight(end.T("code."+end.Code), ".。")
	end.Home = v.token != "" && (code == "forged" || code == "too_large" || code == "storage_unavailable" || code == "server_error")
	return end
}

// end answers with a page that says why it does not go on.
func (v *visit) end(status int, code string, page *connect.Page) {
	end := v.endPage(code, page)
	end.Embedding.failed(end.Code, end.Title)
	if status == http.StatusServiceUnavailable {
		v.w.Header().Set("Retry-After", "30")
	}
	v.render(status, "end.html", &end.frame, end)
}

// fail ends with an error of the service.
func (v *visit) fail(err error, page *connect.Page) { v.end(v.whyEnded(err, page)) }

// whyEnded says what an error of the service means to the customer, and whose page may be told of.
func (v *visit) whyEnded(err error, page *connect.Page) (status int, code string, shown *connect.Page) {
	is := func(target error) bool { return errors.Is(err, target) }
	switch code := connect.CodeOf(err); {
	case is(connect.ErrExpired), is(connect.ErrRevoked), is(connect.ErrUsed):
		return http.StatusGone, string(code), page
	case is(connect.ErrNotFound) && (page == nil || page.Session.ID == ""):
		return http.StatusNotFound, "unknown_link", nil
	case is(connect.ErrNotFound): // What it is for was deleted since: the connection, or the integration.
		return http.StatusGone, string(connect.CodeSessionRevoked), page
	case is(connect.ErrUnavailable):
		v.h.options.Report(err)
		return http.StatusServiceUnavailable, "storage_unavailable", page
	default:
		v.h.options.Report(err)
		return http.StatusInternalServerError, "server_error", page
	}
}

// nowhere answers for paths that there are not.
func (h *Handler) nowhere(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/connect/") && strings.Contains(r.Header.Get("Accept"), "text/html") && path.Clean(r.URL.Path) == strings.TrimSuffix(r.URL.Path, "/") {
		h.visit(w, r).end(http.StatusNotFound, "not_found", nil)
		return
	}
	writeError(w, errNotFound)
}
