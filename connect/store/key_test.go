package store

import (
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

func TestNewKeyRefusesWhatStoragesCouldMisread(t *testing.T) {
	good := strings.Repeat("0", 32)
	for _, k := range [][2]string{
		{"", good},
		{"a", good},
		{"..", good},
		{"a/b", good},
		{"Things", good},
		{"indexkey", good},
		{"things", ""},
		{"things", "short"},
		{"things", strings.Repeat("0", 65)},
		{"things", "../" + good},
		{"things", good + "/.."},
		{"things", "-" + good},
		{"things", strings.ToUpper("a" + good)},
		{"things", good + "\x00"},
		{"things", good + "\n"},
		{"things", strings.Repeat("é", 20)},
		{"things", strings.Repeat(".", 32)},
	} {
		if _, err := NewKey(k[0], k[1]); err == nil {
			t.Errorf("%q is a key", k)
		}
	}
	k, err := NewKey("connections", "3f2a64a8-6f0b-4d3e-9d57-0c5a0a4d2b11")
	if err != nil || k.path("p") != "p/connections/3f/3f2a64a8-6f0b-4d3e-9d57-0c5a0a4d2b11" {
		t.Errorf("%q, %v", k.path("p"), err)
	}
}

func TestHashedKeysAreDistinct(t *testing.T) {
	s := newStore(t, &storetest.Memory{}, Options{})
	seen := make(map[Key][]string)
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"a", "b", "c"}, {"ABC"}} {
		k := hashed(t, s, parts...)
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q have one key", parts, other)
		}
		seen[k] = parts
	}
	other, _ := s.HashedKey(t.Context(), "others", "abc")
	if _, ok := seen[other]; ok || other.Name() == hashed(t, s, "abc").Name() {
		t.Error("two kinds have one name")
	}
	elsewhere := newStore(t, &storetest.Memory{}, Options{})
	if hashed(t, elsewhere, "abc") == hashed(t, s, "abc") {
		t.Error("names can be guessed without the index key")
	}
}

func FuzzKeysStayInTheirDirectory(f *testing.F) {
	f.Add("things", "../../etc/passwd")
	f.Add("..", strings.Repeat("a", 40))
	f.Add("connections", "3f2a64a8-6f0b-4d3e-9d57-0c5a0a4d2b11")
	s := newStore(f, &storetest.Memory{}, Options{})
	f.Fuzz(func(t *testing.T, kind, name string) {
		plain, plainErr := NewKey(kind, name)
		hash, hashErr := s.HashedKey(t.Context(), kind, name)
		for k, err := range map[Key]error{plain: plainErr, hash: hashErr} {
			if err != nil {
				continue
			}
			p := k.path("aws_sigv4/connect")
			if path.Clean(p) != p || !strings.HasPrefix(p, "aws_sigv4/connect/"+kind+"/") || strings.ToLower(p) != p {
				t.Errorf("%q, %q lies at %q", kind, name, p)
			}
			file := (&certmagic.FileStorage{Path: "/data"}).Filename(p)
			if filepath.Dir(filepath.Dir(filepath.Dir(file))) != "/data/aws_sigv4/connect" {
				t.Errorf("%q, %q is the file %q", kind, name, file)
			}
			if l := k.lock("p"); certmagic.StorageKeys.Safe(l) != l {
				t.Errorf("the lock %q is changed by storages", l)
			}
		}
	})
}
