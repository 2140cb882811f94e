package dhcp_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
)

// twin is a second boot server on the same segment.
func twin(t *testing.T) *server {
	s := newServer(t)
	s.link.Addr = netip.MustParseAddr("192.0.2.11")
	s.link.Prefixes = []netip.Prefix{netip.MustParsePrefix("192.0.2.11/24")}
	return s
}

// segment carries an edk2 machine's requests to the servers whose address they go to.
func segment(dead map[*server]bool, servers ...*server) dhcptest.Ask {
	return func(to netip.Addr, req *dhcptest.Message) []byte {
		for _, s := range servers {
			if s.link.Addr == to && !dead[s] {
				return s.ask4011(req).Payload
			}
		}
		return nil
	}
}

// twoResponders is A37: either of two serves, in whatever order their offers come.
func twoResponders(t *testing.T, a *server) {
	b := twin(t)
	for _, order := range [][]*server{{a, b}, {b, a}} {
		for _, dead := range []map[*server]bool{nil, {a: true}, {b: true}, {a: true, b: true}} {
			for _, old := range []bool{false, true} {
				f := dhcptest.NewFirmware(x64)
				f.DropProxyPXE10 = old
				d := f.Discover(0)
				for _, s := range order {
					if err := f.Receive(s.send(d).answered().Payload); err != nil {
						t.Fatal(err)
					}
				}
				if err := f.Receive(dhcptest.Lease(d, other, C).Bytes()); err != nil {
					t.Fatal(err)
				}
				got, err := f.Boot(segment(dead, a, b))
				if len(dead) == 2 {
					if err == nil {
						t.Errorf("boots %+v from the dead", got)
					}
					continue
				}
				want := order[0]
				if dead[want] {
					want = order[1]
				}
				if err != nil || got.Server != want.link.Addr || got.Name != "snponly.efi" {
					t.Errorf("old %v, dead %d: boots %+v: %v", old, len(dead), got, err)
				}
			}
		}
	}
	// Of two offers with discovery options the first alone counts; BIOS offers are such.
	f := dhcptest.NewFirmware(bios)
	d := f.Discover(0)
	f.Receive(dhcptest.Lease(d, other, C).Bytes())
	if err := f.Receive(b.send(d).answered().Payload); err != nil {
		t.Fatal(err)
	}
	if err := f.Receive(a.send(d).answered().Payload); err == nil {
		t.Error("a second ProxyPxe10 offer was kept")
	}
	if got, err := f.Boot(segment(nil)); err != nil || got.Server != b.link.Addr || got.Name != "undionly.kpxe" {
		t.Errorf("boots %+v: %v", got, err)
	}
}

// The firmware of 2010 to 2017 drops offers with option 43: ours for UEFI have none, ours for BIOS would be lost on it.
func TestOldFirmware(t *testing.T) {
	s := newServer(t)
	f := dhcptest.NewFirmware(bios)
	f.DropProxyPXE10 = true
	d := f.Discover(0)
	f.Receive(dhcptest.Lease(d, other, C).Bytes())
	if err := f.Receive(s.send(d).answered().Payload); err == nil {
		t.Fatal("the emulator is not that old")
	}
	if _, err := f.Boot(segment(nil, s)); !errors.Is(err, dhcptest.ErrRepeat) {
		t.Errorf("%v, want a repeated DISCOVER", err)
	}
}

// A machine that nobody serves boots as if we were not there: it may have a
// boot file from its DHCP server, and a proxy offer would spoil that (PROTOCOL 0.3).
func TestUnservedClientKeepsItsDHCPServer(t *testing.T) {
	s := newServer(t)
	f := dhcptest.NewFirmware(27)
	d := f.Discover(0)
	if r := s.send(d); r.Payload != nil {
		t.Fatal("an offer to a client that has no file")
	}
	lease := dhcptest.Lease(d, other, C)
	lease.SIAddr, lease.File = other, "theirs.efi"
	f.Receive(lease.Bytes())
	if got, err := f.Boot(segment(nil, s)); err != nil || got.Server != other || got.Name != "theirs.efi" {
		t.Errorf("boots %+v: %v", got, err)
	}
}
