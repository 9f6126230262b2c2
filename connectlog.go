package awssigv4

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// connectEvents is what the names of Connect's events in Caddy's event system begin with; the rest is
// that of connect.AuditKind.
const connectEvents = "aws_connect."

// connectLog writes down what happens to sessions and connections, and tells Caddy's event system. None
// of it holds a token, an External ID or credentials.
type connectLog struct {
	logger *zap.Logger
	events fetchEvents
}

func (l *connectLog) audit(e connect.AuditEvent) {
	if l == nil {
		return
	}
	level := zapcore.InfoLevel
	if e.Code != "" {
		level = zapcore.WarnLevel // The customer's doing, or the role's.
	}
	fields := []zap.Field{zap.String("event", string(e.Kind))}
	data := map[string]any{}
	for _, f := range []struct{ name, value string }{
		{"actor", e.Actor},
		{"session", e.Session},
		{"connection", e.Connection},
		{"integration", e.Integration},
		{"end_user", e.EndUser},
		{"organization", e.Organization},
		{"role_arn", e.RoleARN},
		{"region", e.Region},
		{"account", e.Account},
		{"code", string(e.Code)},
		{"aws_code", e.AWSCode},
		{"request_id", e.RequestID},
		{"message", e.Text},
		{"probe", string(e.Probe)},
		{"probe_reason", e.ProbeReason},
	} {
		if f.value != "" {
			fields = append(fields, zap.String(f.name, f.value))
			data[f.name] = f.value
		}
	}
	if e.Attempts > 0 {
		fields = append(fields, zap.Int("attempts", e.Attempts))
		data["attempts"] = e.Attempts
	}
	if e.Took > 0 {
		fields = append(fields, zap.Duration("took", e.Took))
		data["took"] = e.Took
	}
	l.logger.Log(level, "connect", fields...)
	l.events.app.Emit(l.events.ctx, connectEvents+string(e.Kind), data)
}

func (l *connectLog) report(err error) {
	if l != nil {
		l.logger.Error("connect", zap.Error(err))
	}
}
