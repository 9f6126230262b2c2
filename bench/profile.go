package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// profileTime is how long each Caddy is watched.
const profileTime = 5 * time.Second

// profileAll writes a CPU profile of each Caddy under full load, apart from the
// measured rounds.
func (b *bench) profileAll(ctx context.Context) error {
	if err := os.MkdirAll(b.profiles, 0o750); err != nil {
		return err
	}
	for i := range variants {
		v := &variants[i]
		if v.site == "" || !v.present(&b.options) {
			continue
		}
		path := filepath.Join(b.profiles, strings.ReplaceAll(v.name, " ", "-")+".pprof")
		if err := b.profile(ctx, v, path); err != nil {
			return fmt.Errorf("profile of %s: %w", v.name, err)
		}
		fmt.Fprintf(b.progress, "wrote %s; see: go tool pprof -top -cum %s\n", path, path)
	}
	return nil
}

// profile asks Caddy's admin endpoint for a profile while requests are sent.
func (b *bench) profile(ctx context.Context, v *variant, path string) error {
	p, err := b.start(ctx, v, true)
	if err != nil {
		return err
	}
	defer p.stop()
	load, err := newLoad(p.addr, b.connections)
	if err != nil {
		return err
	}
	defer load.close()
	if _, err := load.saturate(ctx, b.warm, b.requests); err != nil {
		return err
	}
	loaded := make(chan error, 1)
	go func() {
		_, err := load.saturate(ctx, profileTime+time.Second, 1<<62)
		loaded <- err
	}()
	profile, err := get(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", p.admin, int(profileTime.Seconds())))
	if loadErr := <-loaded; loadErr != nil {
		return loadErr
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(profile), 0o600)
}
