package adminweb

import (
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"
)

// field is what a form asks for.
type field struct {
	Name, Label, Type, Value, Help string
	Options                        []string
}

// functions are what the pages may call.
var functions = template.FuncMap{
	"join":  strings.Join,
	"seg":   url.PathEscape,
	"has":   slices.Contains[[]string],
	"time":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
	"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"until": remaining,
	"input": func(name, label, value, help string) field {
		return field{Name: name, Label: label, Type: "text", Value: value, Help: help}
	},
	// A secret is never shown.
	"secret": func(name, label string, stored bool) field {
		f := field{Name: name, Label: label, Type: "password"}
		if stored {
			f.Help = "One is stored. Leave this blank to keep it."
		}
		return f
	},
	"choice": func(name, label, value string, options []string, help string) field {
		return field{Name: name, Label: label, Value: value, Options: options, Help: help}
	},
}

// remaining is how long it takes until a time, in hours and minutes.
func remaining(t time.Time) string {
	d := max(time.Until(t), 0)
	if d < time.Minute {
		return "less than a minute"
	}
	return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
}
