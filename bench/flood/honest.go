package flood

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// Honest are clients that want to boot.
type Honest struct {
	Clients int
	// Gap is the time between one client and the next, Wait from the last one's
	// first DISCOVER until those without an answer ask again, and Last how long
	// they then wait at most.
	Gap, Wait, Last time.Duration
	First           dhcpc.Identity // who they are, from there on
}

// Answers are how many clients had a valid OFFER, and when.
type Answers struct {
	Clients       int
	First, Second int // by the first DISCOVER, and by the second
}

// Share is the part that had one by the second DISCOVER.
func (a Answers) Share() float64 { return float64(a.First+a.Second) / float64(a.Clients) }

// Ask asks through a port, on the calling goroutine.
func (h *Honest) Ask(ctx context.Context, p port.Port) (Answers, error) {
	t, err := dhcpc.NewTemplate(dhcpc.FirmwareDiscover(archX64))
	if err != nil {
		return Answers{}, err
	}
	a := asking{h: h, port: p, template: t, xid: rand.Uint32(), answered: make([]bool, h.Clients), waiting: h.Clients, in: make([]port.Frame, 64)}
	first, err := a.round(ctx, h.Wait)
	if err != nil {
		return Answers{}, err
	}
	second, err := a.round(ctx, h.Last)
	return Answers{Clients: h.Clients, First: first, Second: second}, err
}

// asking is an Ask under way.
type asking struct {
	h        *Honest
	port     port.Port
	template *dhcpc.Template
	xid      uint32 // of the first client; a client keeps its xid
	answered []bool
	waiting  int // clients without an answer
	in       []port.Frame
	judge    dhcpc.Judge
	packet   packet.Packet
}

// round makes all clients ask that have no answer, and returns how many get one,
// at most wait after the last has asked.
func (a *asking) round(ctx context.Context, wait time.Duration) (answers int, err error) {
	for i := range a.h.Clients {
		if a.answered[i] {
			continue
		}
		if err := a.send(i); err != nil {
			return answers, err
		}
		n, err := a.hear(ctx, a.h.Gap)
		answers += n
		if err != nil {
			return answers, err
		}
	}
	n, err := a.hear(ctx, wait)
	return answers + n, err
}

func (a *asking) request(i int) (packet.Meta, dhcpc.Vars) {
	id := a.h.First + dhcpc.Identity(i)
	return packet.Meta{
		SrcMAC: id.MAC(), DstMAC: [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		Src: netip.AddrPortFrom(netip.IPv4Unspecified(), packet.PortDHCPClient),
		Dst: netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), packet.PortDHCPServer),
	}, dhcpc.Vars{ID: id, XID: a.xid + uint32(i)}
}

func (a *asking) send(i int) error {
	var frame [1]port.Frame
	if a.port.Alloc(frame[:]) == 0 {
		return errors.New("no frame to send in")
	}
	m, vars := a.request(i)
	frame[0].Data = a.template.Frame(frame[0].Data, &m, &vars)
	if _, err := a.port.Send(frame[:]); err != nil {
		return err
	}
	return a.port.Flush()
}

// hear takes what comes for a time, or until nobody waits. What a flood is
// answered with comes too.
func (a *asking) hear(ctx context.Context, wait time.Duration) (answers int, err error) {
	for end := time.Now().Add(wait); ; {
		n, err := a.port.Recv(a.in, max(time.Until(end), 0))
		if err != nil {
			return answers, err
		}
		for _, f := range a.in[:n] {
			if a.take(f.Data) {
				answers++
			}
		}
		a.port.Release(a.in[:n])
		if time.Now().After(end) || a.waiting == 0 || ctx.Err() != nil {
			return answers, ctx.Err()
		}
	}
}

// take reports whether a frame is the first answer to a client.
func (a *asking) take(frame []byte) bool {
	if packet.Parse(frame, &a.packet) != packet.Answered || len(a.packet.Payload) < 240 || a.packet.Dst.Port() != packet.PortDHCPClient {
		return false
	}
	x := a.packet.Payload[4:8]
	i := int(uint32(x[0])<<24|uint32(x[1])<<16|uint32(x[2])<<8|uint32(x[3])) - int(a.xid)
	i = int(uint32(i))
	if i >= len(a.answered) || a.answered[i] {
		return false
	}
	m, vars := a.request(i)
	expect := dhcpc.Expect{Kind: dhcpc.ProxyOffer, Spec: &a.template.Spec, Vars: &vars}
	if dhcpc.Addressing(&m, &a.packet.Meta, &expect) != dhcpc.Valid || a.judge.Reply(a.packet.Payload, &expect) != dhcpc.Valid {
		return false
	}
	a.answered[i] = true
	a.waiting--
	return true
}
