package tftp

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRefusals has names that must not be served: each is answered with an ERROR
// and counted under its reason.
func TestRefusals(t *testing.T) {
	b := serve(t, Config{}, map[string][]byte{"Boot/BCD": []byte("bcd")})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"out": secret, "Outdir": filepath.Dir(secret), "up": "../..", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(b.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(b.dir, "sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	statement(t, "I2", "refused and counted", func(t *testing.T) {
		for _, c := range []struct {
			name string
			want Outcome
			code byte
		}{
			{"../secret", OutsideRoot, codeAccess},
			{`..\..\etc\passwd`, OutsideRoot, codeAccess},
			{"/../../etc/passwd", OutsideRoot, codeAccess},
			{`\Boot\..\..\etc\passwd`, OutsideRoot, codeAccess},
			{"Boot/../Boot/BCD", OutsideRoot, codeAccess},
			{"out", OutsideRoot, codeAccess},
			{"OUT", OutsideRoot, codeAccess},
			{"Outdir/secret", OutsideRoot, codeAccess},
			{"up/etc/passwd", OutsideRoot, codeAccess},
			{"outdir/secret", NotFound, codeNotFound}, // directories are never read outside of the root
			{secret, NotFound, codeNotFound},          // absolute names begin at the root
			{"/etc/passwd", NotFound, codeNotFound},
			{`C:\Windows\System32`, NotFound, codeNotFound},
			{"loop", NotRegular, codeAccess},
			{"sock", NotRegular, codeAccess},
			{"Boot\x01/BCD", BadName, codeAccess},
			{"\xff", BadName, codeAccess},
			{strings.Repeat("n", 256), BadName, codeAccess},
			{strings.Repeat("d/", 40) + "f", BadName, codeAccess},
			{"Boot/BCD\x00/../../etc/passwd", BadMode, codeIllegal}, // the name ends at the NUL
			{"", Malformed, codeIllegal},
			{strings.Repeat("n", 600), Malformed, codeIllegal},
		} {
			w := newWire(t, "127.0.0.1:0")
			before := b.outcome(c.want)
			w.send(b.addr, rrq(c.name, "octet"))
			p, _ := w.recv()
			if p[1] != opERROR || p[3] != c.code {
				t.Errorf("%.50q: answered %.50q, want ERROR %d", c.name, p, c.code)
			}
			if got := b.outcome(c.want) - before; got != 1 {
				t.Errorf("%.50q: %d counted as %v; %+v", c.name, got, c.want, b.Stats().Outcomes)
			}
			w.close()
		}
	})
}
