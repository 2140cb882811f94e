package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

// Without BPF port 67 cannot be shared: the error says with whom.
func TestSocketTierNamesTheHolderOfPort67(t *testing.T) {
	labtest.Need(t, false)
	ctx := labtest.Context(t, patience)
	r, root := labtest.Rack(ctx, t, lab.Flat)
	config := r.Path("taken.yaml")
	text := fmt.Sprintf("interfaces: [%s]\ndatapath: socket\nroot: %s\ncontrol: %s\nmetrics: {listen: \"\"}\n%s",
		lab.Iface, root, r.Path("taken.sock"), lab.ServeEveryone)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := r.DHCP.Start(lab.Command{Args: []string{binary(t), "serve", "-c", config}})
	if err != nil {
		t.Fatal(err)
	}
	if code := p.ExitCode(); code != 2 {
		t.Errorf("exit code %d, want 2: the machine's", code)
	}
	want := fmt.Sprintf("UDP port 67 is taken by dnsmasq (pid %d)", r.DHCPServer.Pid())
	if !strings.Contains(p.Log.String(), want) {
		t.Errorf("the error does not say %q:\n%s", want, p.Log)
	}
}
