package dhcptest

import (
	"errors"
	"fmt"
	"net/netip"
)

// Firmware is an edk2 machine between its DISCOVER and the download of its
// boot file. The time-outs are the caller's: all offers of one attempt are
// received, then Boot decides, as edk2 does when its timer expires.
type Firmware struct {
	EDK2
	Arch uint16
	// DropProxyPXE10 makes it the NetworkPkg of 2010 to 2017, which threw away
	// every proxy offer with discovery options (before edk2 8cdd559be6).
	DropProxyPXE10 bool

	offers    []*Offer
	sawProxy  bool
	sawPXE10  bool
	requestID uint32
}

// NewFirmware returns a machine whose Discover has not been sent yet.
func NewFirmware(arch uint16) *Firmware {
	d := Discover(arch)
	return &Firmware{EDK2: EDK2{XID: d.XID, CHAddr: d.CHAddr}, Arch: arch, requestID: d.XID}
}

// Discover is what it broadcasts; secs is 0, 4, 12, 28 in its four tries.
func (f *Firmware) Discover(secs uint16) *Message {
	d := Discover(f.Arch)
	d.XID, d.Secs = f.XID, secs
	return d
}

// Receive takes one offer (PxeBcCacheDhcp4Offer). The error says why it is not kept.
func (f *Firmware) Receive(pkt []byte) error {
	o, err := f.AcceptOffer(pkt)
	if err != nil {
		return err
	}
	if o.YourIP.As4()[0] == 0 && o.Kind != BOOTP {
		f.sawProxy = true
		switch {
		case o.Kind == DHCPOnly:
			return errors.New("edk2: proxy offer without PXEClient")
		case o.Kind == ProxyPXE10 && f.DropProxyPXE10:
			return errors.New("edk2: proxy offer with option 43 (8cdd559be6 missing)")
		case o.Kind == ProxyPXE10 && f.sawPXE10:
			return errors.New("edk2: second ProxyPxe10 offer")
		}
		f.sawPXE10 = f.sawPXE10 || o.Kind == ProxyPXE10
	}
	f.offers = append(f.offers, o)
	return nil
}

// BootFile is what the firmware will download.
type BootFile struct {
	Server netip.Addr
	Name   string
	// Offer is what later boot programs find in Mode->ProxyOffer; nil if the DHCP server named the file.
	Offer *Offer
	Lease *Offer // the DHCP offer that it took its address from
}

// ErrRepeat means that there is no usable combination of offers: the firmware repeats its DISCOVER.
var ErrRepeat = errors.New("edk2: no usable offers")

// Ask sends a request from port 4011 of the client to port 4011 of a server
// and returns the reply, nil if there was none after four tries.
type Ask func(server netip.Addr, request *Message) (reply []byte)

// Boot chooses among the offers (PxeBcSelectDhcp4Offer) and asks the boot
// servers that have to be asked.
func (f *Firmware) Boot(ask Ask) (*BootFile, error) {
	of := func(k Kind) (all []*Offer) {
		for _, o := range f.offers {
			if o.Kind == k {
				all = append(all, o)
			}
		}
		return all
	}
	lease := of(DHCPOnly)
	switch {
	case len(of(DHCPPXE10)) > 0:
		o := of(DHCPPXE10)[0]
		return bootInfo(o, o)
	case len(lease) > 0 && len(of(ProxyPXE10)) > 0:
		return bootInfo(of(ProxyPXE10)[0], lease[0])
	case len(of(DHCPBINL)) > 0:
		o := of(DHCPBINL)[0]
		return f.askAll(ask, of(DHCPBINL)[:1], o)
	case len(lease) > 0 && len(of(ProxyBINL)) > 0:
		return f.askAll(ask, of(ProxyBINL), lease[0])
	}
	for _, o := range append(lease, of(BOOTP)...) {
		if o.File != "" {
			return &BootFile{Server: o.Server(), Name: o.File, Lease: o}, nil
		}
	}
	return nil, ErrRepeat
}

// askAll is PxeBcRetryBinlOffer for each offer in turn.
func (f *Firmware) askAll(ask Ask, offers []*Offer, lease *Offer) (*BootFile, error) {
	for _, o := range offers {
		server := o.Next
		if server.As4()[0] == 0 {
			server = o.ServerID
		}
		f.requestID += 0x01000193 // a new xid for each
		req := BootServerRequest(f.Arch, lease.YourIP)
		req.XID = f.requestID
		reply := ask(server, req)
		if reply == nil {
			continue
		}
		judge := EDK2{XID: req.XID, CHAddr: req.CHAddr}
		if ack, err := judge.AcceptBootServer(reply); err == nil {
			return &BootFile{Server: ack.Server(), Name: ack.File, Offer: ack, Lease: lease}, nil
		}
	}
	return nil, fmt.Errorf("edk2: none of %d boot servers gave a boot file", len(offers))
}

// bootInfo is PxeBcSelectBootPrompt for offers with discovery options. Menus are not played.
func bootInfo(o, lease *Offer) (*BootFile, error) {
	if control := o.Vendor[6]; len(control) > 0 && control[0]&8 != 0 && o.File != "" {
		return &BootFile{Server: o.Server(), Name: o.File, Offer: o, Lease: lease}, nil
	}
	if o.Vendor[9] == nil {
		return nil, errors.New("edk2: PXE-E21: Remote boot cancelled")
	}
	return nil, errors.New("edk2: boot menu")
}

// Lease is the OFFER of a plain DHCP server to the request.
func Lease(request *Message, server, yiaddr netip.Addr) *Message {
	m := &Message{
		Op: 2, HType: request.HType, HLen: request.HLen, XID: request.XID, Flags: request.Flags,
		YIAddr: yiaddr, GIAddr: request.GIAddr, CHAddr: request.CHAddr,
	}
	return m.Add(53, 2).Add(54, server.AsSlice()...).Add(51, 0, 0, 0x0e, 0x10).Add(1, 255, 255, 255, 0)
}
