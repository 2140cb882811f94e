package policy

import (
	"regexp"
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		yes, no []string
	}{
		{"PXEClient", []string{"PXEClient"}, []string{"", "PXEClien", "PXEClient:", "pxeclient"}},
		{"PXEClient*", []string{"PXEClient", "PXEClient:Arch:00007"}, []string{"PXEClien", "HTTPClient"}},
		{"*:Arch:00007:*", []string{"PXEClient:Arch:00007:UNDI:003016", ":Arch:00007:"}, []string{"PXEClient:Arch:00000:UNDI"}},
		{"Gi1/0/?", []string{"Gi1/0/1"}, []string{"Gi1/0/", "Gi1/0/10"}},
		{"*", []string{"", "x"}, nil},
		{"a*b*c", []string{"abc", "axxbxxc", "abbcbc"}, []string{"ab", "acb", "abcd"}},
		{"a**b", []string{"ab", "axb"}, []string{"a"}},
		{"*aab", []string{"aaab", "aab", "aaaab"}, []string{"aaba"}},
		{`1\*2`, []string{"1*2"}, []string{"1x2", `1\*2`, "1**2"}},
		{`a\`, []string{`a\`}, []string{"a"}},
		{"é*", []string{"été"}, []string{"e"}},
	} {
		g := textGlob(tc.pattern)
		for _, s := range tc.yes {
			if !g.matches([]byte(s)) {
				t.Errorf("%q does not match %q", tc.pattern, s)
			}
		}
		for _, s := range tc.no {
			if g.matches([]byte(s)) {
				t.Errorf("%q matches %q", tc.pattern, s)
			}
		}
	}
}

// TestGlobTime: a matcher that tries every split of the runs would not come back.
func TestGlobTime(t *testing.T) {
	g := textGlob(strings.Repeat("*a", 100) + "*b")
	if g.matches([]byte(strings.Repeat("a", 255))) {
		t.Error("matches without the b")
	}
}

// FuzzGlob compares with a regular expression of the same meaning.
func FuzzGlob(f *testing.F) {
	f.Add("52:54:*", []byte("52:54:00"))
	f.Add("*a?b*", []byte("xxaxbyy"))
	f.Add(`\*\?\\`, []byte(`*?\`))
	f.Add("a*a*a*a*b", []byte("aaaaaaaaaaaaaaaaaaaa"))
	f.Add("0x00ff*", []byte{0, 0xff, 1})
	f.Fuzz(func(t *testing.T, pattern string, value []byte) {
		if len(pattern) > 64 || len(value) > 255 {
			return
		}
		// The expression works on characters: one for each byte.
		latin := func(b []byte) string {
			var s strings.Builder
			for _, c := range b {
				s.WriteRune(rune(c))
			}
			return s.String()
		}
		var expr strings.Builder
		expr.WriteString(`(?s)\A`)
		for i := 0; i < len(pattern); i++ {
			c := pattern[i]
			switch {
			case c == '*':
				expr.WriteString(".*")
			case c == '?':
				expr.WriteString(".")
			default:
				if c == '\\' && i+1 < len(pattern) {
					i++
					c = pattern[i]
				}
				expr.WriteString(regexp.QuoteMeta(latin([]byte{c})))
			}
		}
		expr.WriteString(`\z`)
		want := regexp.MustCompile(expr.String()).MatchString(latin(value))
		g := textGlob(pattern)
		if got := g.matches(value); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, value, got, want)
		}
		if g, err := parseBytes(pattern); err == nil {
			g.matches(value)
		}
		if _, g, err := parseMAC(pattern); err == nil {
			g.matches(value)
		}
	})
}
