package port

import (
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/xdpxe/xdpxe/bench/xdp"
	"github.com/xdpxe/xdpxe/loader/xsk"
)

// Frames of an AF_XDP port. The receive ring holds what comes while the owner's
// thread is not running: at 300,000 frames a second for 27 ms.
const (
	xdpFrames = 12288 // 24 MiB
	xdpRx     = 8192
	xdpTx     = 2048
)

// redirect is the XDP program that the ports of one interface share.
type redirect struct {
	*xdp.Redirect
	users atomic.Int32
}

// release ends the program with its last user.
func (r *redirect) release() error {
	if r.users.Add(-1) == 0 {
		return r.Close()
	}
	return nil
}

type xdpPort struct {
	mac     net.HardwareAddr
	sock    *xsk.Socket
	shared  *redirect
	closed  bool
	scratch [256]xsk.Frame
}

func openXDP(ifi *net.Interface, queues []int) (ports []Port, err error) {
	program, err := xdp.NewRedirect(ifi.Index, slices.Max(queues)+1)
	if err != nil {
		return nil, err
	}
	shared := &redirect{Redirect: program}
	shared.users.Store(1) // until all are open
	defer func() { err = errors.Join(err, shared.release()) }()
	for _, queue := range queues {
		sock, err := xsk.Open(xsk.Config{IfIndex: ifi.Index, Queue: queue, Frames: xdpFrames, RxSize: xdpRx, TxSize: xdpTx})
		if err != nil {
			return ports, err
		}
		shared.users.Add(1)
		ports = append(ports, &xdpPort{mac: ifi.HardwareAddr, sock: sock, shared: shared})
		if err := shared.Put(queue, sock.FD()); err != nil {
			return ports, err
		}
	}
	return ports, nil
}

// frame makes an xsk.Frame of f. Since a slice's capacity ends with its frame,
// it says where in the frame the data begins.
func frame(f *Frame) xsk.Frame {
	return xsk.Frame{Off: xsk.FrameSize - cap(f.Data), Len: len(f.Data), ID: f.id}
}

func (p *xdpPort) Alloc(dst []Frame) (n int) {
	for n < len(dst) {
		want := p.scratch[:min(len(dst)-n, len(p.scratch))]
		got := p.sock.Alloc(want)
		for i := range want[:got] {
			f := &want[i]
			dst[n] = Frame{Data: f.Buf[f.Off:f.Off], id: f.ID}
			n++
		}
		if got < len(want) {
			break
		}
	}
	return n
}

func (p *xdpPort) Send(f []Frame) (n int, err error) {
	for n < len(f) && err == nil {
		want := p.scratch[:min(len(f)-n, len(p.scratch))]
		for i := range want {
			want[i] = frame(&f[n+i])
		}
		var took int
		took, err = p.sock.Send(want)
		n += took
		if took < len(want) {
			break
		}
	}
	return n, closedError(err)
}

func (p *xdpPort) Flush() error { return closedError(p.sock.Flush()) }

func (p *xdpPort) Recv(dst []Frame, wait time.Duration) (int, error) {
	want := p.scratch[:min(len(dst), len(p.scratch))]
	n, err := p.sock.Recv(want, max(wait, 0)) // below 0 it would wait for ever
	for i := range want[:n] {
		f := &want[i]
		dst[i] = Frame{Data: f.Data(), id: f.ID}
	}
	return n, closedError(err)
}

func (p *xdpPort) Release(f []Frame) {
	for len(f) > 0 {
		give := p.scratch[:min(len(f), len(p.scratch))]
		for i := range give {
			give[i] = frame(&f[i])
		}
		p.sock.Release(give)
		f = f[len(give):]
	}
}

func (p *xdpPort) MAC() net.HardwareAddr { return p.mac }

func (p *xdpPort) Stats() Stats {
	s := p.sock.Stats()
	return Stats{Sent: s.Sent, SendErrors: s.TxInvalid, Received: s.Received, Dropped: s.RxDropped + s.RxRingFull}
}

// Close is the owner's to call. The last of an interface's ports takes the XDP program along.
func (p *xdpPort) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	return errors.Join(p.sock.Close(), p.shared.release())
}

func closedError(err error) error {
	if errors.Is(err, xsk.ErrClosed) {
		return ErrClosed
	}
	return err
}
