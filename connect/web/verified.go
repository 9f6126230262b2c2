package web

import (
	"net/http"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// verificationError is how the API says that a verification failed.
func verificationError(v *connect.Verification) *apiError {
	payload := map[string]any{"reason": v.Code, "message": v.Text}
	for name, text := range map[string]string{"remedy": v.Remedy, "aws_code": v.AWSCode, "request_id": v.RequestID} {
		if text != "" {
			payload[name] = text
		}
	}
	e := &apiError{Status: http.StatusBadRequest, Code: string(v.Code), Message: v.Text, Payload: payload}
	switch v.Code {
	case connect.CodeInvalidRoleARN, connect.CodeInvalidRegion:
		e.Code, e.Payload = "invalid_body", nil
		for _, f := range v.Fields {
			e.Errors = append(e.Errors, fieldProblem{string(f.Code), f.Text, []any{f.Field}})
		}
	case connect.CodeAssumeRoleDenied, connect.CodeRoleNotReady, connect.CodeTagSessionDenied, connect.CodeDurationTooLong,
		connect.CodeSTSUnavailable, connect.CodeHelperUnreachable, connect.CodeHelperRefused, connect.CodeBrokerUnavailable:
		e.Status, e.Code, e.Message = http.StatusBadGateway, "aws_sigv4_sts_request_failed", "the role could not be assumed: "+v.Text
	case connect.CodeWrongAccount, connect.CodeIdentityMismatch, connect.CodeExternalIDNotEnforced, connect.CodeExternalIDUnproven, connect.CodeTestCallFailed:
		e.Code = "connection_test_failed"
	case connect.CodeTooManyAttempts:
		e.Status, e.Code, e.retry = http.StatusTooManyRequests, "too_many_request", 10*time.Minute
	case connect.CodeBusy:
		e.Status, e.Code = http.StatusTooManyRequests, "too_many_request"
	case connect.CodeInterrupted, connect.CodeStorageUnavailable:
		e.Status = http.StatusServiceUnavailable
	case connect.CodeExternalIDChanged:
		e.Code = "external_id_mismatch"
	case connect.CodeSessionExpired, connect.CodeSessionRevoked, connect.CodeSessionUsed:
		e.Status = http.StatusUnauthorized
	case connect.CodeRegionNotAllowed, connect.CodeAccountNotAllowed, connect.CodePartitionMismatch, connect.CodePrefillMismatch:
		// These are their own words.
	}
	return e
}
