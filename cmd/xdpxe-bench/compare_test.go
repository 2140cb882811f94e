package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Mistakes in the command line are the user's, and are found before anything runs.
func TestCompareMistakes(t *testing.T) {
	recipes := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(recipes, []byte("- name: mine\n  kindz: [tftp]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--rounds", "0"}, "--rounds 0: want 1 to"},
		{[]string{"--work", "http"}, `no work "http"`},
		{[]string{"--work", "tftp-1x1MiB-b7-w1"}, "blksize is 7"},
		{[]string{"--label", "../x"}, `--label "../x"`},
		{[]string{"--server-cpu", "-h"}, `CPUs "-h"`},
		{[]string{"--peer", "kea"}, "--peer kea: no recipe of that name\n  there are xdpxe, atftpd, bounce, dnsmasq"},
		{[]string{"--recipes", recipes}, recipes + `:2:3: unknown field "kindz"`},
		{[]string{"--recipes", "/nonexistent"}, "/nonexistent: no such file"},
		{[]string{"--require", "fast"}, `bound "fast"`},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(append([]string{"compare"}, c.args...), &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%q: exit %d, %q, want 1 and %q", c.args, code, &stderr, c.want)
		}
	}
}
