package loader

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader/netdev"
)

// TX says whether what the program sends back (XDP_TX) leaves the interface.
type TX struct {
	OK  bool   `json:"ok"`
	Why string `json:"why"`
}

// ProbeTX finds that out. A frame that a driver throws away is counted
// nowhere near the program, so:
//
//   - in generic mode the kernel's own transmit path sends: it works;
//   - a veth throws frames away as long as nothing polls at its other end,
//     which may be in another namespace and out of sight: a frame is sent, and the
//     device counts it or does not;
//   - of another driver it is believed until WatchTX sees otherwise.
//
// What is sent on a veth goes from our own MAC to our own MAC: no bridge passes
// it on, and no stack takes it. The answer holds for this moment; the other end
// changes its mind without notice. Call it at the start, every few seconds and
// after each change of the network, from a thread in the interface's namespace.
// An error means that it could not be found out, and OK is false.
func (d *Datapath) ProbeTX() (TX, error) {
	info := d.Info()
	switch info.Mode {
	case ModeNone:
		return TX{Why: "there is no XDP program"}, nil
	case ModeGeneric:
		return TX{OK: true, Why: "generic XDP sends by the kernel's own transmit path"}, nil
	}
	f, err := netdev.Read(info.Iface)
	if err != nil {
		return TX{Why: "could not be probed"}, err
	}
	if len(f.BondMembers) == 0 {
		return d.probeDevice(f)
	}
	// A bond's program runs on its members, and sends by one of them.
	for _, name := range f.BondMembers {
		member, err := netdev.Read(name)
		if err != nil {
			return TX{Why: "could not be probed"}, err
		}
		if tx, err := d.probeDevice(member); err != nil || !tx.OK {
			tx.Why = fmt.Sprintf("member %s: %s", name, tx.Why)
			return tx, err
		}
	}
	return TX{OK: true, Why: "its members send"}, nil
}

func (d *Datapath) probeDevice(f *netdev.Facts) (TX, error) {
	if f.Driver != "veth" {
		if why := d.distrusted(); why != "" {
			return TX{Why: why}, nil
		}
		return TX{OK: true, Why: fmt.Sprintf("driver %s reports no losses", f.Driver)}, nil
	}
	before, err := vethSent(f.Name)
	if err == nil {
		err = sendProbe(f)
	}
	if err != nil {
		return TX{Why: "could not be probed"}, fmt.Errorf("interface %s: probe XDP_TX: %w", f.Name, err)
	}
	after, err := vethSent(f.Name)
	if err != nil {
		return TX{Why: "could not be probed"}, fmt.Errorf("interface %s: probe XDP_TX: %w", f.Name, err)
	}
	if after == before {
		return TX{Why: "the other end of the veth throws away what XDP sends: it needs `ethtool -K PEER gro on`, or an XDP program"}, nil
	}
	return TX{OK: true, Why: "what a probe sends reaches the other end of the veth"}, nil
}

// vethSent counts frames that XDP handed to the other end of a veth, those
// included that found its queue full. Where nothing polls there, veth_xdp_xmit
// (drivers/net/veth.c), which XDP_TX and live frames both end in, returns
// before it counts.
func vethSent(ifname string) (n uint64, err error) {
	stats, err := netdev.Stats(ifname)
	if err != nil {
		return 0, err
	}
	known := false
	for _, s := range stats {
		// tx_queue_0_xdp_xmit, tx_queue_0_xdp_xmit_errors
		if strings.HasPrefix(s.Name, "tx_queue_") && strings.Contains(s.Name, "_xdp_xmit") {
			n += s.Value
			known = true
		}
	}
	if !known {
		return 0, fmt.Errorf("%s has no counter of frames sent by XDP (ethtool -S)", ifname)
	}
	return n, nil
}

const (
	// EtherType of frames that mean nothing to anybody (IEEE 802, local experimental).
	etherProbe = 0x88b5
	probeLen   = 60 // the shortest Ethernet frame, without its checksum
	// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES (Linux 5.18).
	liveFrames = 1 << 1
)

// probeFrame is to its own sender, as a switch's keepalive frames are: bridges
// have learnt that address where the frame comes in, and drop it.
func probeFrame(mac [6]byte) []byte {
	frame := make([]byte, 0, probeLen)
	frame = append(append(frame, mac[:]...), mac[:]...)
	frame = binary.BigEndian.AppendUint16(frame, etherProbe)
	frame = append(frame, "xdpxe: does XDP_TX work?"...)
	return frame[:probeLen]
}

// mdContext is struct xdp_md (linux/bpf.h).
type mdContext struct {
	Data, DataEnd, DataMeta      uint32
	IngressIfindex, RxQueueIndex uint32
	EgressIfindex                uint32
}

// sendProbe sends a frame out of a device as XDP does. One run costs some 20 µs;
// several would cost 1,000 times that, since the kernel's dispatcher then has to
// learn the program and forget it (bpf_prog_change_xdp).
func sendProbe(f *netdev.Facts) error {
	p, err := ebpf.NewProgram(bpf.Probe())
	if err != nil {
		return err
	}
	defer p.Close()
	frame := probeFrame(f.MAC)
	_, err = p.Run(&ebpf.RunOptions{
		Data:    frame,
		Context: mdContext{DataEnd: uint32(len(frame)), IngressIfindex: uint32(f.Index)},
		Flags:   liveFrames,
		Repeat:  1,
	})
	return err
}
