package storm

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// offer is one that a firmware keeps.
type offer struct {
	*dhcptest.Offer
	ask     netip.Addr          // who is asked on 4011
	ipxe    *dhcptest.IPXEOffer // as iPXE reads a boot server's
	uri     string              // of an HTTP boot offer
	noProxy bool                // iPXE need not wait for a boot server
	pi      bool                // a Raspberry Pi boots from it
}

// leases reports whether the offer comes with an address.
func (o *offer) leases() bool { return o.YourIP.As4()[0] != 0 }

// file is the boot file that the offer itself names.
func (o *offer) file() bootFile { return bootFile{o.Server(), o.File} }

func (m *Machine) edk2() *dhcptest.EDK2 {
	judge := &dhcptest.EDK2{XID: m.xid}
	copy(judge.CHAddr[:], m.MAC[:])
	return judge
}

func (m *Machine) drops(k dhcptest.Kind) bool { return slices.Contains(m.Profile.Drop, k.String()) }

// of returns the kept offers of a class, in the order that they came in.
func (m *Machine) of(k dhcptest.Kind) (all []*offer) {
	for _, o := range m.offers {
		if o.Kind == k {
			all = append(all, o)
		}
	}
	return all
}

// judgeEDK2 is PxeBcCacheDhcp4Offer.
func judgeEDK2(m *Machine, _ *Step, d Datagram) (*offer, error) {
	o, err := m.edk2().AcceptOffer(d.Payload)
	if err != nil {
		return nil, err
	}
	kept := &offer{Offer: o, ask: o.Next}
	if kept.ask.As4()[0] == 0 {
		kept.ask = o.ServerID
	}
	if m.drops(o.Kind) {
		return nil, errors.New("edk2: it drops " + o.Kind.String())
	}
	if !kept.leases() && o.Kind == dhcptest.DHCPOnly {
		return nil, errors.New("edk2: proxy offer without PXEClient")
	}
	if o.Kind == dhcptest.ProxyPXE10 && len(m.of(dhcptest.ProxyPXE10)) > 0 {
		return nil, errors.New("edk2: second ProxyPxe10 offer")
	}
	return kept, nil
}

// decideEDK2 is PxeBcSelectDhcp4Offer, which edk2 calls only when a wait is over.
func decideEDK2(m *Machine, _ time.Duration, expired bool) bool {
	if !expired {
		return false
	}
	lease := m.of(dhcptest.DHCPOnly)
	switch {
	case len(m.of(dhcptest.DHCPPXE10)) > 0:
		m.lease = m.of(dhcptest.DHCPPXE10)[0]
		m.promptEDK2(m.lease)
	case len(lease) > 0 && len(m.of(dhcptest.ProxyPXE10)) > 0:
		m.lease = lease[0]
		m.promptEDK2(m.of(dhcptest.ProxyPXE10)[0])
	case len(m.of(dhcptest.DHCPBINL)) > 0:
		m.plan = m.of(dhcptest.DHCPBINL)[:1]
		m.lease = m.plan[0]
	case len(lease) > 0 && len(m.of(dhcptest.ProxyBINL)) > 0:
		m.lease, m.plan = lease[0], m.of(dhcptest.ProxyBINL)
	default:
		for _, o := range append(lease, m.of(dhcptest.BOOTP)...) {
			if o.File != "" && o.leases() {
				m.lease, m.boot = o, o.file()
				return true
			}
		}
		return false
	}
	return true
}

// promptEDK2 is PxeBcSelectBootPrompt for an offer with discovery options.
func (m *Machine) promptEDK2(o *offer) {
	switch {
	case bit3(o) && o.File != "":
		m.boot = o.file()
	case o.Vendor[9] == nil:
		m.failure = "PXE-E21: Remote boot cancelled"
	default:
		m.failure = "the offer has a boot menu, which a storm does not play"
	}
}

// bit3 reports that discovery control (43.6) says to boot the offer's file at once.
func bit3(o *offer) bool { return len(o.Vendor[6]) > 0 && o.Vendor[6][0]&8 != 0 }

// answerEDK2 is PxeBcRetryBinlOffer.
func answerEDK2(m *Machine, _ *offer, d Datagram) (bootFile, error) {
	o, err := m.edk2().AcceptBootServer(d.Payload)
	if err != nil {
		return bootFile{}, err
	}
	if o.File == "" {
		return bootFile{}, errors.New("edk2: no boot file on 4011")
	}
	return bootFile{o.Server(), o.File}, nil
}

// judgeHTTP is HttpBootParseDhcp4Packet.
func judgeHTTP(m *Machine, _ *Step, d Datagram) (*offer, error) {
	o, err := m.edk2().AcceptOffer(d.Payload)
	if err != nil {
		return nil, err
	}
	kept := &offer{Offer: o}
	switch uri, err := m.edk2().AcceptHTTP(d.Payload); {
	case err == nil:
		kept.uri = uri
	case !kept.leases() || isClass(o, "HTTPClient"):
		return nil, err
	}
	return kept, nil
}

// decideHTTP is HttpBootSelectDhcpOffer for URIs with an address in them.
func decideHTTP(m *Machine, _ time.Duration, expired bool) bool {
	if !expired {
		return false
	}
	var lease, uri *offer
	for _, o := range m.offers {
		switch {
		case o.leases() && o.uri != "":
			m.lease, m.boot = o, bootFile{name: o.uri}
			return true
		case o.leases() && lease == nil:
			lease = o
		case o.uri != "" && uri == nil:
			uri = o
		}
	}
	if lease == nil || uri == nil {
		return false
	}
	m.lease, m.boot = lease, bootFile{name: uri.uri}
	return true
}

// fromServer reports that a reply comes from where DHCP servers send from.
func fromServer(d Datagram) bool { return d.Src.Port() == packet.PortDHCPServer }
