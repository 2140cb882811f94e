package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Mistakes are found before anything is sent, and exit with 1.
func TestStormMistakes(t *testing.T) {
	bad := t.TempDir()
	if err := os.WriteFile(filepath.Join(bad, "x.yaml"), []byte("like: edk2\nwait: 4s\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"", "--interface is needed"},
		{"-i lo --machines 0", "--machines 0: want 1 to"},
		{"-i lo --first-machine 0", "--first-machine 0"},
		{"-i lo --profiles edk3", `no profile "edk3"`},
		{"-i lo --files uefi=x", `no profile "uefi"`},
		{"-i lo --arrival later", `arrival "later"`},
		{"-i lo --hurry 0", "--hurry 0"},
		{"-i lo --deadline 0s", "--deadline 0s"},
		{"-i lo --sender live", `sender "live"`},
		{"-i lo --profile-dir " + bad, filepath.Join(bad, "x.yaml") + `:2:1: unknown field "wait"`},
		{"-i lo --require nonsense", "bound"},
	} {
		var out, errs bytes.Buffer
		code := run(append([]string{"storm"}, strings.Fields(c.args)...), &out, &errs)
		if code != 1 || !strings.Contains(errs.String(), c.want) || out.Len() > 0 {
			t.Errorf("storm %s: exit code %d, %q, %q; want %q", c.args, code, &out, &errs, c.want)
		}
	}
}

func TestStormList(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"storm", "--list"}, &out, &errs); code != 0 || !strings.Contains(out.String(), "edk2-2016 ") || strings.Count(out.String(), "\n") != 7 {
		t.Errorf("exit code %d: %s%s", code, &out, &errs)
	}
}
