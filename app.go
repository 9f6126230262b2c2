package awssigv4

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/payload"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

const appName = "aws_sigv4"

// App holds what all `aws_sigv4` handlers and transports share: credentials
// that have a name, and the cache that keeps every identity's credentials
// fresh. In a Caddyfile it is the global option `aws_sigv4`.
//
// Named credentials that don't depend on a request are fetched as soon as the
// server starts, and refreshed in the background for as long as the
// configuration runs. Whatever was fetched survives a configuration reload.
type App struct {
	// Credentials by name. A name consists of letters, digits, `-`, `_` and
	// `.`, and must not be the name of a source.
	CredentialsRaw map[string]json.RawMessage `json:"credentials,omitempty" caddy:"namespace=aws_sigv4.credentials inline_key=source"`

	// Where bodies are held that are larger than `body_memory`. Default: the
	// system's directory for temporary files.
	SpoolDir string `json:"spool_dir,omitempty"`

	// The number of bytes that all held bodies in files may have together; a
	// request whose body does not fit is answered 503. Default: 4 GiB.
	SpoolLimit int64 `json:"spool_limit,omitempty"`

	// How customers' connections are kept. Required if there are integrations.
	Connections *Connections `json:"connections,omitempty"`

	// What customers may connect their AWS accounts for, by a key that names each in the API of
	// `aws_connect`: up to 255 letters, digits, spaces, and any of `~:.@_-`.
	Integrations map[string]*Integration `json:"integrations,omitempty"`

	// Permits integrations to be written while the server runs, and says what they may use. Default:
	// there are none but `integrations`.
	RuntimeIntegrations *RuntimeIntegrations `json:"runtime_integrations,omitempty"`

	ctx    caddy.Context
	logger *zap.Logger
	spool  *payload.Spool
	named  map[string]credentials.Source
	// unnamed are sources that are used by their own name. It is only written
	// while the configuration is provisioned.
	unnamed map[string]credentials.Source
	// identities are those of the named credentials that need no request.
	identities map[string]credentials.Identity
	// brokers are the identities that helpers assume roles with. It is only
	// written while the configuration is provisioned.
	brokers []credentials.Identity
	cache   *credentials.Cache
	events  fetchEvents
	release []func()

	// connect is nil unless there are integrations or connections; connectKey is what it has in
	// its pool, until it is given back.
	connect    *sharedConnect
	connectKey string

	// handlersChoose is set at Provision if a handler says for which host,
	// service or region the transport behind it is to sign.
	handlersChoose bool

	// started and ended are closed at Start and at Cleanup.
	started, ended chan struct{}
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  appName,
		New: func() caddy.Module { return new(App) },
	}
}

// caches holds the one cache of credentials of this process while any
// configuration uses it, so that a reload fetches nothing again. One cache
// serves all configurations because an identity's key holds everything that
// selects it: a changed configuration has other keys.
var caches = caddy.NewUsagePool()

const cacheKey = "credentials"

type pooledCache struct{ *credentials.Cache }

// Destruct ends the cache with the last configuration that used it.
func (p pooledCache) Destruct() error {
	p.Close()
	return nil
}

// Provision loads the named credentials. It does not touch the network.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	a.logger = ctx.Logger()
	a.started, a.ended = make(chan struct{}), make(chan struct{})
	a.named = make(map[string]credentials.Source)
	a.unnamed = make(map[string]credentials.Source)
	a.identities = make(map[string]credentials.Identity)
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	var err error
	if a.events, err = newFetchEvents(ctx, a.nameOf); err != nil {
		return err
	}
	if a.SpoolLimit < 0 {
		return fieldError("spool_limit", fmt.Errorf("%d is negative: write a size such as 4GiB", a.SpoolLimit))
	}
	dir, err := sources.ResolveFixed(a.SpoolDir)
	if err != nil {
		return fieldError("spool_dir", err)
	}
	a.spool = &payload.Spool{Dir: dir, Limit: a.SpoolLimit}
	for name := range a.CredentialsRaw {
		if err := checkCredentialsName(name); err != nil {
			return fieldError("credentials", err)
		}
	}
	if len(a.CredentialsRaw) > 0 {
		mods, err := ctx.LoadModule(a, "CredentialsRaw")
		if err != nil {
			return fieldError("credentials", err)
		}
		for name, mod := range mods.(map[string]any) {
			src, ok := mod.(credentials.Source)
			if !ok {
				return fieldError("credentials."+name, fmt.Errorf("module %T is not a source of credentials", mod))
			}
			a.named[name] = src
		}
	}
	names := slices.Sorted(maps.Keys(a.named))
	for _, name := range names {
		if err := a.checkChain(name, nil); err != nil {
			return fieldError("credentials."+name, err)
		}
	}
	for _, name := range names {
		if chained, ok := a.named[name].(credentials.Chained); ok {
			if err := chained.SetResolver(a); err != nil {
				return fieldError("credentials."+name, err)
			}
		}
	}
	for _, name := range names {
		if src := a.named[name]; !src.PerRequest() {
			if a.identities[name], err = src.Identity(nil); err != nil {
				return fieldError("credentials."+name, err)
			}
		}
	}
	// Used wherever no credentials are named, so it must be there before the
	// first request: modules can't be loaded then.
	if _, err := a.defaultSource(); err != nil {
		return err
	}
	cache, _, err := caches.LoadOrNew(cacheKey, func() (caddy.Destructor, error) {
		return pooledCache{credentials.NewCache(credentials.Options{})}, nil
	})
	if err != nil {
		return err
	}
	a.cache = cache.(pooledCache).Cache
	return a.provisionConnect(ctx)
}

// checkChain follows `from` to its end and reports names that don't exist and
// circles, naming the chain.
func (a *App) checkChain(name string, chain []string) error {
	chain = append(chain, name)
	if slices.Contains(chain[:len(chain)-1], name) {
		return fmt.Errorf("credentials stand on themselves: %s; the last of a chain must be a source that assumes no role", strings.Join(chain, " from "))
	}
	src, err := a.Source(name)
	if err != nil {
		if len(chain) > 1 {
			return fmt.Errorf("%w (%s)", err, strings.Join(chain, " from "))
		}
		return err
	}
	if chained, ok := src.(credentials.Chained); ok {
		return a.checkChain(chained.FromName(), chain)
	}
	return nil
}

// Source returns the named credentials, or else the source of that name if it
// needs no configuration. It is the resolver that sources use for `from`.
func (a *App) Source(name string) (credentials.Source, error) {
	if src, ok := a.named[name]; ok {
		return src, nil
	}
	if src, ok := a.unnamed[name]; ok {
		return src, nil
	}
	if !sources.IsSource(name) {
		return nil, unknownCredentials(name, slices.Sorted(maps.Keys(a.named)))
	}
	mod, err := a.ctx.LoadModuleByID(sources.Namespace+"."+name, nil)
	if err != nil {
		return nil, fmt.Errorf("source %s can't be used by its name alone: %w", name, err)
	}
	src, ok := mod.(credentials.Source)
	if !ok {
		return nil, fmt.Errorf("module %T is not a source of credentials", mod)
	}
	if chained, ok := src.(credentials.Chained); ok {
		if err := chained.SetResolver(a); err != nil {
			return nil, err
		}
	}
	a.unnamed[name] = src
	return src, nil
}

func unknownCredentials(name string, defined []string) error {
	known := "none"
	if len(defined) > 0 {
		known = strings.Join(defined, ", ")
	}
	return fmt.Errorf("there are no credentials named %q: define them in the global option aws_sigv4 (defined: %s), or name a source (%s)",
		name, known, strings.Join(sources.Names(), ", "))
}

// checkIdentity reports an identity that a request could choose without the
// operator having said which are allowed.
func (a *App) checkIdentity(src credentials.Source, hasAllowRoles bool) error {
	if role := roleByRequest(src); role != "" && !hasAllowRoles {
		return fieldError(roleField, fmt.Errorf("%s is filled from the request: say with allow_roles which roles it may name", role))
	}
	for {
		chained, ok := src.(credentials.Chained)
		if !ok {
			return nil
		}
		var err error
		if src, err = a.Source(chained.FromName()); err != nil {
			return err
		}
		if role := roleByRequest(src); role != "" {
			return fieldError("from", fmt.Errorf("the role %s is filled from the request, and other roles are assumed from it: allow_roles would not be asked; write a fixed role", role))
		}
	}
}

const roleField = "role_arn"

// roleByRequest returns the role that a source assumes, as it is configured, if
// a request has a say in it. A source that doesn't tell what a request has a say
// in is taken to mean the role.
func roleByRequest(src credentials.Source) string {
	fields, ok := src.(credentials.Fields)
	if !ok {
		if src.PerRequest() {
			return fmt.Sprintf("of %T", src)
		}
		return ""
	}
	for _, f := range fields.IdentityFields() {
		if f.Name == roleField && sources.NeedsRequest(f.Value) {
			return strconv.Quote(f.Value)
		}
	}
	return ""
}

// checkCredentialsName keeps names and sources apart, so that one word always
// means one thing.
func checkCredentialsName(name string) error {
	if sources.IsSource(name) {
		return fmt.Errorf("%q is the name of a source: choose another name", name)
	}
	if !isName(name, 64) {
		return fmt.Errorf("%q can't be a name: write up to 64 letters, digits, `-`, `_` and `.`", name)
	}
	return nil
}

// isName tells whether s consists of 1 to most letters, digits, `-`, `_`, `.`.
func isName(s string, most int) bool {
	ok := s != "" && len(s) <= most
	for _, c := range s {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.", c))
	}
	return ok
}

// defaultSource is used wherever a configuration names no credentials.
func (a *App) defaultSource() (credentials.Source, error) { return a.Source("default") }

// credentials returns an identity's credentials from the cache. Before Start it
// waits: reverse_proxy begins its health checks when it is provisioned, which
// `caddy validate` does too, and that must not touch the network. A
// configuration that has ended still serves the requests that it began.
func (a *App) credentials(ctx context.Context, id credentials.Identity) (*credentials.Credentials, error) {
	select {
	case <-a.started:
		return a.cache.Get(ctx, id)
	default:
	}
	select {
	case <-a.started:
	case <-a.ended:
		return nil, errNotRunning
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return a.cache.Get(ctx, id)
}

var errNotRunning = caddyhttp.Error(http.StatusServiceUnavailable, errors.New("this configuration is not running"))

// Start fetches the named credentials, and those of brokers, in the background.
func (a *App) Start() error {
	a.release = append(a.release, a.run(), a.cache.Attach(observers{cacheLog{a.logger, a.nameOf}, fetchMetrics{}, a.events}))
	for _, name := range slices.Sorted(maps.Keys(a.identities)) {
		a.release = append(a.release, a.cache.Pin(a.identities[name]))
	}
	for _, id := range a.brokers {
		a.release = append(a.release, a.cache.Pin(id))
	}
	a.startConnect(a.ctx)
	close(a.started)
	a.announce()
	return nil
}

// Stop lets go of the named credentials. By then a new configuration holds
// those that it still uses.
func (a *App) Stop() error {
	err := a.stopConnect()
	for _, release := range a.release {
		release()
	}
	a.release = nil
	return err
}

// Cleanup gives the cache back. Caddy calls it once, also if Provision failed.
func (a *App) Cleanup() error {
	close(a.ended)
	err := a.Stop()
	if a.cache == nil {
		return err
	}
	_, deleteErr := caches.Delete(cacheKey)
	return errors.Join(err, deleteErr)
}

// MarshalLogObject keeps secrets that are written literally out of logs.
func (a *App) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	return enc.AddArray("credentials", zapcore.ArrayMarshalerFunc(func(enc zapcore.ArrayEncoder) error {
		for _, name := range slices.Sorted(maps.Keys(a.CredentialsRaw)) {
			enc.AppendString(name)
		}
		return nil
	}))
}

// nameOf returns the name of the credentials with that key, the first of several, or "".
func (a *App) nameOf(key string) string {
	for _, name := range slices.Sorted(maps.Keys(a.identities)) {
		if a.identities[name].Key == key {
			return name
		}
	}
	return ""
}

// observers tells several of what happens.
type observers []credentials.Observer

func (o observers) Fetched(e credentials.Event) {
	for _, one := range o {
		one.Fetched(e)
	}
}

func (o observers) Failed(e credentials.Event) {
	for _, one := range o {
		one.Failed(e)
	}
}

// cacheLog writes down what happens to credentials in the background.
type cacheLog struct {
	logger *zap.Logger
	name   func(key string) string
}

// who are the fields that say whose credentials an event is about.
func (l cacheLog) who(e credentials.Event) []zap.Field {
	fields := []zap.Field{zap.String("identity", e.Label)}
	if name := l.name(e.Key); name != "" {
		fields = append(fields, zap.String("name", name))
	}
	return fields
}

func (l cacheLog) Fetched(e credentials.Event) {
	fields := append(l.who(e), zap.Duration("duration", e.Duration))
	if !e.Expires.IsZero() {
		fields = append(fields, zap.Time("expires", e.Expires))
	}
	l.logger.Info("credentials fetched", fields...)
}

func (l cacheLog) Failed(e credentials.Event) {
	fields := append(l.who(e), zap.Duration("duration", e.Duration), zap.Error(e.Err))
	fields = append(fields, explanationFields(e.Err)...)
	level := zapcore.ErrorLevel
	if !e.ValidUntil.IsZero() {
		// No request is affected yet.
		level = zapcore.WarnLevel
		fields = append(fields, zap.Time("served_until", e.ValidUntil))
	}
	l.logger.Log(level, "fetching credentials", fields...)
}

var (
	_ caddy.App               = (*App)(nil)
	_ caddy.Provisioner       = (*App)(nil)
	_ caddy.CleanerUpper      = (*App)(nil)
	_ credentials.Resolver    = (*App)(nil)
	_ zapcore.ObjectMarshaler = (*App)(nil)
)
