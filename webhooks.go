package awssigv4

import (
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/webhook"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// Webhook is a URL of the vendor's that is told what happens to connections, by `POST` of a signed JSON body.
type Webhook struct {
	// The URL: https, or http on the loopback. `override` stands for the URLs that connections have
	// of their own, which are called in place of all others. Required.
	URL string `json:"url,omitempty"`

	// What signs: `whsec_` and 24 to 64 bytes in base64, or any other 16 visible ASCII characters or
	// more; a second one beside the first while receivers change over. Write placeholders such as
	// `{env.WEBHOOK_SECRET}`: Caddy keeps literal values in its autosaved configuration. Required.
	Secrets []string `json:"secrets,omitempty"`

	// What is told: any of `creation`, `override`, `refresh_failure`, `recovery` and `deletion`.
	// Default: all of them.
	Events []webhook.Event `json:"events,omitempty"`
}

// webhookOverride stands for connections' own URLs.
const webhookOverride = "override"

// MarshalLogObject keeps secrets out of logs.
func (h *Webhook) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddInt("secrets", len(h.Secrets))
	return nil
}

// checkURL says what is wrong with the URL as it is written.
func (h *Webhook) checkURL() error {
	switch {
	case h.URL == "":
		return errors.New("webhook has no URL: write one that begins with https://, or override")
	case h.URL == webhookOverride || sources.HasPlaceholder(h.URL):
		return nil
	}
	return connect.CheckWebhookURL(h.URL)
}

// webhooks resolves where the vendor is told what happens to connections. The key differs wherever that is
// another place or another secret.
func (c *Connections) webhooks(logger *zap.Logger) (endpoints []webhook.Endpoint, key string, err error) {
	var parts []string
	for i := range c.Webhooks {
		h := &c.Webhooks[i]
		field := fmt.Sprintf("connections.webhooks[%d]", i)
		if err := h.checkURL(); err != nil {
			return nil, "", fieldError(field, err)
		}
		e := webhook.Endpoint{Events: h.Events}
		if h.URL != webhookOverride {
			if e.URL, err = sources.ResolveFixed(h.URL); err != nil {
				return nil, "", fieldError(field+".url", err)
			}
			if err := connect.CheckWebhookURL(e.URL); err != nil || e.URL == "" {
				return nil, "", fieldError(field+".url", errors.Join(err, emptyURL(e.URL)))
			}
		}
		parts = append(parts, e.URL, fmt.Sprint(e.Events))
		for n, text := range h.Secrets {
			resolved, err := sources.ResolveFixed(text)
			if err != nil {
				return nil, "", fieldError(fmt.Sprintf("%s.secrets[%d]", field, n), err)
			}
			secret, err := webhook.ParseSecret(strings.TrimSpace(resolved))
			if err != nil {
				return nil, "", fieldError(fmt.Sprintf("%s.secrets[%d]", field, n), err)
			}
			if !sources.HasPlaceholder(text) {
				logger.Warn("a webhook's secret stands literally in the configuration, which Caddy also saves and shows at its admin endpoint: write {env.NAME} or {file./PATH} instead", zap.String("field", field))
			}
			e.Secrets = append(e.Secrets, secret)
			parts = append(parts, credentials.Sealed(strings.TrimSpace(resolved)))
		}
		endpoints = append(endpoints, e)
	}
	return endpoints, credentials.NewKey(parts...), nil
}

func emptyURL(text string) error {
	if text == "" {
		return errors.New("it is empty")
	}
	return nil
}

// delivered writes down how a webhook fared, and counts it. It is an event of Caddy's event system only if it is
// the end of it: receivers are away for minutes now and then.
func (l *connectLog) delivered(d webhook.Delivery) {
	webhooksTotal.WithLabelValues(string(d.Outcome)).Inc()
	if l == nil {
		return
	}
	fields := []zap.Field{
		zap.String("event", "webhook_"+string(d.Outcome)), zap.String("webhook_event", string(d.Event)), zap.String("id", d.ID),
		zap.String("connection", d.Connection), zap.String("integration", d.Integration), zap.String("to", d.To), zap.Int("attempt", d.Attempt),
	}
	if d.Status != 0 {
		fields = append(fields, zap.Int("status", d.Status))
	}
	if d.Reason != "" {
		fields = append(fields, zap.String("reason", d.Reason))
	}
	if !d.Next.IsZero() {
		fields = append(fields, zap.Time("next", d.Next))
	}
	level := zapcore.InfoLevel
	switch d.Outcome {
	case webhook.Failed:
		level = zapcore.WarnLevel
	case webhook.Dropped:
		level = zapcore.ErrorLevel
		l.events.app.Emit(l.events.ctx, connectEvents+"webhook_dropped", map[string]any{
			"webhook_event": string(d.Event), "id": d.ID, "connection": d.Connection, "integration": d.Integration, "to": d.To, "reason": d.Reason,
		})
	case webhook.Delivered:
	}
	l.logger.Log(level, "connect", fields...)
}
