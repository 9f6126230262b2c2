package storages

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

// Unreliable is another storage, which a test in another process slows down, and takes away and brings back.
type Unreliable struct {
	// The other one.
	StorageRaw json.RawMessage `json:"storage" caddy:"namespace=caddy.storage inline_key=module"`

	// A file that says what goes wrong, any of the words away, empty and errors. It is looked at a hundred times a second; if
	// it is not there, nothing goes wrong.
	Control string `json:"control"`

	// How long each operation takes at most.
	Delay caddy.Duration `json:"delay"`

	storage *storetest.Unreliable
	stop    chan struct{}
}

// CaddyModule returns the module's name.
func (*Unreliable) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.test_unreliable", New: func() caddy.Module { return new(Unreliable) }}
}

// Provision loads the other storage.
func (u *Unreliable) Provision(ctx caddy.Context) error {
	m, err := ctx.LoadModule(u, "StorageRaw")
	if err != nil {
		return err
	}
	converter, ok := m.(caddy.StorageConverter)
	if !ok {
		return fmt.Errorf("%T is no storage", m)
	}
	inner, err := converter.CertMagicStorage()
	if err != nil {
		return err
	}
	u.storage, u.stop = &storetest.Unreliable{Storage: inner, Delay: time.Duration(u.Delay)}, make(chan struct{})
	go u.watch()
	return nil
}

// Cleanup ends the watching.
func (u *Unreliable) Cleanup() error {
	if u.stop != nil {
		close(u.stop)
	}
	return nil
}

// CertMagicStorage implements caddy.StorageConverter.
func (u *Unreliable) CertMagicStorage() (certmagic.Storage, error) { return u.storage, nil }

func (u *Unreliable) watch() {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		words, err := os.ReadFile(u.Control)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			u.storage.SetAway(strings.Contains(string(words), "away"))
			u.storage.SetEmpty(strings.Contains(string(words), "empty"))
			perThousand := 0
			if strings.Contains(string(words), "errors") {
				perThousand = 50
			}
			u.storage.SetErrors(perThousand)
		}
		select {
		case <-tick.C:
		case <-u.stop:
			return
		}
	}
}
