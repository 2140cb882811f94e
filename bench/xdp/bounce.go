package xdp

import (
	"fmt"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Bounce is a program on an interface that sends every UDP datagram back by XDP_TX.
type Bounce struct{ link link.Link }

// OpenBounce attaches it to an interface of the calling thread's network namespace.
func OpenBounce(ifname string) (*Bounce, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("XDP_TX bounce on %s: %w", ifname, err)
	}
	var o struct {
		Program *ebpf.Program `ebpf:"xdpxe_bounce"`
	}
	if err := loadGunObjects(&o, nil); err != nil {
		return nil, fmt.Errorf("XDP_TX bounce on %s: %w", ifname, err)
	}
	defer o.Program.Close()
	l, err := attach(o.Program, ifi.Index)
	if err != nil {
		return nil, fmt.Errorf("XDP_TX bounce on %s: %w", ifname, err)
	}
	return &Bounce{l}, nil
}

// Close detaches it.
func (b *Bounce) Close() error { return b.link.Close() }
