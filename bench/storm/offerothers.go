package storm

import (
	"bytes"
	"cmp"
	"errors"
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

const (
	optVendor     = 43
	optTFTPServer = 66
	optIPXE       = 175
	ipxeNoProxy   = 176 // in 175: do not wait for a ProxyDHCP offer
)

// isClass reports whether option 60 begins with a class.
func isClass(o *dhcptest.Offer, class string) bool { return bytes.HasPrefix(o.Class, []byte(class)) }

// classify reads an offer for firmware that is less strict than edk2.
func classify(d Datagram) (*offer, error) {
	if !fromServer(d) {
		return nil, errors.New("not from port 67")
	}
	o, err := dhcptest.Classify(d.Payload)
	if err != nil {
		return nil, err
	}
	kept := &offer{Offer: o, ask: o.ServerID}
	if !kept.ask.IsValid() || kept.ask.IsUnspecified() {
		kept.ask = o.Next
	}
	return kept, nil
}

// judgeIPXE is dhcp_discovery_rx: what has an address is a DHCP offer, what
// says PXEClient is a boot server's, and one offer may be both.
func judgeIPXE(m *Machine, s *Step, d Datagram) (*offer, error) {
	o, err := classify(d)
	if err != nil {
		return nil, err
	}
	if isClass(o.Offer, "PXEClient") {
		ipxe := dhcptest.IPXE{XID: m.xid, MAC: m.MAC}
		if o.ipxe, err = ipxe.AcceptOffer(d.Payload, d.Src); err != nil {
			return nil, err
		}
		o.ask = o.ipxe.PseudoID
	} else if !o.leases() {
		return nil, errors.New("iPXE: neither an address nor PXEClient")
	}
	if s.view.Parse(d.Payload) == packet.Answered {
		o.noProxy = len(sub(s.view.Option(optIPXE), ipxeNoProxy)) == 1 && sub(s.view.Option(optIPXE), ipxeNoProxy)[0] == 1
	}
	return o, nil
}

// decideIPXE leaves discovery as soon as there is an address and a boot server,
// or the time for one is up. The last offer of a kind counts.
func decideIPXE(m *Machine, since time.Duration, _ bool) bool {
	var lease, boot *offer
	for _, o := range m.offers {
		if o.leases() {
			lease = o
		}
		if o.ipxe != nil {
			boot = o
		}
	}
	if lease == nil || boot == nil && since <= m.Profile.Discover.Proxy && !lease.noProxy {
		return false
	}
	m.lease = lease
	switch {
	case boot == nil && lease.File == "":
		m.failure = m.noOffer()
	case boot == nil:
		m.boot = bootFile{lease.Next, lease.File}
	case boot.ipxe.AskBootServer:
		m.plan = []*offer{boot}
	case boot.ipxe.File == "":
		m.failure = "the offer has a boot menu, which a storm does not play"
	default:
		m.boot = bootFile{boot.ipxe.Next, boot.ipxe.File}
	}
	return true
}

// answerIPXE is dhcp_proxy_rx.
func answerIPXE(m *Machine, asked *offer, d Datagram) (bootFile, error) {
	ipxe := dhcptest.IPXE{XID: m.xid, MAC: m.MAC}
	o, err := ipxe.AcceptBootServer(asked.ipxe, d.Payload, d.Src)
	if err != nil {
		return bootFile{}, err
	}
	if o.File == "" {
		return bootFile{}, errors.New("iPXE: no boot file on 4011")
	}
	return bootFile{o.Next, o.File}, nil
}

// judgeROM keeps addresses and boot servers' offers.
func judgeROM(_ *Machine, _ *Step, d Datagram) (*offer, error) {
	o, err := classify(d)
	if err == nil && !o.leases() && !isClass(o.Offer, "PXEClient") {
		return nil, errors.New("BIOS: neither an address nor PXEClient")
	}
	return o, err
}

// decideROM goes on with an address and a PXE offer, or without one when the
// time for it is up (PXE 2.1 §2.2.3).
func decideROM(m *Machine, since time.Duration, expired bool) bool {
	var lease, boot *offer
	for _, o := range m.offers {
		if o.leases() && lease == nil {
			lease = o
		}
		if isClass(o.Offer, "PXEClient") && boot == nil {
			boot = o
		}
	}
	switch {
	case lease == nil:
		return false
	case boot != nil:
	case expired && since >= m.Profile.Discover.Proxy && lease.File != "":
		m.lease, m.boot = lease, lease.file()
		return true
	default:
		return false
	}
	m.lease = lease
	server, name, err := dhcptest.AcceptBIOS(boot.Packet)
	switch {
	case err == nil:
		m.boot = bootFile{server, name}
	case boot.Vendor[9] != nil:
		m.failure = "the offer has a boot menu, which a storm does not play"
	case boot.File != "":
		m.boot = boot.file()
	default:
		m.plan = []*offer{boot}
	}
	return true
}

// answerROM takes a boot server's ACK.
func answerROM(_ *Machine, _ *offer, d Datagram) (bootFile, error) {
	o, err := dhcptest.Classify(d.Payload)
	switch {
	case err != nil:
		return bootFile{}, err
	case d.Src.Port() != packet.PortBINL:
		return bootFile{}, errors.New("BIOS: answer on 4011 from another port")
	case o.File == "":
		return bootFile{}, errors.New("BIOS: no boot file on 4011")
	}
	return bootFile{o.Server(), o.File}, nil
}

// judgePi keeps addresses and what has the text that a Raspberry Pi looks for.
func judgePi(_ *Machine, s *Step, d Datagram) (*offer, error) {
	o, err := classify(d)
	if err != nil {
		return nil, err
	}
	if s.view.Parse(d.Payload) == packet.Answered {
		o.pi = bytes.Contains(s.view.Option(optVendor), []byte("Raspberry Pi Boot"))
		if addr, err := netip.ParseAddr(string(bytes.TrimRight(s.view.Option(optTFTPServer), "\x00"))); err == nil {
			o.ask = addr
		}
	}
	if !o.pi && !o.leases() {
		return nil, errors.New(`raspberry-pi: no text "Raspberry Pi Boot" in option 43`)
	}
	return o, nil
}

// decidePi goes on as soon as it has an address and a server, whose first file it knows itself.
func decidePi(m *Machine, _ time.Duration, _ bool) bool {
	var lease, boot *offer
	for _, o := range m.offers {
		if o.leases() {
			lease = cmp.Or(lease, o)
		}
		if o.pi {
			boot = cmp.Or(boot, o)
		}
	}
	if lease == nil || boot == nil {
		return false
	}
	server := boot.Next
	if server.IsUnspecified() {
		server = boot.ask
	}
	m.lease, m.boot = lease, bootFile{server: server, name: boot.File}
	return true
}

// sub returns a sub-option of an encapsulated option, nil if there is none.
func sub(data []byte, code byte) []byte {
	for len(data) >= 2 {
		switch n := int(data[1]); {
		case data[0] == 0:
			data = data[1:]
		case data[0] == 255 || 2+n > len(data):
			return nil
		case data[0] == code:
			return data[2 : 2+n]
		default:
			data = data[2+n:]
		}
	}
	return nil
}
