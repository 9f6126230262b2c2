package connect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// problem is why a step of a verification did not go well, in words for the customer.
type problem struct {
	code         Code
	field        string
	text, remedy string
	causes       []sts.Cause

	awsCode, requestID string

	// detail is the same for the operator.
	detail string

	again again
}

// again says whether the same step may go well a little later.
type again int

const (
	never   again = iota
	passing       // a service did not answer, or asked to be called less often
	settles       // IAM may not know everywhere yet what was changed
)

func (p *problem) tell(v *Verification) {
	v.Code, v.Field, v.Text, v.Remedy, v.Causes = p.code, p.field, p.text, p.remedy, p.causes
	v.AWSCode, v.RequestID = p.awsCode, p.requestID
}

// The remedies that customers can't apply themselves.
const (
	askVendor = "ask whoever sent you here: this is on their side"
	tryLater  = "try again in a moment"
)

// assumeProblem says why a role could not be assumed.
func assumeProblem(err error, vendor Principal) *problem {
	var p *problem
	if e, ok := errors.AsType[*sts.HelperError](err); ok {
		p = helperProblem(e)
	} else if e, ok := errors.AsType[*credentials.Error](err); ok {
		p = &problem{code: CodeBrokerUnavailable, text: "the credentials that assume your role are missing at the moment", remedy: askVendor}
		if e.Temporary() {
			p.again = passing
		}
		x := e.Explain()
		p.awsCode, p.requestID = x.Code, x.RequestID
	} else if e, ok := errors.AsType[*sts.Error](err); ok {
		p = stsProblem(e, vendor)
	} else if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		p = &problem{code: CodeSTSUnavailable, text: "AWS did not answer in time", remedy: tryLater, again: passing}
	} else {
		p = &problem{code: CodeBrokerUnavailable, text: "the call of AWS can't be made as it is configured", remedy: askVendor}
	}
	p.detail = err.Error()
	return p
}

// stsProblem is about an answer of AWS's.
func stsProblem(e *sts.Error, vendor Principal) *problem {
	k := e.Known
	k.MFA = true               // That isn't asked of a vendor.
	k.RoleAge = 24 * time.Hour // What was changed moments ago is asked again.
	explained := sts.Explain(e, k)
	p := &problem{awsCode: e.Code, requestID: e.RequestID, text: explained.Likeliest().Why, remedy: explained.Likeliest().Remedy, causes: explained.Others()}
	lower := strings.ToLower(e.Message)
	switch code := strings.TrimSuffix(e.Code, "Exception"); {
	case code == "AccessDenied" && strings.Contains(lower, "sts:tagsession"):
		p.code, p.field, p.again, p.causes = CodeTagSessionDenied, FieldRoleARN, settles, nil
		p.text, p.remedy = "the role's trust policy does not allow sts:TagSession, and tags go with the session", `add "sts:TagSession" to Action beside "sts:AssumeRole" in the role's trust policy`
	case code == "AccessDenied":
		p.code, p.field = CodeAssumeRoleDenied, FieldRoleARN
		if !namesOtherPolicy(lower) {
			p.again = settles
			p.text = "AWS does not let us assume this role, and gives the same answer whatever the reason is: most likely its trust policy has another External ID"
			p.remedy = "compare sts:ExternalId in the role's trust policy with the External ID shown here, letter by letter" + principalToo(vendor)
			p.causes = append([]sts.Cause{{
				Why:    "the role's trust policy trusts somebody else than us",
				Remedy: "let Principal in the role's trust policy be the one that is shown here" + namely(vendor),
			}}, p.causes...)
		}
	case strings.Contains(lower, "maxsessionduration"), strings.Contains(lower, "durationseconds"), strings.Contains(lower, "role chaining"):
		p.code, p.field, p.causes = CodeDurationTooLong, FieldRoleARN, nil
		p.text = fmt.Sprintf("the role does not allow sessions of %v", k.Duration)
		p.remedy = fmt.Sprintf("raise the role's maximum session duration to at least %v", k.Duration)
		if strings.Contains(lower, "role chaining") {
			p.text, p.remedy = "AWS does not allow us sessions that are this long", askVendor
		}
	case e.Retryable():
		p.code, p.text, p.remedy, p.causes, p.again = CodeSTSUnavailable, "AWS did not answer, or asks to be called less often", tryLater, nil, passing
	case code == "RegionDisabled", code == "OptInRequired":
		p.code, p.field, p.remedy, p.causes = CodeSTSUnavailable, FieldRegion, "choose another region, or ask whoever sent you here", nil
	case e.Code == "":
		p.code, p.text, p.remedy, p.causes = CodeSTSUnavailable, "AWS can't be reached, or something else answers in its place", askVendor, nil
	default:
		p.code, p.text, p.remedy, p.causes = CodeBrokerUnavailable, "AWS does not accept our call", askVendor, nil
	}
	return p
}

// namesOtherPolicy says whether AWS names a kind of policy that is not the role's own, so that the trust
// policy need not be looked at.
func namesOtherPolicy(lower string) bool {
	for _, kind := range []string{"identity-based", "permissions boundar", "session polic", "service control", "resource control", "vpc endpoint"} {
		if strings.Contains(lower, kind) {
			return true
		}
	}
	return false
}

func principalToo(vendor Principal) string {
	if vendor.ARN == "" {
		return ""
	}
	return ", and Principal with " + vendor.ARN
}

func namely(vendor Principal) string {
	if vendor.ARN == "" {
		return ""
	}
	return ": " + vendor.ARN
}

// helperProblem is about what an STS helper said, or did not say.
func helperProblem(e *sts.HelperError) *problem {
	p := &problem{awsCode: e.Code, requestID: e.RequestID, remedy: askVendor}
	switch {
	case e.Status == 0:
		p.code, p.text = CodeHelperUnreachable, "the service that assumes your role can't be reached"
	case strings.Contains(e.Code+" "+e.Message, "AccessDenied"), e.Code == "assume_role_failed":
		// Its word for AWS's, as far as one can tell: a helper may say no more than this.
		p.code, p.field, p.again = CodeAssumeRoleDenied, FieldRoleARN, settles
		p.text = "AWS does not let the service assume this role, as far as it tells: most likely the role's trust policy has another External ID"
		p.remedy = "compare sts:ExternalId in the role's trust policy with the External ID shown here, letter by letter, and Principal with the one that is shown"
		return p
	case e.Retryable():
		p.code, p.text = CodeHelperUnreachable, "the service that assumes your role does not work at the moment"
	default:
		p.code, p.text = CodeHelperRefused, "the service that assumes your role refuses to"
	}
	if e.Retryable() {
		p.again = passing
	}
	return p
}

// inputProblem is about what was typed.
func inputProblem(fields []FieldError) *problem {
	return &problem{code: fields[0].Code, field: fields[0].Field, text: fields[0].Text, detail: fields[0].Text}
}

// storeProblem is about what the storage said when a connection was to be made.
func storeProblem(err error) *problem {
	p := &problem{code: CodeOf(err), detail: err.Error()}
	switch p.code {
	case CodeWrongAccount:
		p.field, p.text, p.remedy = FieldRoleARN, err.Error(), "name a role of that account, or ask for a new External ID"
	case CodeStorageUnavailable:
		p.text, p.remedy, p.again = "the connection could not be stored", tryLater, passing
	case CodeSessionExpired:
		p.text, p.remedy = "the link has expired meanwhile", "ask for a new one"
	case CodeSessionUsed:
		p.text, p.remedy = "the link was used already", "ask for a new one"
	default:
		switch {
		case errors.Is(err, ErrIntegrationChanged):
			p.code, p.text, p.remedy = CodeInterrupted, "the settings that the role was verified for were changed meanwhile", "try again"
		case errors.Is(err, ErrInvalid):
			p.code, p.text, p.remedy = CodeExternalIDChanged, err.Error(), "load the page again"
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrRevoked):
			p.code, p.text, p.remedy = CodeSessionRevoked, "the link is not valid any more", "ask for a new one"
		default:
			p.code, p.text, p.remedy = CodeStorageUnavailable, "the connection could not be stored", tryLater
		}
	}
	return p
}
