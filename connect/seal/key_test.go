package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// bytes32 are 32 different bytes.
func bytes32(from byte) []byte {
	b := make([]byte, 32)
	for i := range b {
		b[i] = from + byte(i)*7
	}
	return b
}

func testKey(t testing.TB, from byte) Key {
	t.Helper()
	k, err := ParseKey(base64.StdEncoding.EncodeToString(bytes32(from)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestParseKeyReadsEachNotation(t *testing.T) {
	// 0xfb and 0xff make base64 use the two letters in which its alphabets differ.
	raw := append([]byte{0xfb, 0xff, 0xfe}, bytes32(3)[3:]...)
	var want Key
	for i, text := range []string{
		base64.StdEncoding.EncodeToString(raw),
		base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw),
		base64.RawURLEncoding.EncodeToString(raw),
		hex.EncodeToString(raw),
		strings.ToUpper(hex.EncodeToString(raw)),
		" \t" + base64.StdEncoding.EncodeToString(raw) + "\r\n",
	} {
		k, err := ParseKey(text)
		switch {
		case err != nil:
			t.Errorf("notation %d: %v", i, err)
		case i == 0:
			want = k
		case k != want:
			t.Errorf("notation %d is read as another key", i)
		}
	}
	if want.ID() == testKey(t, 4).ID() {
		t.Error("two keys have one ID")
	}
}

func TestParseKeyRefusesWhatIsNoKey(t *testing.T) {
	for name, tt := range map[string]struct{ text, says string }{
		"nothing":           {"", "is empty"},
		"white space":       {" \n", "is empty"},
		"a passphrase":      {"correct horse battery staple", "neither base64 nor hexadecimal"},
		"a word":            {"hunter22hunter22", "has 12 bytes"},
		"AES-128":           {base64.StdEncoding.EncodeToString(bytes32(1)[:16]), "has 16 bytes"},
		"too long":          {base64.StdEncoding.EncodeToString(append(bytes32(1), 1)), "has 33 bytes"},
		"hexadecimal, odd":  {hex.EncodeToString(bytes32(1))[:62] + "zz", "neither"},
		"zeros":             {base64.StdEncoding.EncodeToString(make([]byte, 32)), "too few"},
		"a word repeated":   {base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("password"), 4)), "too few"},
		"a loose last byte": {base64.RawStdEncoding.EncodeToString(bytes32(1))[:42] + "B", "neither"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseKey(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("%v, want an error that says %q", err, tt.says)
			}
			if s := strings.TrimSpace(tt.text); s != "" && strings.Contains(err.Error(), s) {
				t.Errorf("the error repeats the text: %v", err)
			}
		})
	}
}

func TestKeyPrintsAsItsID(t *testing.T) {
	k := testKey(t, 9)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, v := range []any{k, &k} {
			got := fmt.Sprintf(format, v)
			if strings.Contains(got, k.secret) || strings.Contains(got, hex.EncodeToString([]byte(k.secret))) {
				t.Errorf("%s prints the key", format)
			}
		}
	}
	if got, want := fmt.Sprint(k), "seal key "+k.ID(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
