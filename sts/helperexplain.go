package sts

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// Explain says why there are no credentials and what to do. Code is AWS's if the helper passes it on, else
// the helper's own word. There is no cause if the message says what to do.
func (e *HelperError) Explain() Explanation {
	x := Explanation{Code: e.Code, Message: e.said(), RequestID: e.RequestID, Status: e.Status, Causes: e.causes()}
	if e.awsCode != "" {
		x.Code = e.awsCode
	}
	return x
}

// The words of aws_sts_helper; other helpers have some of them too.
const (
	helperWrongKey      = "invalid_api_key"
	helperNotPermitted  = "not_permitted"
	helperHTTPSRequired = "https_required"
	helperInvalid       = "invalid_request"
	helperFailed        = "assume_role_failed"
	helperNoCredentials = "sts_missing_credentials" //nolint:gosec // a word, and no secret
)

// isAWSCode says whether a word is one of AWS's for a failed call of STS.
func isAWSCode(word string) bool {
	_, throttled := retry.DefaultThrottleErrorCodes[word]
	_, known := advices[strings.TrimSuffix(word, "Exception")]
	return throttled || known
}

// isTemporary says whether the same call may succeed later. Where the helper passes AWS's word on, that
// counts more than its own status, and a helper that says 502 with its own word waits for its operator.
func (e *HelperError) isTemporary() bool {
	if e.awsCode != "" {
		_, throttled := retry.DefaultThrottleErrorCodes[e.awsCode]
		return throttled || isAWSFailure(e.awsCode)
	}
	if e.Status == http.StatusBadGateway && (e.Code == helperFailed || e.Code == helperNoCredentials) {
		return false
	}
	return e.Status == http.StatusRequestTimeout || e.Status == http.StatusTooManyRequests || e.Status >= 500
}

func isAWSFailure(code string) bool {
	return code == "ServiceUnavailable" || code == "InternalFailure" || code == "InternalError" || code == "IDPCommunicationError"
}

const askHelper = "ask whoever runs the helper, and name the request ID if there is one: its log says more"

// causes finds the advice for what a helper answered. What it passes on of AWS's counts more than its status.
func (e *HelperError) causes() []Cause {
	switch {
	case e.Status == 0 || e.Status < 400:
		return e.unanswered()
	case e.awsCode != "":
		return e.awsCauses()
	}
	switch e.Code {
	case helperNotPermitted:
		return list(Cause{
			"the helper's own rules do not permit this role, External ID or region to this caller; AWS was not asked",
			"compare role_arn, external_id and region with what the helper grants to this key, or have its operator grant them",
		})
	case helperHTTPSRequired:
		return list(Cause{"the helper takes no secrets over plain HTTP", "write https:// in the URL of sts_helper"})
	case helperFailed:
		return e.failed()
	case helperNoCredentials:
		return list(Cause{"what the helper calls as STS gave it no credentials", askHelper})
	}
	switch status := e.Status; {
	case status == http.StatusUnauthorized && !e.authSent:
		return list(Cause{"the helper wants to know who asks, and nothing was sent to authenticate", "write api_key, basic, bearer or client_certificate"})
	case status == http.StatusUnauthorized:
		return list(Cause{
			"the helper does not know the key, password or token that was sent",
			"write the one that it knows, in the header that it reads; it may have been changed at the helper",
		})
	case status == http.StatusForbidden:
		return list(Cause{
			"the helper refuses, and does not say whether it is its own rule or an answer of AWS's",
			"compare role_arn and external_id with what the helper grants to this caller, and with the role's trust policy",
		})
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return list(Cause{"the helper has nothing at this path", "write the full URL; with many helpers its path is /assume-role"})
	case status == http.StatusTooManyRequests:
		return list(Cause{"the helper asks to be called less often", "wait: it is tried again by itself; if it stays, let fewer values select identities"})
	case status == http.StatusRequestTimeout, status >= 500:
		return list(
			Cause{"the helper, or a proxy in front of it, does not work at the moment", "wait: it is tried again by itself; if it stays, " + askHelper},
		)
	case status == http.StatusBadRequest && e.Code == helperInvalid:
		return list(Cause{"the helper does not take what it was asked for", "correct role_arn, external_id, region or service by its message"})
	}
	return list(Cause{"the helper refuses", "go by its message; if there is none, see that this is the URL of an STS helper"})
}

// unanswered is about what is no answer, or not one of an STS helper.
func (e *HelperError) unanswered() []Cause {
	switch {
	case e.Status == 0 && e.retryable:
		c := Cause{
			fmt.Sprintf("the STS helper %s can't be reached from here, or does not answer in time", e.Host),
			"see that it runs, that its name and port are right, and that firewalls and routes lead to it; proxies are not asked",
		}
		if e.hint != "" {
			c.Remedy = e.hint
		}
		return list(c)
	case e.hint != "":
		return list(Cause{e.Message, e.hint})
	}
	return nil // The message says what to do.
}

// failed is about a helper that got nothing from AWS and does not say why.
func (e *HelperError) failed() []Cause {
	operator := Cause{"the helper's broker has no credentials, or AWS does not accept them", askHelper}
	switch e.Status {
	case http.StatusBadGateway:
		return list(operator)
	case http.StatusServiceUnavailable:
		return list(Cause{"the helper can't reach STS at the moment, or is asked to call it less often", "wait: it is tried again by itself; if it stays, " + askHelper})
	}
	return list(
		Cause{
			"the helper could not assume the role, and does not say why; with many helpers that is what a refusal of AWS's looks like",
			"compare external_id with sts:ExternalId in the role's trust policy, letter by letter, and let Principal name the helper's broker",
		},
		operator,
	)
}

// awsCauses is about an answer of AWS's that the helper passes on: its broker is the one who was refused.
func (e *HelperError) awsCauses() []Cause {
	lower := strings.ToLower(e.Message)
	passed := &Error{Operation: "AssumeRole", Code: e.awsCode, Message: e.Message, Status: e.Status, ofSTS: true, answered: true}
	if isAccessDenied(e.awsCode) {
		passed.Status = http.StatusForbidden // Some helpers answer 500 to everything.
	}
	d, _ := passed.denial()
	switch code := strings.TrimSuffix(e.awsCode, "Exception"); {
	case e.isTemporary():
		return list(Cause{"AWS STS failed, or asked the helper to call it less often", "wait: it is tried again by itself; if it stays, " + askHelper})
	case code == "AccessDenied" && strings.Contains(lower, "multifactorauthentication"):
	case code == "AccessDenied" && !d.byOther() && (d.action == "sts:TagSession" || d.action == "sts:SetSourceIdentity"):
		return list(Cause{
			fmt.Sprintf("the helper sends session tags or a source identity, and the role's trust policy does not allow %s", d.action),
			fmt.Sprintf("add %q to Action in the statement of the trust policy that trusts %s", d.action, callerOf(d, e.known)),
		})
	case code == "AccessDenied":
		return adviseAccessDenied(passed, e.known)
	case isWrongRegion(passed):
		return list(Cause{
			fmt.Sprintf("the STS endpoint that the helper calls serves another region than %s", regionOf(e.known)),
			"write the region that the helper's STS serves as region of sts_helper, or ask whoever runs the helper",
		})
	case code == "RegionDisabled", code == "OptInRequired":
		return list(Cause{
			fmt.Sprintf("STS in the region %s is not activated for the account of the helper's broker", regionOf(e.known)),
			"write region of sts_helper with another region, or have the helper's operator activate it",
		})
	case code == "ValidationError", code == "Validation", code == "InvalidParameterValue":
		if strings.Contains(lower, "externalid") || strings.Contains(lower, "arn") && !strings.Contains(lower, "policy") {
			return adviseValidation(passed, e.known)
		}
		return list(Cause{
			"AWS does not take what the helper asks for, such as a duration that the role does not allow",
			"go by AWS's message: raise the role's maximum session duration, or have the helper's operator ask for less",
		})
	}
	return list(Cause{"AWS does not accept the credentials, the clock or the requests of the helper's own broker", askHelper})
}
