package loader

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader/netdev"
)

// Addr is an address that requests may be sent to besides the limited
// broadcast: the program takes a frame for it only with this destination MAC
// and these VLAN ids.
type Addr struct {
	IP   netip.Addr
	VIDs []uint16 // outermost first; none: untagged
	// AnyVLAN takes any tags, or none; VIDs is then ignored.
	AnyVLAN bool
	MAC     [6]byte // ff:ff:ff:ff:ff:ff for a directed broadcast
}

var broadcastMAC = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Addrs returns the addresses of an interface: its own, those of the bridge
// that it is a port of, those of the VLAN devices on top of it, each with its
// directed broadcast, and extra (unless invalid) on any VLAN.
func Addrs(f *netdev.Facts, extra netip.Addr) []Addr {
	var out []Addr
	add := func(list []netdev.Addr, vids []uint16, mac [6]byte) {
		for _, a := range list {
			out = append(out, Addr{IP: a.IP, VIDs: vids, MAC: mac})
			if a.Broadcast.IsValid() && a.Broadcast != a.IP {
				out = append(out, Addr{IP: a.Broadcast, VIDs: vids, MAC: broadcastMAC})
			}
		}
	}
	add(f.Addrs, nil, f.MAC)
	add(f.BridgeAddrs, nil, f.BridgeMAC)
	for _, v := range f.VLANs {
		if v.Up {
			add(v.Addrs, v.VIDs, v.MAC)
		}
	}
	if extra = extra.Unmap(); extra.Is4() {
		out = append(out, Addr{IP: extra, AnyVLAN: true, MAC: f.MAC})
	}
	return out
}

func (a Addr) entry() (key bpf.AddrKey, value bpf.AddrValue, err error) {
	if a.AnyVLAN {
		key, err = bpf.AnyVLANKey(a.IP)
	} else {
		key, err = bpf.NewAddrKey(a.IP, a.VIDs...)
	}
	return key, bpf.AddrValue{MAC: a.MAC}, err
}

// syncAddrs makes the map hold exactly addrs. New ones come first, so that an
// address that stays is never missing. The first of two with one key wins.
func syncAddrs(m *ebpf.Map, addrs []Addr) error {
	want := make(map[bpf.AddrKey]bpf.AddrValue, len(addrs))
	for _, a := range addrs {
		key, value, err := a.entry()
		if err != nil {
			return err
		}
		if _, twice := want[key]; !twice {
			want[key] = value
		}
	}
	have := map[bpf.AddrKey]bpf.AddrValue{}
	var key bpf.AddrKey
	var value bpf.AddrValue
	it := m.Iterate()
	for it.Next(&key, &value) {
		have[key] = value
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read %s: %w", bpf.AddrsMap, err)
	}
	for k, v := range want {
		if old, ok := have[k]; ok && old == v {
			continue
		}
		if err := m.Put(k, v); err != nil {
			return fmt.Errorf("%s: address %v: %w", bpf.AddrsMap, netip.AddrFrom4(k.IP), err)
		}
	}
	for k := range have {
		if _, ok := want[k]; ok {
			continue
		}
		if err := m.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("%s: address %v: %w", bpf.AddrsMap, netip.AddrFrom4(k.IP), err)
		}
	}
	return nil
}
