package loader

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/loader/xsk"
)

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		want    Tier
		deliver Deliver
		steps   string
	}{
		{Auto, Steal, "[native AF_XDP generic AF_XDP ring buffer (native XDP) ring buffer (generic XDP) socket]"},
		{"", Steal, "[native AF_XDP generic AF_XDP ring buffer (native XDP) ring buffer (generic XDP) socket]"},
		{Auto, Tee, "[ring buffer (native XDP) ring buffer (generic XDP) socket]"},
		{Native, Steal, "[native AF_XDP]"},
		{Native, Tee, "[ring buffer (native XDP)]"},
		{Generic, Steal, "[generic AF_XDP]"},
		{Generic, Tee, "[ring buffer (generic XDP)]"},
		{Ringbuf, Steal, "[ring buffer (native XDP) ring buffer (generic XDP)]"},
		{Ringbuf, Tee, "[ring buffer (native XDP) ring buffer (generic XDP)]"},
		{Socket, Steal, "[socket]"},
		{Socket, Tee, "[socket]"},
	} {
		steps, err := plan(c.want, c.deliver)
		if err != nil || fmt.Sprint(steps) != c.steps {
			t.Errorf("%s, %s: %v, %v", c.want, c.deliver, steps, err)
		}
	}
	if _, err := plan("fastest", Steal); err == nil || !strings.Contains(err.Error(), "fastest") {
		t.Errorf("%v", err)
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		tier    Tier
		deliver Deliver
		want    bpf.Settings
	}{
		{Native, Steal, bpf.Settings{Deliver67: bpf.DeliverXSK, Deliver4011: bpf.DeliverXSK}},
		{Generic, Tee, bpf.Settings{Deliver67: bpf.DeliverRingTee, Deliver4011: bpf.DeliverXSK}},
		{Ringbuf, Steal, bpf.Settings{Deliver67: bpf.DeliverRingSteal, Deliver4011: bpf.DeliverRingSteal}},
		{Ringbuf, Tee, bpf.Settings{Deliver67: bpf.DeliverRingTee, Deliver4011: bpf.DeliverRingSteal}},
	} {
		if got := settings(c.tier, c.deliver); got != c.want {
			t.Errorf("%s, %s: %+v", c.tier, c.deliver, got)
		}
	}
}

func TestKernelRequirement(t *testing.T) {
	for release, ok := range map[string]bool{
		"5.18.0": true, "5.18.0-rc1": true, "6.1.0-18-amd64": true, "10.0.1": true, "5.100.2": true, "strange": true,
		"5.17.9-arch1": false, "5.4.0-150-generic": false, "4.19.0": false,
	} {
		err := kernelRequirement(release)
		if (err == nil) != ok {
			t.Errorf("%s: %v", release, err)
		}
		if err != nil && (!strings.Contains(err.Error(), release) || !strings.Contains(err.Error(), "5.18")) {
			t.Errorf("%s: %v", release, err)
		}
	}
}

func TestAttachReason(t *testing.T) {
	f := &netdev.Facts{Name: "eth0", Driver: "ixgbe", MTU: 9000, RXQueues: 8, TXQueues: 8}
	small := &netdev.Facts{Name: "eth0", Driver: "ixgbe", MTU: 1500, RXQueues: 8, TXQueues: 8}
	bare := &netdev.Facts{Name: "br0", Kind: "bridge", MTU: 1500}
	for _, c := range []struct {
		err  error
		mode Mode
		f    *netdev.Facts
		want []string
	}{
		{unix.EOPNOTSUPP, ModeNative, f, []string{"driver ixgbe has no native XDP"}},
		{unix.EOPNOTSUPP, ModeNative, bare, []string{"driver bridge has no native XDP"}},
		{unix.EINVAL, ModeNative, f, []string{"MTU 9000", "lower it", "ixgbe"}},
		{unix.ERANGE, ModeNative, f, []string{"MTU 9000", "lower it"}},
		{unix.EINVAL, ModeNative, small, []string{"MTU 1500, 8 RX and 8 TX queues"}},
		{unix.EINVAL, ModeGeneric, f, []string{"generic XDP", "MTU 9000, 8 RX"}},
		{unix.ENOMEM, ModeNative, f, []string{"refuses native XDP", "MTU 9000, 8 RX"}},
		{unix.EPERM, ModeNative, f, []string{"CAP_NET_ADMIN"}},
		{unix.EEXIST, ModeNative, f, []string{"above"}},
		{unix.ENODEV, ModeNative, f, []string{"gone"}},
	} {
		err := attachReason(fmt.Errorf("create link: %w", c.err), c.mode, c.f)
		if !errors.Is(err, c.err) {
			t.Errorf("%v: %v does not wrap it", c.err, err)
		}
		mustContain(t, err.Error(), c.want...)
	}
	if err := attachReason(unix.ENODEV, ModeNative, f); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
}

// EACCES is the verifier's, EPERM the lack of a privilege; they are told apart by more than errno.
func TestLoadReason(t *testing.T) {
	refused := &ebpf.VerifierError{Cause: unix.EACCES, Log: []string{
		"0: R1=ctx", "7: (85) call bpf_xdp_load_bytes#189", "R3 invalid mem access 'scalar'", "processed 8 insns (limit 1000000) max_states_per_insn 0",
	}}
	got := loadReason(fmt.Errorf("program xdpxe: %w", refused)).Error()
	mustContain(t, got, "verifier refuses", "R3 invalid mem access 'scalar'")
	if strings.Contains(got, "processed") || strings.Count(got, "R3") != 1 {
		t.Errorf("%q", got)
	}
	mustContain(t, loadReason(&ebpf.VerifierError{Cause: unix.EPERM}).Error(), "forbids BPF") // it came to no verification
	mustContain(t, loadReason(fmt.Errorf("map: %w", unix.EPERM)).Error(), "forbids BPF")
	if err := errors.New("else"); loadReason(err) != err {
		t.Error("another error was changed")
	}
}

func TestSocketReason(t *testing.T) {
	for err, is := range map[error]error{unix.ENODEV: ErrGone, unix.ENETDOWN: ErrDown, xsk.ErrMemlock: xsk.ErrMemlock, unix.EPERM: unix.EPERM} {
		if got := socketReason(fmt.Errorf("AF_XDP socket: %w", err)); !errors.Is(got, is) || !errors.Is(got, err) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func TestAddrs(t *testing.T) {
	a := func(prefix string) netdev.Addr {
		p := netip.MustParsePrefix(prefix)
		return netdev.Addr{IP: p.Addr(), Prefix: p.Masked(), Broadcast: netip.MustParseAddr(prefix[:strings.LastIndex(prefix, ".")] + ".255")}
	}
	f := &netdev.Facts{
		MAC: [6]byte{1}, Addrs: []netdev.Addr{a("192.0.2.10/24")}, BridgeMAC: [6]byte{2}, BridgeAddrs: []netdev.Addr{a("198.51.100.1/24")},
		VLANs: []netdev.VLAN{
			{VIDs: []uint16{5}, MAC: [6]byte{3}, Up: true, Addrs: []netdev.Addr{{IP: netip.MustParseAddr("10.0.0.0")}}},
			{VIDs: []uint16{5, 7}, MAC: [6]byte{4}, Up: true, Addrs: []netdev.Addr{a("10.1.1.1/24")}},
			{VIDs: []uint16{6}, MAC: [6]byte{5}, Addrs: []netdev.Addr{a("10.2.2.2/24")}}, // down
		},
	}
	ip := netip.MustParseAddr
	want := []Addr{
		{IP: ip("192.0.2.10"), MAC: [6]byte{1}}, {IP: ip("192.0.2.255"), MAC: broadcastMAC},
		{IP: ip("198.51.100.1"), MAC: [6]byte{2}}, {IP: ip("198.51.100.255"), MAC: broadcastMAC},
		{IP: ip("10.0.0.0"), VIDs: []uint16{5}, MAC: [6]byte{3}},
		{IP: ip("10.1.1.1"), VIDs: []uint16{5, 7}, MAC: [6]byte{4}}, {IP: ip("10.1.1.255"), VIDs: []uint16{5, 7}, MAC: broadcastMAC},
	}
	if got := Addrs(f, netip.Addr{}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	want = append(want, Addr{IP: ip("203.0.113.2"), AnyVLAN: true, MAC: [6]byte{1}})
	if got := Addrs(f, ip("::ffff:203.0.113.2")); !reflect.DeepEqual(got, want) {
		t.Errorf("with a configured address: %v", got)
	}
}
