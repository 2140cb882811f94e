package config

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// TestPlainAddresses: hardware addresses need no quotes, whatever their digits
// look like to YAML.
func TestPlainAddresses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var want []string
	for first := range 256 {
		for _, separator := range []string{":", "-", ""} {
			parts := []string{fmt.Sprintf("%02x", first)}
			for range 5 {
				parts = append(parts, fmt.Sprintf("%02x", r.IntN(256)))
			}
			want = append(want, strings.Join(parts, separator))
		}
	}
	for name, text := range map[string]string{
		"flow":  "{policy: {rules: [{boot: ignore, match: {mac: [" + strings.Join(want, ", ") + "]}}]}}",
		"block": "policy:\n  rules:\n    - boot: ignore\n      match:\n        mac:\n        - " + strings.Join(want, "\n        - ") + "\n",
	} {
		c, err := Parse("x.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, got := range c.Spec.Rules[0].Match.MAC {
			if got != want[i] {
				t.Errorf("%s: %s is read as %s", name, want[i], got)
			}
		}
	}
}

// TestNotUnsplit: what only looks like a torn address stays a mapping.
func TestNotUnsplit(t *testing.T) {
	for _, text := range []string{"{00: 11}", "{00:  11}", "\n          00: 11", "{? 00 : 11}"} {
		if _, err := Parse("x.yaml", []byte("policy:\n  rules:\n    - boot: ignore\n      match:\n        mac: "+text+"\n")); err == nil || !strings.Contains(err.Error(), "must be text, not a mapping") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"", "a: [", "root: *a\n", "&a a: *a\n", "- 1\n---\n- 2\n", "tftp: {<<: {port: 1}}\n", "? a\n: b\n", "a: !!binary x\n", "root: |\n  a\n  b\n",
		"policy:\n  rules:\n    - match: {mac: [00:11:22:33:44:55, '*'], arch: x64-uefi, circuit-id: 0x00*}\n      boot: p\nprofiles: {p: {files: {bios: a, ipxe: 'http://h/x'}}}\n",
		"interfaces: [auto]\r\naddress: 203.0.113.2\r\ntftp: {port: 0x45, data-ports: 1-2}\r\nheartbeat: 2s\r\n", "\xff\xfe", "%YAML 1.2\n---\n{}\n", "profiles: &p {p: {files: *p}}\n",
	} {
		f.Add([]byte(text))
	}
	example, err := os.ReadFile("example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 8192 {
			return
		}
		c, err := Parse("x.yaml", text)
		if err == nil {
			if c.Policy == nil || c.Complete() == nil && !c.Auto && len(c.Interfaces) == 0 {
				t.Errorf("incomplete configuration %+v", c)
			}
			for _, w := range c.Warnings {
				checkPlace(t, w, text)
			}
			return
		}
		mistakes, ok := err.(Errors)
		if c != nil || !ok || len(mistakes) == 0 {
			t.Fatalf("%+v, %T %v", c, err, err)
		}
		for _, e := range mistakes {
			checkPlace(t, e, text)
		}
	})
}

func checkPlace(t *testing.T, e *Error, text []byte) {
	t.Helper()
	lines := strings.Count(strings.ReplaceAll(string(text), "\r", "\n"), "\n") + 1
	if e.File != "x.yaml" || e.Line < 1 || e.Col < 1 || e.Line > lines+1 || e.Msg == "" {
		t.Errorf("%+v in %d lines", e, lines)
	}
}
