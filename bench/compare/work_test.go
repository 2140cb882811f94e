package compare

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/bench/peers"
)

func names(works []Work) (list []string) {
	for _, w := range works {
		list = append(list, w.Name)
	}
	return list
}

func TestSelect(t *testing.T) {
	all := names(Default())
	for _, c := range []struct {
		ask  []string
		want []string
	}{
		{nil, all},
		{[]string{"dhcp", "tftp"}, all},
		{[]string{"dhcp-max", "dhcp"}, []string{"dhcp-max", "dhcp-10k", "4011-max"}},
		{[]string{"tftp-7x1KiB-b512-w1"}, []string{"tftp-7x1KiB-b512-w1"}},
	} {
		works, err := Select(c.ask)
		if got := names(works); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v, want %q", c.ask, got, err, c.want)
		}
	}
	for _, c := range []struct{ ask, want string }{
		{"http", `no work "http": dhcp, tftp, dhcp-max`},
		{"tftp-1x1MB-b512-w1", "want tftp-CLIENTSxSIZE"},
		{"tftp-0x1MiB-b512-w1", "clients is 0"},
		{"tftp-99999999999999999999x1MiB-b512-w1", "clients is 9999"},
		{"tftp-1x5GiB-b512-w1", "at most 4 GiB"},
		{"tftp-1x99999999999999GiB-b512-w1", "size is 9999"},
		{"tftp-1x1MiB-b7-w1", "blksize is 7"},
		{"tftp-1x1MiB-b512-w65536", "window is 65536"},
	} {
		if works, err := Select([]string{c.ask}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %q, %v, want %q", c.ask, names(works), err, c.want)
		}
	}
}

func TestCell(t *testing.T) {
	works, err := Select([]string{"tftp-200x4MiB-b1468-w16-gro"})
	if err != nil {
		t.Fatal(err)
	}
	w := works[0]
	if w.Kind != peers.TFTP || w.Size != 4<<20 {
		t.Errorf("%+v", w)
	}
	args := strings.Join(w.Load(Target{Interface: "eth0", Address: netip.MustParseAddr("192.0.2.1"), File: "f", Path: "/r/f", Pid: 77}), " ")
	for _, want := range []string{"tftp ", "192.0.2.1", "200", "1468", "16", "--gro=true", "77"} {
		if !strings.Contains(args, want) {
			t.Errorf("no %q in %q", want, args)
		}
	}
}
