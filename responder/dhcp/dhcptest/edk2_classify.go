package dhcptest

import (
	"bytes"
	"errors"
	"net/netip"
)

// Kind is edk2's class of an offer (PXEBC_OFFER_TYPE).
type Kind int

const (
	DHCPOnly Kind = iota
	DHCPPXE10
	DHCPBINL
	ProxyPXE10
	ProxyBINL
	BOOTP
)

// String returns edk2's name.
func (k Kind) String() string {
	return [...]string{"DhcpOnly", "DhcpPxe10", "DhcpBinl", "ProxyPxe10", "ProxyBinl", "Bootp"}[k]
}

// Offer is a packet as edk2's PXE driver has understood it.
type Offer struct {
	Kind     Kind
	Packet   []byte // as received
	Mode     []byte // as later boot programs see it in EFI_PXE_BASE_CODE_MODE
	Class    []byte // option 60
	ServerID netip.Addr
	Next     netip.Addr // siaddr
	File     string     // option 67, else header
	YourIP   netip.Addr
	Vendor   map[byte][]byte // option 43, if the class is PXEClient
}

// Classify is PxeBcParseDhcp4Packet. It fails for what that discards.
func Classify(pkt []byte) (*Offer, error) {
	if len(pkt) < 240 {
		return nil, errors.New("edk2: no options")
	}
	o := &Offer{
		Packet: pkt, Mode: bytes.Clone(pkt), Class: first(pkt, 60),
		Next: netip.AddrFrom4([4]byte(pkt[20:24])), YourIP: netip.AddrFrom4([4]byte(pkt[16:20])),
	}
	if id := first(pkt, 54); len(id) == 4 {
		o.ServerID = netip.AddrFrom4([4]byte(id))
	}
	proxy := pkt[16] == 0
	pxe := bytes.HasPrefix(o.Class, []byte("PXEClient"))
	if vendor := first(pkt, 43); pxe && vendor != nil {
		o.Vendor = vendorOptions(vendor)
	}
	if at, n := find(pkt, 67); n > 0 {
		o.File = cstring(pkt[at : at+n])
		// It ends an unterminated name by overwriting what follows.
		if pkt[at+n-1] != 0 && at+n < len(pkt) {
			o.Mode[at+n] = 0
		}
	} else if overload(pkt)&1 == 0 {
		o.File = cstring(pkt[108:236])
	}
	kind := first(pkt, 53)
	discovery, mtftp := false, true
	for tag := byte(6); tag <= 10; tag++ {
		discovery = discovery || o.Vendor[tag] != nil
	}
	for tag := byte(1); tag <= 5; tag++ {
		mtftp = mtftp && o.Vendor[tag] != nil
	}
	switch {
	case len(kind) == 0 || kind[0] == 0:
		o.Kind = BOOTP
		if o.File == "" {
			return nil, errors.New("edk2: BOOTP reply without boot file")
		}
	case discovery && proxy:
		o.Kind = ProxyPXE10
	case discovery:
		o.Kind = DHCPPXE10
	case mtftp:
		return nil, errors.New("edk2: WfM 1.1a offer, discarded")
	case pxe && proxy:
		o.Kind = ProxyBINL
	case pxe:
		o.Kind = DHCPBINL
	default:
		o.Kind = DHCPOnly
	}
	return o, nil
}

// Server is where the boot file comes from (PxeBcDhcp4BootInfo).
func (o *Offer) Server() netip.Addr {
	if control := o.Vendor[6]; len(control) > 0 && control[0]&8 != 0 {
		if list := o.Vendor[8]; len(list) >= 7 && list[2] > 0 {
			return netip.AddrFrom4([4]byte(list[3:7]))
		}
	}
	if o.Next.As4()[0] != 0 {
		return o.Next
	}
	return o.ServerID
}

// first returns the data of the first instance of an option, nil if there is none.
func first(pkt []byte, code byte) []byte {
	at, n := find(pkt, code)
	if at == 0 {
		return nil
	}
	return pkt[at : at+n]
}

// find is PxeBcParseDhcp4Options over the fields that hold options: where the
// data of the first instance stands and its length; 0, 0 if there is none.
func find(pkt []byte, code byte) (at, n int) {
	if at, n = findIn(pkt, 240, len(pkt), code); at != 0 || code == 52 {
		return at, n
	}
	if overload(pkt)&1 != 0 {
		if at, n = findIn(pkt, 108, 236, code); at != 0 {
			return at, n
		}
	}
	if overload(pkt)&2 != 0 {
		return findIn(pkt, 44, 108, code)
	}
	return 0, 0
}

func findIn(pkt []byte, from, to int, code byte) (at, n int) {
	for i := from; i < to && pkt[i] != 255; {
		if pkt[i] == 0 {
			i++
			continue
		}
		if i+1 >= to || i+2+int(pkt[i+1]) > to {
			break
		}
		if pkt[i] == code {
			return i + 2, int(pkt[i+1])
		}
		i += 2 + int(pkt[i+1])
	}
	return 0, 0
}

func overload(pkt []byte) byte {
	if v := first(pkt, 52); len(v) == 1 {
		return v[0]
	}
	return 0
}

func vendorOptions(data []byte) map[byte][]byte {
	m := make(map[byte][]byte)
	for len(data) > 1 && data[0] != 255 {
		if data[0] == 0 {
			data = data[1:]
			continue
		}
		n := 2 + int(data[1])
		if n > len(data) {
			break
		}
		if n > 2 {
			m[data[0]] = data[2:n]
		}
		data = data[n:]
	}
	return m
}

func cstring(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
