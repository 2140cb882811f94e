package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// What bash asks for at TAB, and gets: cobra's completion script runs just this.
func TestDynamicCompletion(t *testing.T) {
	o := busyOffice(t)
	o.hold(t, lab3)
	for _, c := range []struct{ line, want string }{
		{"deploy show @", "install-web1\tlinux for " + web1 + " (web1), loading linux/vmlinuz 50%|old\trescue for " + web1 + " (web1), done|rack7-rescue\t*|tonight\t*|wrong\t*"},
		{"deploy show t@", "tonight\t*"},
		{"deploy show tonight @", ""},
		{"deploy cancel tonight @", "install-web1\t*|rack7-rescue\t*"},
		{"deploy arm @", "old\t*"},
		{"deploy delete @", "old\t*|wrong\t*"},
		{"deploy add --profile @", "linux|rescue"},
		{"deploy add --group @", "rack7\t2 machines the new ones"},
		{"deploy add --mac @", lab3 + "\tx64-uefi 203.0.113.1 0x7261636b371b5b324a|" + web1 + "\tweb1"},
		{"deploy add --milestone @", "nbp|callback|file:"},
		{"deploy list --state @", "failed|loading|booted|offered|waiting|done|expired|cancelled"},
		{"machines approve @", lab3 + "\t*"},
		{"machines show 52:54:00:1@", web1 + "\tweb1"},
		{"groups add @", "rack7\t*"},
		{"groups add rack7 @", lab3 + "\t*|" + web1 + "\t*"},
		{"groups delete rack7 @", ""},
		{"events --machine @", lab3 + "\t*|" + web1 + "\t*"},
	} {
		t.Run(c.line, func(t *testing.T) {
			args := words(strings.TrimSuffix(c.line, "@"))
			begun := ""
			if !strings.HasSuffix(c.line, " @") {
				args, begun = args[:len(args)-1], args[len(args)-1]
			}
			at := len(args)
			if strings.HasPrefix(args[at-1], "--") {
				at--
			}
			full := append([]string{"__complete"}, args[:at]...)
			full = append(full, "--socket", o.socket)
			full = append(append(full, args[at:]...), begun)
			r := operator(t, "", full...)
			lines := strings.Split(r.stdout, "\n")
			var got []string
			for _, line := range lines {
				if strings.HasPrefix(line, ":") {
					break
				}
				got = append(got, line)
			}
			var want []string
			if c.want != "" {
				want = strings.Split(c.want, "|")
			}
			if len(got) != len(want) {
				t.Fatalf("%q, want %q", got, want)
			}
			for i := range want {
				if begin, ok := strings.CutSuffix(want[i], "*"); got[i] != want[i] && !(ok && strings.HasPrefix(got[i], begin)) {
					t.Errorf("%q, want %q", got[i], want[i])
				}
			}
		})
	}
}

// Without a daemon, or with one that does not answer, there is nothing to
// offer, and nothing to read: not even file names.
func TestCompletionSilent(t *testing.T) {
	dead := filepath.Join(t.TempDir(), "dead.sock")
	l, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it never accepts
	for _, socket := range []string{filepath.Join(t.TempDir(), "none.sock"), dead} {
		r := operator(t, "", "__complete", "deploy", "show", "--socket", socket, "")
		if r.code != 0 || r.stdout != ":36\n" { // no files, in this order
			t.Errorf("%+v", r)
		}
	}
}
