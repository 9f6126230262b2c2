package awssigv4

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// The metrics belong to the process, so that a reload does not set them back;
// each configuration has a registry of its own, in which they are registered.
// No label comes from a request: there is a bounded number of series.
var (
	fetchesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: appName, Name: "credentials_fetches_total",
		Help: "Fetches of credentials, by source and outcome (success or failure).",
	}, []string{"source", "outcome"})

	fetchSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "caddy", Subsystem: appName, Name: "credentials_fetch_duration_seconds",
		Help:    "How long fetches of credentials took, failed ones included, by source.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15},
	}, []string{"source"})

	stsErrorsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: appName, Name: "sts_errors_total",
		Help: "Failed calls to AWS STS or an STS helper, by AWS's error code or the helper's word; no_answer if none came.",
	}, []string{"code"})

	requestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: appName, Name: "requests_total",
		Help: "Requests by outcome (signed, refused, no_credentials or error); each attempt of reverse_proxy counts.",
	}, []string{"outcome"})

	refusedTokensTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: appName, Name: "refused_tokens_total",
		Help: "Answers in which AWS did not accept credentials that should be valid, by what followed (signed_again, no_newer, not_repeatable or error).",
	}, []string{"outcome"})

	webhooksTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: appName, Name: "webhooks_total",
		Help: "Attempts to send webhooks, by outcome: delivered, failed (tried again) or dropped.",
	}, []string{"outcome"})

	webhookQueueDesc = prometheus.NewDesc("caddy_"+appName+"_webhook_queue_length",
		"Webhooks that wait to be sent, as far as this instance knows.", nil, nil)

	remainingDesc = prometheus.NewDesc("caddy_"+appName+"_credentials_remaining_seconds",
		"How long named credentials are still valid; 0 if there are none. Those that never expire are left out.",
		[]string{"name"}, nil)

	identitiesDesc = prometheus.NewDesc("caddy_"+appName+"_cached_identities",
		"Identities whose credentials are held.", nil, nil)
)

// The outcomes of a request, looked up once.
var (
	requestsSigned        = requestsTotal.WithLabelValues("signed")
	requestsRefused       = requestsTotal.WithLabelValues("refused")
	requestsNoCredentials = requestsTotal.WithLabelValues("no_credentials")
	requestsFailed        = requestsTotal.WithLabelValues("error")
)

// registerMetrics adds the metrics to a configuration's registry.
func registerMetrics(r *prometheus.Registry) error {
	for _, c := range []prometheus.Collector{
		fetchesTotal, fetchSeconds, stsErrorsTotal, requestsTotal, refusedTokensTotal, callsTotal, callRetriesTotal, webhooksTotal, stateCollector{},
	} {
		if err := r.Register(c); err != nil {
			if _, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); !ok {
				return fmt.Errorf("registering metrics: %w", err)
			}
		}
	}
	return nil
}

// stateCollector tells the state of the configuration that runs, at the moment
// that it is asked.
type stateCollector struct{}

// Describe implements prometheus.Collector.
func (stateCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- remainingDesc
	ch <- identitiesDesc
	ch <- webhookQueueDesc
}

// Collect implements prometheus.Collector.
func (stateCollector) Collect(ch chan<- prometheus.Metric) {
	a := runningApp()
	if a == nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(identitiesDesc, prometheus.GaugeValue, float64(a.cache.Len()))
	if a.connect != nil {
		ch <- prometheus.MustNewConstMetric(webhookQueueDesc, prometheus.GaugeValue, float64(a.connect.webhooks.QueueLength()))
	}
	now := time.Now()
	for name, id := range a.identities {
		st := a.cache.StatusOf(id)
		if st.Valid && st.Expires.IsZero() {
			continue
		}
		left := max(0, st.Expires.Sub(now).Seconds())
		if st.Expires.IsZero() {
			left = 0
		}
		ch <- prometheus.MustNewConstMetric(remainingDesc, prometheus.GaugeValue, left, name)
	}
}

// fetchMetrics counts fetches.
type fetchMetrics struct{}

func (fetchMetrics) Fetched(e credentials.Event) { countFetch(e, "success") }

func (fetchMetrics) Failed(e credentials.Event) {
	countFetch(e, "failure")
	if code := stsErrorLabel(e.Err); code != "" {
		stsErrorsTotal.WithLabelValues(code).Inc()
	}
}

func countFetch(e credentials.Event, outcome string) {
	source := sourceOf(e.Label)
	fetchesTotal.WithLabelValues(source, outcome).Inc()
	fetchSeconds.WithLabelValues(source).Observe(e.Duration.Seconds())
}

// sourceOf returns the source of an identity, with whose name its label begins.
func sourceOf(label string) string {
	source, _, _ := strings.Cut(label, " ")
	if sources.IsSource(source) {
		return source
	}
	return otherLabel
}

const otherLabel = "other"

// stsCodes are the codes of STS that have a series of their own: those that its
// API reference lists, and throttling.
var stsCodes = map[string]bool{
	"AccessDenied": true, "AccessDeniedException": true, "ExpiredToken": true, "ExpiredTokenException": true,
	"IDPCommunicationError": true, "IDPRejectedClaim": true, "IncompleteSignature": true, "InternalFailure": true,
	"InvalidClientTokenId": true, "InvalidIdentityToken": true, "MalformedPolicyDocument": true,
	"MissingAuthenticationToken": true, "OptInRequired": true, "PackedPolicyTooLarge": true, "RegionDisabledException": true,
	"RequestExpired": true, "RequestLimitExceeded": true, "ServiceUnavailable": true, "SignatureDoesNotMatch": true,
	"Throttling": true, "ThrottlingException": true, "ValidationError": true,
}

// helperWords are the words of aws_sts_helper that have a series of their own.
var helperWords = map[string]bool{
	"assume_role_failed": true, "https_required": true, "invalid_api_key": true, "invalid_request": true,
	"not_permitted": true, "sts_missing_credentials": true, "too_many_requests": true,
}

// stsErrorLabel returns the label of a failed call to STS or an STS helper, or
// "" if err is none.
func stsErrorLabel(err error) string {
	if h, ok := errors.AsType[*sts.HelperError](err); ok {
		switch code := h.Explain().Code; {
		case stsCodes[code], helperWords[code]:
			return code
		case h.Status == 0:
			return "no_answer"
		}
		return otherLabel
	}
	e, ok := errors.AsType[*sts.Error](err)
	switch {
	case !ok || !strings.HasPrefix(e.Operation, "AssumeRole") && e.Operation != "GetCallerIdentity":
		return "" // The SDK's chain also calls other services.
	case stsCodes[e.Code]:
		return e.Code
	case e.Code == "" && e.Status == 0:
		return "no_answer"
	}
	return otherLabel
}

// countUnsigned counts a request that was not signed.
func countUnsigned(err error) {
	if _, ok := errors.AsType[*credentials.Error](err); ok {
		requestsNoCredentials.Inc()
	} else if _, ok := asRefusal(err); ok {
		requestsRefused.Inc()
	} else {
		requestsFailed.Inc()
	}
}
