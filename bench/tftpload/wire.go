package tftpload

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bench/tftpc"
)

const (
	batch     = 32       // messages of one recvmmsg, at most
	groBuffer = 64 << 10 // more than one UDP message; what is not used costs nothing
	controls  = 64       // bytes of control messages
)

// receiver is a thread's room for what one system call brings.
type receiver struct {
	msgs    []mmsghdr
	from    []address
	iovs    []unix.Iovec
	bytes   []byte
	each    int // bytes for a message
	control []byte
}

// init makes room for so many messages of so many bytes.
func (r *receiver) init(each, messages int) {
	r.each = each
	r.msgs, r.from, r.iovs = make([]mmsghdr, messages), make([]address, messages), make([]unix.Iovec, messages)
	r.bytes, r.control = make([]byte, messages*each), make([]byte, messages*controls)
	for i := range r.msgs {
		r.iovs[i] = unix.Iovec{Base: &r.bytes[i*each]}
		r.iovs[i].SetLen(each)
		h := &r.msgs[i].hdr
		h.Name, h.Iov, h.Iovlen = (*byte)(unsafe.Pointer(&r.from[i].raw)), &r.iovs[i], 1
		h.Control = &r.control[i*controls]
		r.prepare(i)
	}
}

// prepare makes the i-th message ready again: the kernel shortens what it fills.
func (r *receiver) prepare(i int) {
	r.msgs[i].hdr.Namelen = unix.SizeofSockaddrInet6
	r.msgs[i].hdr.SetControllen(controls)
}

// message returns the i-th message and the length of its datagrams. What is
// longer than the room for it is cut, which makes it too long still.
func (r *receiver) message(i int) (p []byte, segment int) {
	n := min(int(r.msgs[i].len), r.each)
	p = r.bytes[i*r.each:][:n]
	segment = n
	if control := r.control[i*controls:][:r.msgs[i].hdr.Controllen]; len(control) > 0 {
		if b := cmsg(control, unix.SOL_UDP, unix.UDP_GRO); len(b) >= 4 {
			segment = int(binary.NativeEndian.Uint32(b))
		}
	}
	return p, segment
}

// ready takes what the kernel has for a client.
func (w *worker) ready(i int, events uint32) {
	c := &w.clients[i]
	if c.sock == nil || c.Client.Stats().Requests == 0 {
		return
	}
	now := w.clock()
	if events&unix.EPOLLERR != 0 {
		for {
			port, ok := nextICMP(c.sock.fd)
			if !ok {
				break
			}
			if port != 0 && port == w.port(c) {
				c.Unreachable(now)
			}
		}
		// What is not on the queue (it may be full) would wake us for ever.
		_, _ = unix.GetsockoptInt(c.sock.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	}
	if events&unix.EPOLLIN != 0 && !c.paused {
		w.receive(c, now)
	}
	w.settle(c, now)
}

// receive takes one batch. epoll tells if there is more.
func (w *worker) receive(c *client, now time.Duration) {
	n, errno := recvmmsg(c.sock.fd, w.rx.msgs)
	if errno != 0 {
		return // nothing, or an ICMP error, which comes by the error queue as well
	}
	before := c.Client.Stats().Bytes
	impaired := w.cfg.In.active()
	for i := range n {
		p, segment := w.rx.message(i)
		w.rx.prepare(i)
		if !c.server.sameHost(&w.rx.from[i]) {
			w.tally.strangers++
			continue
		}
		port := w.rx.from[i].port()
		if impaired {
			w.arrive(c, now, port, p, segment)
		} else {
			w.burst(c, now, port, p, segment)
		}
	}
	if w.cfg.Slow.Rate > 0 && c.slow && c.Outcome() == tftpc.Running {
		w.slow(c, now, c.Client.Stats().Bytes-before)
	}
}

// slow lets a slow client be busy with so many bytes.
func (w *worker) slow(c *client, now time.Duration, n int64) {
	c.free = max(c.free, now) + time.Duration(float64(n)/w.cfg.Slow.Rate*float64(time.Second))
	if c.free > now {
		c.paused = true
		w.interest(c, 0)
		w.queue.push(event{at: c.free, kind: resume, client: w.place(c), sock: c.sock})
	}
}

// burst hands datagrams of one length to the client.
func (w *worker) burst(c *client, now time.Duration, port uint16, p []byte, segment int) {
	before := c.Client.Stats().Bytes
	for len(p) > 0 {
		var answer []byte
		if p, answer = c.Burst(now, port, p, segment); answer != nil {
			w.send(c, now, answer)
		}
	}
	w.count(c, now, before)
}

// take hands one datagram to the client.
func (w *worker) take(c *client, now time.Duration, port uint16, p []byte) {
	before := c.Client.Stats().Bytes
	if answer := c.Take(now, port, p); answer != nil {
		w.send(c, now, answer)
	}
	w.count(c, now, before)
}

// count notes the bytes that came since.
func (w *worker) count(c *client, now time.Duration, before int64) {
	if n := c.Client.Stats().Bytes - before; n > 0 {
		w.tally.moved(now, n)
		w.moved.Add(n)
	}
}

// arrive lets the datagrams of a message run the gauntlet.
func (w *worker) arrive(c *client, now time.Duration, port uint16, p []byte, segment int) {
	for len(p) > 0 {
		n := min(max(segment, 1), len(p))
		f := w.cfg.In.draw(&c.in)
		if f.copies == 0 {
			w.tally.droppedIn++
		}
		for k := range f.copies {
			if f.delay[k] == 0 {
				w.take(c, now, port, p[:n])
			} else {
				w.queue.push(event{at: now + f.delay[k], kind: deliver, client: w.place(c), sock: c.sock, port: port, packet: w.keep(p[:n])})
			}
		}
		p = p[n:]
	}
}

// keep copies a packet that is to be delayed.
func (w *worker) keep(p []byte) []byte {
	var b []byte
	if n := len(w.pool); n > 0 {
		b, w.pool = w.pool[n-1], w.pool[:n-1]
	}
	return append(b[:0], p...)
}

// port is where a client's packets go.
func (w *worker) port(c *client) uint16 {
	if tid := c.TID(); tid != 0 {
		return tid
	}
	return w.cfg.Server.Port()
}

// send sends a client's packet, with what befalls it on the way.
func (w *worker) send(c *client, now time.Duration, p []byte) {
	if p == nil {
		return
	}
	impairment := &w.impaired[0]
	if c.slow {
		impairment = &w.impaired[1]
	}
	port := w.port(c)
	if !impairment.active() {
		w.transmit(c, c.sock, port, p)
		return
	}
	f := impairment.draw(&c.out)
	if f.copies == 0 {
		w.tally.droppedOut++
	}
	for k := range f.copies {
		if f.delay[k] == 0 {
			w.transmit(c, c.sock, port, p)
			continue
		}
		w.queue.push(event{at: now + f.delay[k], kind: transmit, client: w.place(c), sock: c.sock, port: port, packet: w.keep(p)})
		c.sock.flying++
		w.flying++
	}
}

// passingTries is the patience with errors that ICMP left on the socket, one for
// each: they are about earlier packets, and the error queue has them, too.
const passingTries = 4

func (w *worker) transmit(c *client, s *socket, port uint16, p []byte) {
	c.server.setPort(port)
	var errno unix.Errno
	for range passingTries {
		if errno = sendto(s.fd, p, &c.server); errno == 0 {
			return
		}
	}
	w.tally.sendErrors++
	w.tally.lastSendError = errno
}
