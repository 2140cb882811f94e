package storm

import (
	"container/heap"
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/bench/arrival"
	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// Options says what boots, and when.
type Options struct {
	Profiles []*Profile // of each machine: Deal makes them
	Arrival  arrival.Pattern
	First    dhcpc.Identity // of the first machine; the others follow
	Deadline time.Duration  // of the whole storm; machines that are not done by then have failed
	// Progress is called about once a second, and must not take long.
	Progress func(Progress)
}

// Progress is how far a storm is.
type Progress struct {
	Since                      time.Duration
	Machines, On, Booted, Lost int
	Bytes                      uint64
}

// tick is how often things are looked at that no datagram and no timer brings
// up: the context, questions by ARP, progress.
const tick = 50 * time.Millisecond

// mtu is that of Ethernet: what is longer was not cut up by who sent it.
const mtu = 1500

// bucket is the time of one point of the throughput series.
const bucket = 100 * time.Millisecond

// storm is one run: the loop around the machines. One goroutine, which the
// caller should lock to a thread, does all of it.
type storm struct {
	Options
	port  port.Port
	start time.Time
	step  Step
	pkt   packet.Packet

	slots  []*slot
	byMAC  map[[6]byte]*slot
	byAddr map[netip.Addr]*slot
	timers timers
	hops   *neighbours
	frames [256]port.Frame // received
	one    [1]port.Frame   // to be sent

	progress Progress
	said     time.Duration
	result   Result
	idle     time.Duration // in the current second
	second   time.Duration // where that began
}

// Run boots machines through a port until all are done, the deadline, or the
// end of the context, which is no error: machines that were not done by then
// have failed. The port is the caller's.
func Run(ctx context.Context, p port.Port, o Options) (*Result, error) {
	s := newStorm(p, o)
	before, overflows := p.Stats(), tableOverflows()
	err := s.run(ctx)
	after := p.Stats()
	s.result.Overflows = tableOverflows() - overflows
	s.result.Took = time.Since(s.start)
	s.result.Lost = after.Dropped - before.Dropped
	s.result.SendErrors += after.SendErrors - before.SendErrors
	s.result.Silent = s.hops.silent
	return &s.result, err
}

func newStorm(p port.Port, o Options) *storm {
	s := &storm{Options: o, port: p, start: time.Now(), byMAC: map[[6]byte]*slot{}, byAddr: map[netip.Addr]*slot{}, hops: newNeighbours()}
	times := o.Arrival.Times(len(o.Profiles), 1)
	for i, profile := range o.Profiles {
		m := &slot{Machine: NewMachine(o.First+dhcpc.Identity(i), profile), at: times[i], pos: i}
		s.slots = append(s.slots, m)
		s.byMAC[m.MAC] = m
		s.timers = append(s.timers, m)
		s.result.Machines = append(s.result.Machines, m.Machine)
	}
	heap.Init(&s.timers)
	s.progress.Machines = len(s.slots)
	return s
}

func (s *storm) run(ctx context.Context) error {
	for s.progress.Booted+s.progress.Lost < len(s.slots) {
		now := time.Since(s.start)
		if ctx.Err() != nil || now >= s.Deadline {
			s.giveUp(now)
			return nil
		}
		s.expire(now)
		if err := s.port.Flush(); err != nil {
			return fmt.Errorf("storm: send: %w", err)
		}
		if err := s.receive(); err != nil {
			return fmt.Errorf("storm: receive: %w", err)
		}
	}
	return s.port.Flush() // the last acknowledgement
}

// expire does what is due: machines that are switched on, timers, questions by ARP.
func (s *storm) expire(now time.Duration) {
	for s.timers.next() <= now {
		m := s.timers[0]
		s.step.Begin(now)
		if m.on {
			m.Expire(&s.step)
		} else {
			m.on = true
			s.progress.On++
			m.PowerOn(&s.step)
		}
		s.after(m, 0)
	}
	if now-s.said >= tick {
		s.said = now
		s.hops.expire(now, s.askARP)
		s.measure(now)
	}
}

// measure closes a second of the record, and says how far the storm is.
func (s *storm) measure(now time.Duration) {
	if now-s.second < time.Second {
		return
	}
	s.result.Busy = append(s.result.Busy, 1-min(1, s.idle.Seconds()/(now-s.second).Seconds()))
	s.idle, s.second = 0, now
	if s.Progress != nil {
		s.progress.Since = now
		s.Progress(s.progress)
	}
}

// receive waits for frames until something is due, and hands them over.
func (s *storm) receive() error {
	now := time.Since(s.start)
	wait := min(max(s.timers.next()-now, 0), tick)
	n, err := s.port.Recv(s.frames[:], wait)
	arrived := time.Since(s.start)
	s.idle += arrived - now
	if err != nil {
		return err
	}
	for i := range s.frames[:n] {
		s.frame(arrived, s.frames[i].Data)
	}
	s.port.Release(s.frames[:n])
	return nil
}

// frame finds out whom a frame is for. What machines are not concerned with is ignored.
func (s *storm) frame(now time.Duration, frame []byte) {
	if packet.Parse(frame, &s.pkt) == packet.Answered {
		if s.pkt.NumVLANs == 0 {
			s.datagram(now)
		}
		return
	}
	if a, ok := parseARP(frame); ok {
		s.arp(now, &a)
		return
	}
	from, ok := parseUnreachable(frame)
	if m := s.byAddr[from.Addr()]; ok && m != nil && !m.Done() {
		s.step.Begin(now)
		m.Unreachable(&s.step, from.Port())
		s.after(m, 0)
	}
	if len(frame) > etherLen+mtu {
		s.result.Oversize++
	}
}

func (s *storm) datagram(now time.Duration) {
	p := &s.pkt
	m := s.byAddr[p.Dst.Addr()]
	if p.Dst.Port() == packet.PortDHCPClient && len(p.Payload) >= 34 {
		m = s.byMAC[[6]byte(p.Payload[28:])] // chaddr: nobody has an address yet
	}
	if m == nil || !m.on || m.Done() {
		return
	}
	before := m.Bytes
	s.step.Begin(now)
	m.Receive(&s.step, Datagram{p.Src, p.Dst, p.Payload})
	s.after(m, m.Bytes-before)
}

// after sends what a machine wants sent after an event, and keeps the books.
func (s *storm) after(m *slot, bytes uint64) {
	for _, d := range s.step.Out {
		s.send(m, d)
	}
	s.timers.set(m, m.Due())
	if m.Addr.IsValid() && s.byAddr[m.Addr] != m && !m.Done() {
		if s.byAddr[m.Addr] != nil {
			s.result.SameAddress++
		}
		s.byAddr[m.Addr] = m
	}
	if bytes > 0 {
		s.progress.Bytes += bytes
		at := int(s.step.Now / bucket)
		for len(s.result.Throughput) <= at {
			s.result.Throughput = append(s.result.Throughput, 0)
		}
		s.result.Throughput[at] += bytes
	}
	if m.Done() {
		if m.Failure == "" {
			s.progress.Booted++
		} else {
			s.progress.Lost++
		}
	}
}

// send puts a datagram on the wire, or asks for its next hop first.
func (s *storm) send(m *slot, d Datagram) {
	mac := etherBroadcast
	if d.Dst != broadcast {
		hop := m.NextHop(d.Dst.Addr())
		known := false
		if mac, known = s.hops.known[hop]; !known {
			if s.hops.wait(hop, m, d, s.step.Now) {
				s.askARP(m, hop)
			}
			return
		}
	}
	s.put(m, d, mac)
}

func (s *storm) put(m *slot, d Datagram, mac [6]byte) {
	meta := packet.Meta{SrcMAC: m.MAC, DstMAC: mac, Src: d.Src, Dst: d.Dst}
	s.transmit(func(b []byte) []byte {
		head := packet.HeaderLen(&meta)
		b = b[:cap(b)]
		if head+len(d.Payload) > len(b) {
			return b[:0]
		}
		copy(b[head:], d.Payload)
		return b[:packet.Build(b, &meta, len(d.Payload))]
	})
}

// transmit queues a frame that build writes. Without room it is lost, as on a
// full queue of a card, and counted.
func (s *storm) transmit(build func(b []byte) []byte) {
	one := s.one[:]
	if s.port.Alloc(one) == 0 {
		s.port.Flush() // the error comes again in run
		if s.port.Alloc(one) == 0 {
			s.result.SendErrors++
			return
		}
	}
	one[0].Data = build(one[0].Data)
	if len(one[0].Data) == 0 {
		s.port.Release(one)
		return
	}
	if n, _ := s.port.Send(one); n == 0 {
		s.port.Release(one)
		s.result.SendErrors++
	}
}

func (s *storm) askARP(by *slot, hop netip.Addr) {
	a := arpMessage{op: arpRequest, senderMAC: by.MAC, senderIP: by.Addr, targetIP: hop, frameDst: etherBroadcast}
	s.transmit(a.append)
}

// arp answers for the machines' addresses and learns from what others say.
func (s *storm) arp(now time.Duration, a *arpMessage) {
	s.step.Begin(now)
	for _, w := range s.hops.learn(a.senderIP, a.senderMAC) {
		s.put(w.from, w.Datagram, a.senderMAC)
	}
	if m := s.byAddr[a.targetIP]; m != nil && a.op == arpRequest && a.senderIP != a.targetIP {
		r := arpMessage{op: arpReply, senderMAC: m.MAC, senderIP: m.Addr, targetMAC: a.senderMAC, targetIP: a.senderIP, frameDst: a.senderMAC}
		s.transmit(r.append)
	}
}

func (s *storm) giveUp(now time.Duration) {
	for _, m := range s.slots {
		if !m.Done() {
			s.step.Begin(now)
			m.GiveUp(&s.step)
		}
	}
}
