package dhcp_test

import (
	"testing"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// leaseRequest is a REQUEST on 67, broadcast.
func leaseRequest() *dhcptest.Message { return disc(x64).Set(53, 3) }

// requestStatements: DHCPREQUEST and others on UDP 67.
var requestStatements = []statement{
	{"B1", func(t *testing.T, s *server) {
		r := s.send(leaseRequest().Add(54, other.AsSlice()...).Add(50, C.AsSlice()...))
		r.none(packet.OtherServer)
		if r.Other != other || r.Stage != dhcp.StageOther {
			t.Errorf("other server %v, stage %v", r.Other, r.Stage)
		}
		s.send(leaseRequest().Add(54, 1, 2)).none(packet.OtherServer)
		// Nor a DISCOVER that names one.
		s.send(disc(x64).Add(54, other.AsSlice()...)).none(packet.OtherServer)
	}},
	{"B2", func(t *testing.T, s *server) {
		s.send(leaseRequest().Add(54, S.AsSlice()...).Add(50, C.AsSlice()...)).none(packet.LeaseRequest)
	}},
	{"B3", func(t *testing.T, s *server) {
		s.send(leaseRequest().Add(50, C.AsSlice()...)).none(packet.LeaseRequest)
		s.send(leaseRequest().Add(54, 0, 0, 0, 0)).none(packet.LeaseRequest)
		renew := leaseRequest()
		renew.CIAddr = C
		s.send(renew).none(packet.LeaseRequest)
	}},
	{"B4", func(t *testing.T, s *server) {
		for _, kind := range []byte{0, 2, 4, 5, 6, 7, 8, 10, 255} {
			s.send(disc(x64).Set(53, kind)).none(packet.WrongType)
		}
	}},
	{"B9", func(t *testing.T, s *server) {
		// Another server, or nobody, sent the OFFER.
		s.ask4011(dhcptest.BootServerRequest(x64, C)).answered()
	}},
}

// Discovery of an item of a boot menu is not a lease request, and not ours either.
func TestBootItem(t *testing.T) {
	s := newServer(t)
	item := []byte{71, 4, 0x80, 1, 0, 0, 255}
	m := leaseRequest().Add(43, item...)
	m.CIAddr = C
	s.send(m).none(packet.BootItem)
	s.ask4011(dhcptest.BootServerRequest(x64, C).Add(43, item...)).none(packet.BootItem)
	s.ask4011(dhcptest.BootServerRequest(x64, C).Add(43, append([]byte{0, 9, 1, 0}, item...)...)).none(packet.BootItem)
	// Without the item, or with one that runs over the end, it is what it was.
	for _, vendor := range [][]byte{{6, 1, 8, 255}, {255, 71, 4, 0x80, 1, 0, 0}, {0, 71, 4, 0}, {71}} {
		s.ask4011(dhcptest.BootServerRequest(x64, C).Add(43, vendor...)).answered()
	}
}
