package storetest

import (
	"context"
	"errors"
	"sync"

	"github.com/caddyserver/certmagic"
)

// Fault is how an operation goes wrong.
type Fault int

const (
	// Fails lets the operation fail; nothing was done, and the next one works.
	Fails Fault = iota

	// FailsAfter does the operation and says that it failed, as when an answer is lost.
	FailsAfter

	// Dies ends the process before the operation: all its operations fail from then on, and its
	// locks remain.
	Dies

	// DiesAfter ends the process after the operation.
	DiesAfter
)

// Faults are all of them, by name.
var Faults = map[string]Fault{
	"fails": Fails, "fails after": FailsAfter, "dies": Dies, "dies after": DiesAfter,
}

// ErrInjected is what operations fail with.
var ErrInjected = errors.New("the storage is away")

// Process is the storage as one process sees it. Its operations are counted, and go wrong as told.
type Process struct {
	storage certmagic.Storage

	mu    sync.Mutex
	count int
	at    int
	fault Fault
	dead  bool
}

var _ certmagic.Storage = (*Process)(nil)

// NewProcess returns a process whose at-th operation, from 1, goes wrong; 0 means none.
func NewProcess(s certmagic.Storage, at int, fault Fault) *Process {
	return &Process{storage: s, at: at, fault: fault}
}

// FailNext has the at-th operation from now, from 1, go wrong.
func (p *Process) FailNext(at int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = p.count + at
}

// Count returns how many operations there were.
func (p *Process) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// do counts an operation and does it, or not.
func (p *Process) do(operation func() error) error {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return ErrInjected
	}
	p.count++
	wrong := p.count == p.at
	p.dead = wrong && (p.fault == Dies || p.fault == DiesAfter)
	p.mu.Unlock()
	if !wrong {
		return operation()
	}
	if p.fault == FailsAfter || p.fault == DiesAfter {
		_ = operation() // Its answer is lost.
	}
	return ErrInjected
}

// Lock is an operation.
func (p *Process) Lock(ctx context.Context, name string) error {
	return p.do(func() error { return p.storage.Lock(ctx, name) })
}

// Unlock is an operation.
func (p *Process) Unlock(ctx context.Context, name string) error {
	return p.do(func() error { return p.storage.Unlock(ctx, name) })
}

// Store is an operation.
func (p *Process) Store(ctx context.Context, key string, value []byte) error {
	return p.do(func() error { return p.storage.Store(ctx, key, value) })
}

// Load is an operation.
func (p *Process) Load(ctx context.Context, key string) (value []byte, err error) {
	err = p.do(func() error {
		value, err = p.storage.Load(ctx, key)
		return err
	})
	return value, err
}

// Delete is an operation.
func (p *Process) Delete(ctx context.Context, key string) error {
	return p.do(func() error { return p.storage.Delete(ctx, key) })
}

// Exists is an operation that can't say that it failed.
func (p *Process) Exists(ctx context.Context, key string) (exists bool) {
	_ = p.do(func() error {
		exists = p.storage.Exists(ctx, key)
		return nil
	})
	return exists
}

// List is an operation.
func (p *Process) List(ctx context.Context, dir string, recursive bool) (keys []string, err error) {
	err = p.do(func() error {
		keys, err = p.storage.List(ctx, dir, recursive)
		return err
	})
	return keys, err
}

// Stat is an operation.
func (p *Process) Stat(ctx context.Context, key string) (info certmagic.KeyInfo, err error) {
	err = p.do(func() error {
		info, err = p.storage.Stat(ctx, key)
		return err
	})
	return info, err
}
