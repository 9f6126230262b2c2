// Package storages has storages for Caddy to test with: one in Redis, and one that makes another fail.
package storages

import (
	"context"
	"crypto/rand"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
)

func init() {
	caddy.RegisterModule(new(Redis))
	caddy.RegisterModule(new(Unreliable))
}

const (
	valuePrefix = "value:"
	lockPrefix  = "lock:"
	allKeys     = "keys" // a sorted set, so that directories can be listed

	// A lock whose holder does not renew it any more is free after that time.
	lockLife = 5 * time.Second
	lockPoll = 20 * time.Millisecond
)

// Redis keeps values in a server of Redis without a password.
type Redis struct {
	// HOST:PORT
	Address string `json:"address"`

	client *client

	mu   sync.Mutex
	held map[string]*heldLock
}

type heldLock struct {
	token string
	stop  func()
}

var (
	_ certmagic.Storage      = (*Redis)(nil)
	_ caddy.StorageConverter = (*Redis)(nil)
)

// CaddyModule returns the module's name.
func (*Redis) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.test_redis", New: func() caddy.Module { return new(Redis) }}
}

// Provision makes the client.
func (r *Redis) Provision(caddy.Context) error {
	r.client, r.held = newClient(r.Address), make(map[string]*heldLock)
	return nil
}

// CertMagicStorage implements caddy.StorageConverter.
func (r *Redis) CertMagicStorage() (certmagic.Storage, error) { return r, nil }

func (r *Redis) one(ctx context.Context, words ...string) (any, error) {
	answers, err := r.client.do(ctx, words)
	if err != nil {
		return nil, err
	}
	return answers[0], nil
}

// Store implements certmagic.Storage.
func (r *Redis) Store(ctx context.Context, key string, value []byte) error {
	_, err := r.client.do(ctx, []string{"MULTI"}, []string{"SET", valuePrefix + key, string(value)}, []string{"ZADD", allKeys, "0", key}, []string{"EXEC"})
	return err
}

// Load implements certmagic.Storage.
func (r *Redis) Load(ctx context.Context, key string) ([]byte, error) {
	a, err := r.one(ctx, "GET", valuePrefix+key)
	if err != nil {
		return nil, err
	}
	text, ok := a.(string)
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(text), nil
}

// Delete implements certmagic.Storage.
func (r *Redis) Delete(ctx context.Context, key string) error {
	keys, err := r.below(ctx, key)
	if err != nil {
		return err
	}
	for _, k := range append(keys, key) {
		if _, err := r.client.do(ctx, []string{"MULTI"}, []string{"DEL", valuePrefix + k}, []string{"ZREM", allKeys, k}, []string{"EXEC"}); err != nil {
			return err
		}
	}
	return nil
}

// Exists implements certmagic.Storage.
func (r *Redis) Exists(ctx context.Context, key string) bool {
	if a, err := r.one(ctx, "EXISTS", valuePrefix+key); err != nil || a == int64(1) {
		return err == nil
	}
	keys, err := r.below(ctx, key)
	return err == nil && len(keys) > 0
}

// below returns the keys in a directory and its directories.
func (r *Redis) below(ctx context.Context, dir string) ([]string, error) {
	a, err := r.one(ctx, "ZRANGEBYLEX", allKeys, "["+dir+"/", "("+dir+"0") // What comes after a slash.
	if err != nil {
		return nil, err
	}
	list, _ := a.([]any)
	keys := make([]string, 0, len(list))
	for _, k := range list {
		text, _ := k.(string)
		keys = append(keys, text)
	}
	return keys, nil
}

// List implements certmagic.Storage.
func (r *Redis) List(ctx context.Context, dir string, recursive bool) ([]string, error) {
	keys, err := r.below(ctx, dir)
	switch {
	case err != nil:
		return nil, err
	case len(keys) == 0:
		return nil, fs.ErrNotExist
	}
	var found []string
	for _, k := range keys {
		parts := strings.Split(strings.TrimPrefix(k, dir+"/"), "/")
		for i := range parts {
			if i == 0 || recursive {
				found = append(found, path.Join(dir, path.Join(parts[:i+1]...)))
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// Stat implements certmagic.Storage.
func (r *Redis) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	v, err := r.Load(ctx, key)
	return certmagic.KeyInfo{Key: key, Size: int64(len(v)), IsTerminal: true}, err
}

// Lock implements certmagic.Locker.
func (r *Redis) Lock(ctx context.Context, name string) error {
	token := rand.Text()
	for {
		a, err := r.one(ctx, "SET", lockPrefix+name, token, "NX", "PX", "5000")
		if err != nil {
			return err
		}
		if a != nil {
			break
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	renewing, stop := context.WithCancel(context.Background())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[name] = &heldLock{token, stop}
	go func() {
		for {
			select {
			case <-renewing.Done():
				return
			case <-time.After(lockLife / 4):
				_, _ = r.one(renewing, "PEXPIRE", lockPrefix+name, "5000") // If it fails, the lock becomes free.
			}
		}
	}()
	return nil
}

// Unlock implements certmagic.Locker.
func (r *Redis) Unlock(ctx context.Context, name string) error {
	r.mu.Lock()
	h := r.held[name]
	delete(r.held, name)
	r.mu.Unlock()
	if h == nil {
		return fs.ErrNotExist
	}
	h.stop()
	const ifOwn = `if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0`
	_, err := r.one(ctx, "EVAL", ifOwn, "1", lockPrefix+name, h.token)
	return err
}
