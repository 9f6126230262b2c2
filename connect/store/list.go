package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Keys returns up to limit keys of a kind whose names come after a given one, in their order. Fewer
// than limit means that there are no more. Records that are made meanwhile may be missing.
func (s *Store) Keys(ctx context.Context, kind, after string, limit int) ([]Key, error) {
	if !kindGrammar.MatchString(kind) {
		return nil, fmt.Errorf("%q is no kind of record", kind)
	}
	shards, err := s.list(ctx, path.Join(s.options.Prefix, kind))
	if err != nil {
		return nil, err
	}
	var keys []Key
	for _, shard := range shards {
		if !shardGrammar.MatchString(shard) || shard < after[:min(2, len(after))] {
			continue
		}
		names, err := s.list(ctx, path.Join(s.options.Prefix, kind, shard))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			k, err := NewKey(kind, name)
			if err != nil || !strings.HasPrefix(name, shard) || name <= after {
				continue // For example a file that a crash left behind.
			}
			if len(keys) == limit {
				return keys, nil
			}
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// list returns what a directory holds, sorted.
func (s *Store) list(ctx context.Context, dir string) ([]string, error) {
	var (
		paths []string
		err   error
	)
	// certmagic.FileStorage fails to list a directory if a file vanishes meanwhile, as do the temporary
	// files of those who write to it.
	for range 10 {
		paths, err = s.storage.List(ctx, dir, false)
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		if !s.storage.Exists(ctx, dir) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w: %w", dir, ErrUnavailable, err)
	}
	for i, p := range paths {
		paths[i] = path.Base(p)
	}
	slices.Sort(paths)
	return paths, nil
}
