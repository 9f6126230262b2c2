package web

import (
	"html/template"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// failure is why a verification failed, in the customer's language.
type failure struct {
	Code   connect.Code
	What   string
	Next   template.HTML
	Checks []template.HTML // what to look at, the likeliest first
	Fields []fieldProblemText

	// Field is the one to go to, or "".
	Field string

	// Again says that the same input may go well after what Next and Checks say.
	Again bool

	// These are for whoever helps the customer. They are Unfolded where the words above leave out what AWS or the
	// storage has said, or tell the customer to pass the code on.
	Unfolded           bool
	AWSCode, RequestID string
	English            []string
}

// fieldProblemText is what is wrong with a field.
type fieldProblemText struct {
	Field string
	What  string
	Next  template.HTML
}

var unfolded = map[connect.Code]bool{
	connect.CodeWrongAccount: true, connect.CodeIdentityMismatch: true, connect.CodeExternalIDUnproven: true, connect.CodeTestCallFailed: true,
	connect.CodeSTSUnavailable: true, connect.CodeHelperUnreachable: true, connect.CodeHelperRefused: true, connect.CodeBrokerUnavailable: true,
}

// values are what texts about failures speak of.
func (p *connectPage) values(v *connect.Verification) []any {
	role := v.RoleARN
	if role == "" {
		role = p.RoleARN
	}
	return []any{
		"example", p.ExampleARN, "region", p.ExampleRegion, "regions", strings.Join(p.Regions, ", "),
		"external_id", p.ExternalID, "principal", p.Principal.ARN, "role", role, "action", "sts:TagSession", "minutes", p.Minutes,
	}
}

// failure explains a verification that failed.
func (p *connectPage) failure(v *connect.Verification) *failure {
	f := &failure{Code: v.Code, Field: v.Field, AWSCode: v.AWSCode, RequestID: v.RequestID}
	values := p.values(v)
	code := string(v.Code)
	if !p.texts.has("code." + code) {
		code = "server_error" // One of a newer server: its English text says more.
	}
	f.What, f.Next = p.T("code."+code), p.H("next."+code, values...)
	if v.Code == connect.CodeAssumeRoleDenied || v.Code == connect.CodeRoleNotReady {
		for _, check := range []string{"check.external_id", "check.principal", "check.exists", "check.policies"} {
			if check != "check.principal" || p.Principal.ARN != "" {
				f.Checks = append(f.Checks, p.H(check, values...))
			}
		}
	}
	for _, e := range v.Fields {
		f.Fields = append(f.Fields, fieldProblemText{e.Field, p.T("code." + string(e.Code)), p.H("next."+string(e.Code), values...)})
	}
	if len(f.Fields) == 0 && f.Field != "" {
		f.Fields = []fieldProblemText{{Field: f.Field, What: f.What}}
	}
	f.Unfolded = unfolded[v.Code]
	f.Again = len(v.Fields) == 0 && v.Code != connect.CodeWrongAccount && v.Code != connect.CodeTooManyAttempts
	for _, sentence := range []string{v.Text, v.Remedy} {
		if sentence != "" {
			f.English = append(f.English, sentence)
		}
	}
	for _, cause := range v.Causes {
		f.English = append(f.English, cause.String())
	}
	return f
}
