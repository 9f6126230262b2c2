package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// cleanEnvironment leaves no AWS settings of the machine that runs the test.
func cleanEnvironment(t *testing.T) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// adapt reads a source from a Caddyfile.
func adapt(text string) (string, error) {
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	raw, err := UnmarshalSource(d, d.Val())
	if err == nil && d.Next() {
		err = fmt.Errorf("%q was left unread", d.Val())
	}
	return string(raw), err
}

// load provisions and validates a source from its JSON, as Caddy does.
func load(t testing.TB, config string) (credentials.Source, error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	var name struct{ Source string }
	fields := map[string]json.RawMessage{}
	if json.Unmarshal([]byte(config), &name) != nil || json.Unmarshal([]byte(config), &fields) != nil {
		t.Fatalf("no JSON: %s", config)
	}
	delete(fields, "source")
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := ctx.LoadModuleByID(Namespace+"."+name.Source, raw)
	if err != nil {
		return nil, err
	}
	return mod.(credentials.Source), nil
}

func mustLoad(t testing.TB, config string) credentials.Source {
	t.Helper()
	s, err := load(t, config)
	if err != nil {
		t.Fatalf("%s: %v", config, err)
	}
	return s
}

// resolver finds sources by name.
type resolver map[string]credentials.Source

func (r resolver) Source(name string) (credentials.Source, error) {
	if s, ok := r[name]; ok {
		return s, nil
	}
	return nil, fmt.Errorf("there are no credentials named %q", name)
}

// mustResolve loads a source with its resolver, which has default and env besides what is given.
func mustResolve(t testing.TB, config string, named resolver) credentials.Source {
	t.Helper()
	s := mustLoad(t, config)
	r := resolver{"default": new(Default), "env": new(Env)}
	maps.Copy(r, named)
	if c, ok := s.(credentials.Chained); ok {
		if err := c.SetResolver(r); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func mustIdentity(t testing.TB, s credentials.Source, expand credentials.Expander) credentials.Identity {
	t.Helper()
	id, err := s.Identity(expand)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// request returns an expander of a request with these placeholders, which fails the test when it is
// given anything but one placeholder.
func request(t *testing.T, placeholders map[string]string) credentials.Expander {
	repl := caddy.NewEmptyReplacer()
	for k, v := range placeholders {
		repl.Set(k, v)
	}
	return func(value string) (string, error) {
		t.Helper()
		if !strings.HasPrefix(value, "{") || strings.IndexByte(value, '}') != len(value)-1 {
			t.Errorf("asked to expand %q", value)
		}
		return repl.ReplaceOrErr(value, true, true)
	}
}
