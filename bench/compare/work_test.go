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
		{[]string{"dhcp-max", "dhcp"}, []string{"dhcp-max", "dhcp-10k", "4011-max", "dhcp-max-live", "dhcp-100k", "dhcp-300k"}},
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
		{"tftp-1x1MiB-b512-w1-loss100", "want tftp-CLIENTSxSIZE"},
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

// Who does what, and with which load.
func TestDoes(t *testing.T) {
	kernel, native, other := peer("xdpxe", "kernel", peers.DHCP), peer("xdpxe", "native", peers.DHCP), peer("other", "", peers.DHCP)
	bounce, files := peer("bounce", "", peers.Bounce), peer("xdpxe", "", peers.TFTP)
	for name, want := range map[string][]*peers.Peer{
		"dhcp-max":      {kernel, native, other},
		"dhcp-max-live": {kernel, other, bounce},
		"dhcp-100k":     {kernel, other},
		"dhcp-300k":     {kernel},
	} {
		works, err := Select([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		var got []*peers.Peer
		for _, p := range []*peers.Peer{kernel, native, other, bounce, files} {
			if works[0].does(p) {
				got = append(got, p)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for _, c := range []struct {
		work   string
		target Target
		want   string
		other  string
	}{
		{"dhcp-100k", Target{Subject: true}, "--rate 100000", "--bounced"},
		{"dhcp-100k", Target{}, "--rate 10000 ", "--bounced"},
		{"dhcp-max-live", Target{Kind: peers.DHCP, Subject: true}, "--sender live", "--bounced"},
		{"dhcp-max-live", Target{Kind: peers.DHCP}, "--find-max", "live"},
		{"dhcp-max-live", Target{Kind: peers.Bounce}, "--bounced", "--rate"},
		{"dhcp-300k", Target{Pid: 77}, "--server-pid 77", "--bounced"},
	} {
		works, err := Select([]string{c.work})
		if err != nil {
			t.Fatal(err)
		}
		if load := strings.Join(works[0].Load(c.target), " ") + " "; !strings.Contains(load, c.want) || strings.Contains(load, c.other+" ") {
			t.Errorf("%s of %+v: %q, want %q and no %q", c.work, c.target, load, c.want, c.other)
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
	if strings.Contains(args, "--loss") {
		t.Errorf("%q loses packets", args)
	}
	if works, err = Select([]string{"tftp-1x1MiB-b512-w1-loss5"}); err != nil || !strings.Contains(strings.Join(works[0].Load(Target{}), " "), "--loss 5%") {
		t.Errorf("%+v, %v", works, err)
	}
}
