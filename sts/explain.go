package sts

import (
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// Explanation is what a failed call means to whoever configured it. It holds no secret.
type Explanation struct {
	// Code, Message, RequestID and Status are AWS's, as in Error. Of another error there is only
	// the message.
	Code, Message, RequestID string
	Status                   int

	// Causes are what may be wrong, the likeliest first. There is none if the error is not one of
	// STS's: its message says what to do.
	Causes []Cause
}

// Cause is one thing that may be wrong.
type Cause struct {
	// Why says what is wrong, in one sentence without a full stop.
	Why string

	// Remedy says what to do about it, likewise.
	Remedy string
}

// Likeliest returns the first cause; an empty one if there is none.
func (e Explanation) Likeliest() Cause {
	if len(e.Causes) == 0 {
		return Cause{}
	}
	return e.Causes[0]
}

// Others returns the causes after the likeliest.
func (e Explanation) Others() []Cause {
	if len(e.Causes) == 0 {
		return nil
	}
	return e.Causes[1:]
}

// String returns why and remedy in one line.
func (c Cause) String() string { return c.Why + ": " + c.Remedy }

// Explain says why a call of STS failed and what to do, given what is known of the call.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_roles.html.
func Explain(err error, k Known) Explanation {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return Explanation{Message: err.Error()}
	}
	x := Explanation{Code: e.Code, Message: e.Message, RequestID: e.RequestID, Status: e.Status}
	if e.ofSTS {
		x.Causes = causes(e, k)
	}
	return x
}

// Explain is Explain with what the error knows.
func (e *Error) Explain() Explanation { return Explain(e, e.Known) }

// causes finds the advice for an error. The message counts where one code has many reasons.
func causes(e *Error, k Known) []Cause {
	if e.Code == "" {
		return withoutCode(e, k)
	}
	if _, ok := retry.DefaultThrottleErrorCodes[e.Code]; ok {
		return list(throttled)
	}
	// Some errors are named with and without this ending, by protocol.
	code := strings.TrimSuffix(e.Code, "Exception")
	if advice, ok := advices[code]; ok {
		if found := advice(e, k); len(found) > 0 {
			return found
		}
	}
	if e.retryable {
		return list(awsFailed)
	}
	return list(Cause{
		"AWS refused with a code that is not known here",
		"go by AWS's message, and give the request ID to AWS's support if that does not tell",
	})
}

func list(c ...Cause) []Cause { return c }

// advices are by AWS's code, without "Exception" at its end.
var advices = map[string]func(*Error, Known) []Cause{
	"AccessDenied": adviseAccessDenied,

	"ValidationError":             adviseValidation,
	"Validation":                  adviseValidation,
	"InvalidParameterValue":       adviseValidation,
	"InvalidParameterCombination": adviseValidation,
	"MalformedPolicyDocument":     always(malformedPolicy),
	"PackedPolicyTooLarge":        always(packedPolicy),

	"RegionDisabled": adviseRegion,
	"OptInRequired":  adviseRegion,

	"ExpiredToken":          adviseExpired,
	"InvalidClientTokenId":  adviseUnknownKey,
	"UnrecognizedClient":    adviseUnknownKey,
	"InvalidAccessKeyId":    adviseUnknownKey,
	"InvalidToken":          adviseUnknownKey,
	"SignatureDoesNotMatch": adviseSignature,
	"InvalidSignature":      adviseSignature,
	"RequestTimeTooSkewed":  adviseClock,
	"RequestExpired":        adviseClock,

	"InvalidIdentityToken":  adviseWebIdentity,
	"IDPRejectedClaim":      adviseWebIdentity,
	"IDPCommunicationError": adviseProvider,

	"ServiceUnavailable": always(awsFailed),
	"InternalFailure":    always(awsFailed),
	"InternalError":      always(awsFailed),

	"MissingAuthenticationToken": always(changedOnTheWay),
	"IncompleteSignature":        always(changedOnTheWay),
	"MalformedQueryString":       always(changedOnTheWay),
	"InvalidAction":              always(notSTS),
	"UnknownOperation":           always(notSTS),
}

func always(c ...Cause) func(*Error, Known) []Cause {
	return func(*Error, Known) []Cause { return c }
}

var (
	throttled = Cause{
		"AWS limits how often this account may call STS, and more calls were made",
		"wait: it is tried again by itself; if it stays, let fewer values select identities (session names, tags), or ask AWS to raise the limit",
	}
	awsFailed = Cause{
		"AWS STS itself failed",
		"wait: it is tried again by itself; if it stays, look at AWS's health page for the region, or call another one with sts_region",
	}
	malformedPolicy = Cause{
		"the session policy is not one that IAM understands",
		"correct policy by AWS's message: Version \"2012-10-17\", and Effect, Action and Resource in each statement",
	}
	packedPolicy = Cause{
		"the session policies and tags are too large together for what AWS packs them into",
		"write a shorter policy, fewer policy_arns, or fewer and shorter tags; what is fixed can go into the role's own policies",
	}
	changedOnTheWay = Cause{
		"the request reached AWS without its signature, so something on the way changes requests",
		"look for an HTTP proxy between this machine and STS, and let STS pass it untouched",
	}
	notSTS = Cause{
		"what answered does not know this call, so it is not STS",
		"look at sts_endpoint and AWS_ENDPOINT_URL_STS, or AWS_ENDPOINT_URL, which sends every service there",
	}
)
