package port

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Kind is how a Port sends and receives.
type Kind uint8

// The kinds.
const (
	XDP    Kind = iota // AF_XDP socket in copy mode
	Packet             // AF_PACKET socket, sendmmsg and recvmmsg
)

func (k Kind) String() string {
	if k == XDP {
		return "xdp"
	}
	return "packet"
}

// ParseKind reads the name of a kind.
func ParseKind(name string) (Kind, error) {
	for _, k := range []Kind{XDP, Packet} {
		if k.String() == name {
			return k, nil
		}
	}
	return 0, fmt.Errorf("sender %q: want xdp or packet", name)
}

// FrameRoom is how many bytes an empty frame holds at least.
const FrameRoom = 1600

// Frame is one Ethernet frame. Data begins with the destination MAC and its
// capacity ends with the frame's memory. Only its length may be changed by the
// holder: where it begins says which frame it is.
type Frame struct {
	Data []byte
	id   uint32
}

// Stats are totals since Open.
type Stats struct {
	Sent       uint64 // frames taken for sending
	SendErrors uint64 // of these, refused by the kernel or the device, as far as it says so
	Received   uint64
	Dropped    uint64 // frames that the kernel lost for want of room here: the receiver was too slow
}

// ErrClosed is returned by operations on a closed Port.
var ErrClosed = errors.New("port closed")

// Port is one queue of an interface. It has one owner at a time, which should be
// locked to its thread; but Stats may be called by anyone.
type Port interface {
	// Alloc fills dst with empty frames (len 0, cap at least FrameRoom) and
	// returns how many there were. They are the caller's until Send or Release.
	Alloc(dst []Frame) int
	// Send queues frames, own or received ones. f[:n] are the port's again.
	Send(f []Frame) (n int, err error)
	// Flush makes what Send took leave.
	Flush() error
	// Recv fills dst with received frames, which are the caller's until Release
	// or Send, and waits at most wait for the first; 0 is only a look. 0 and nil:
	// nothing came.
	Recv(dst []Frame, wait time.Duration) (int, error)
	// Release gives frames back unsent.
	Release(f []Frame)
	// MAC is the interface's address.
	MAC() net.HardwareAddr
	Stats() Stats
	Close() error
}

// Options says what to open.
type Options struct {
	Interface string
	Queue     int // the queue of an AF_XDP port; packet sockets get what arrives on any
	Kind      Kind
}

// Open opens a port on an interface of the calling thread's network namespace;
// from then on it does not matter where its owner runs. It needs CAP_NET_RAW,
// AF_XDP also CAP_BPF and CAP_NET_ADMIN.
func Open(o Options) (Port, error) {
	ports, err := open(o, []int{o.Queue})
	if err != nil {
		return nil, err
	}
	return ports[0], nil
}

// OpenQueues opens one port for each of the queues 0 to n-1, which share one XDP
// program. Of packet sockets there is one for each as well; the kernel spreads
// what arrives over them by flow.
func OpenQueues(o Options, n int) ([]Port, error) {
	queues := make([]int, n)
	for i := range queues {
		queues[i] = i
	}
	return open(o, queues)
}

func open(o Options, queues []int) (ports []Port, err error) {
	ifi, err := net.InterfaceByName(o.Interface)
	if err != nil {
		return nil, fmt.Errorf("port on %s: %w", o.Interface, err)
	}
	defer func() {
		if err == nil {
			return
		}
		for _, p := range ports {
			p.Close()
		}
		ports, err = nil, fmt.Errorf("port on %s: %w", o.Interface, err)
	}()
	if o.Kind == XDP {
		return openXDP(ifi, queues)
	}
	return openPackets(ifi, len(queues))
}
