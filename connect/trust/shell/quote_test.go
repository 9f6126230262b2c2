package shell

import (
	"bytes"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
)

// shells are the oracles: what they print is what they read.
var shells = []string{"sh", "bash", "dash", "zsh", "ksh"}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "''",
		"plain":                  "plain",
		"arn:aws:iam::1:role/a":  "arn:aws:iam::1:role/a",
		"a b":                    "'a b'",
		"it's":                   `'it'\''s'`,
		"'":                      `''\'''`,
		"$HOME":                  "'$HOME'",
		"`id`":                   "'`id`'",
		"a\nb":                   "'a\nb'",
		`\`:                      `'\'`,
		"~":                      "'~'",
		"=ls":                    "'=ls'",
		"a=b":                    "a=b",
		"héllo":                  "'héllo'",
		"!!":                     "'!!'",
		"{a,b}":                  "'{a,b}'",
		"*":                      "'*'",
		"--flag":                 "--flag",
		"#":                      "'#'",
		"https://e.com/a?b=c&d=": "'https://e.com/a?b=c&d='",
	} {
		if got := Quote(text); got != want {
			t.Errorf("Quote(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestAHoleStopsTheCommandUntilItsVariableIsSet(t *testing.T) {
	script := "printf '%s' " + Hole("Secret=", "PARAM_Secret", "write its value") + "; echo ran"
	for _, set := range []string{"", "PARAM_Secret=; "} {
		if out, err := exec.Command("sh", "-c", set+script).Output(); err == nil || len(out) != 0 {
			t.Errorf("%s%s: it ran and printed %q", set, script, out)
		}
	}
	out, err := exec.Command("sh", "-c", "PARAM_Secret='a  $b *'; "+script).Output()
	if want := "Secret=a  $b *ran\n"; err != nil || string(out) != want {
		t.Errorf("%s printed %q, %v, want %q", script, out, err, want)
	}
}

func TestCheck(t *testing.T) {
	for text, ok := range map[string]bool{
		"": true, "a\nb": true, "日本": true, "'\"$`\\": true,
		"a\x00": false, "a\tb": false, "\x1b[2J": false, "a\r": false, "\x7f": false, "\u0085": false,
		"\xff": false, "a\u202eb": false, "\u2066": false, "\u2028": false,
	} {
		if err := Check(text); (err == nil) != ok {
			t.Errorf("Check(%q) = %v", text, err)
		}
	}
}

// TestShellsReadWhatWasQuoted gives each shell on this machine a thousand generated words.
func TestShellsReadWhatWasQuoted(t *testing.T) {
	const alphabet = "ab Z09'\"\\$`!*?[]{}()<>|&;#~=%^-_+,.:/@\né日𝕏"
	runes := []rune(alphabet)
	rng := rand.New(rand.NewPCG(1, 2))
	words := []string{"", "'", "''", `\'`, `'\''`, "-n", "-e", "--", "$(exit 1)", "~root", "=ls", "a=~", "!!", "\n", "a\n"}
	for range 1000 {
		word := make([]rune, rng.IntN(12))
		for i := range word {
			word[i] = runes[rng.IntN(len(runes))]
		}
		words = append(words, string(word))
	}
	script := "printf '%s\\0'"
	for _, word := range words {
		if err := Check(word); err != nil {
			t.Fatal(err)
		}
		script += " " + Quote(word)
	}
	ran := 0
	for _, name := range shells {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		ran++
		cmd := exec.Command(path)
		cmd.Stdin = strings.NewReader(script)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		compare(t, name, out, words)
	}
	if ran == 0 {
		t.Skip("SKIPPED: no shell on this machine")
	}
}

func FuzzQuote(f *testing.F) {
	for _, text := range []string{"", "a", "it's", "$x`y`", "a\\", "=", "~", "a\nb"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if Check(text) != nil {
			t.Skip()
		}
		out, err := exec.Command("sh", "-c", "printf '%s\\0' "+Quote(text)+" "+Quote("N="+text)).Output()
		if err != nil {
			t.Fatal(err)
		}
		compare(t, "sh", out, []string{text, "N=" + text})
	})
}

func compare(t *testing.T, shell string, out []byte, words []string) {
	t.Helper()
	got := bytes.Split(out, []byte{0})
	if len(got) != len(words)+1 {
		t.Fatalf("%s printed %d words, want %d", shell, len(got)-1, len(words))
	}
	for i, word := range words {
		if string(got[i]) != word {
			t.Errorf("%s read %q from %s, want %q", shell, got[i], Quote(word), word)
		}
	}
}
