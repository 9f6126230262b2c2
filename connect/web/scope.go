package web

import (
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// scoped is what a part of a page is about, with the texts of the page.
type scoped struct {
	*frame

	Of   any
	What string // its name, for those who can't see what it stands beside
	Text string
	URL  string
}

// With returns the scope of a part that is about one thing.
func (f *frame) With(of any) scoped { return scoped{frame: f, Of: of} }

// Copy returns the scope of a button that copies the element of an ID.
func (f *frame) Copy(id, what string) scoped { return scoped{frame: f, Of: id, What: what} }

// Code returns the scope of a block of code with a button that copies it.
func (f *frame) Code(id, what, text string) scoped {
	return scoped{frame: f, Of: id, What: what, Text: text}
}

// When writes conditions of a template in a line.
func (f *frame) When(conditions []string) string {
	if len(conditions) == 0 {
		return ""
	}
	return f.T("grants.when", "conditions", strings.Join(conditions, ", "))
}

// Link returns the scope of a link from a field to the place in the first guide that is about it, or
// to the whole guide if its URL names a place already.
func (p *connectPage) Link(field, what string) scoped {
	to := p.Guide
	if to != "" && !strings.Contains(to, "#") {
		to += "#" + field
	}
	return scoped{frame: &p.frame, What: what, URL: to}
}

// Wrong returns what is wrong with a field, or nil.
func (p *connectPage) Wrong(field string) *fieldProblemText {
	if p.Failure == nil {
		return nil
	}
	for n := range p.Failure.Fields {
		if p.Failure.Fields[n].Field == field {
			return &p.Failure.Fields[n]
		}
	}
	return nil
}

// Choices are the regions to choose from, with the one that is chosen. None is chosen unless somebody
// has said which.
func (p *connectPage) Choices() []string {
	if slices.Contains(p.Regions, p.Region) {
		return p.Regions
	}
	return append([]string{p.Region}, p.Regions...)
}

// ProbeText says what was found out about the External ID.
func (p *connectPage) ProbeText() template.HTML {
	switch p.Verification.Probe {
	case sts.Proven:
		return p.H("done.proven")
	case sts.Open:
		return p.H("done.open")
	case sts.Unproven:
		return p.H("done.unproven")
	default:
		return ""
	}
}

// UntilISO and UntilText are when the session ends.
func (p *connectPage) UntilISO() string { return p.Until.UTC().Format(time.RFC3339) }

// UntilText is for those whose browser does not write it in their own time.
func (p *connectPage) UntilText() string { return p.Until.UTC().Format("15:04 UTC") }
