package e2e

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// askEvery is the time from one machine to the next: what guards admit.
const askEvery = time.Millisecond

// earliestRetry is when clients ask again at the soonest (iPXE: 1 s).
const earliestRetry = time.Second

// herd is many machines behind one cable, which ask for boot servers one after another.
type herd struct {
	t        *testing.T
	port     port.Port
	discover *dhcpc.Template
	request  *dhcpc.Template
	frames   [64]port.Frame
	packet   packet.Packet

	asked  []time.Time    // each machine's last DISCOVER
	offers [][]netip.Addr // who answered since forget
	// dead was killed: what its XDP program answers until its heartbeat counts as
	// stopped, 2 s later, leads nowhere.
	dead netip.Addr
}

func newHerd(t *testing.T, r *lab.Rack, n int) *herd {
	t.Helper()
	h := &herd{t: t, port: openPort(t, r, "herd"), asked: make([]time.Time, n)}
	spec := dhcpc.FirmwareDiscover(archX64)
	var err error
	if h.discover, err = dhcpc.NewTemplate(spec); err != nil {
		t.Fatal(err)
	}
	spec.Type = dhcpc.Request
	if h.request, err = dhcpc.NewTemplate(spec); err != nil {
		t.Fatal(err)
	}
	h.forget()
	return h
}

func (h *herd) forget() { h.offers = make([][]netip.Addr, len(h.asked)) }

// ask has machines send a DISCOVER each, and hears until enough reports true of
// what came, or a client would ask again.
func (h *herd) ask(ctx context.Context, machines []int, enough func() bool) {
	h.t.Helper()
	for _, i := range machines {
		// As the client's timer does.
		time.Sleep(time.Until(h.asked[i].Add(earliestRetry)))
		h.asked[i] = time.Now()
		h.send(h.discover, i, &dhcpc.Vars{})
		h.hear(askEvery)
	}
	for end := time.Now().Add(firstRetry); !enough() && time.Now().Before(end) && ctx.Err() == nil; {
		h.hear(10 * time.Millisecond)
	}
}

// choose has machines take a lease from another server, as they do once they
// have an offer of it and of a boot server: all servers hear that.
func (h *herd) choose(machines []int) {
	h.t.Helper()
	for _, i := range machines {
		lease := netip.AddrFrom4([4]byte{192, 0, 2, byte(2 + i%250)})
		h.send(h.request, i, &dhcpc.Vars{ServerID: netip.MustParseAddr("192.0.2.1"), RequestedIP: lease})
		h.hear(askEvery)
	}
}

func (h *herd) send(t *dhcpc.Template, i int, v *dhcpc.Vars) {
	h.t.Helper()
	v.ID = dhcpc.Identity(i + 1)
	v.XID = uint32(i)
	m := packet.Meta{
		SrcMAC: v.ID.MAC(), DstMAC: [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		Src: netip.MustParseAddrPort("0.0.0.0:68"), Dst: netip.MustParseAddrPort("255.255.255.255:67"),
	}
	var f [1]port.Frame
	if h.port.Alloc(f[:]) == 0 {
		h.t.Fatal("no frame to send in")
	}
	f[0].Data = t.Frame(f[0].Data, &m, v)
	if _, err := h.port.Send(f[:]); err != nil {
		h.t.Fatal(err)
	}
	if err := h.port.Flush(); err != nil {
		h.t.Fatal(err)
	}
}

// hear takes what comes for a time.
func (h *herd) hear(wait time.Duration) {
	h.t.Helper()
	for end := time.Now().Add(wait); ; {
		n, err := h.port.Recv(h.frames[:], max(time.Until(end), 0))
		if err != nil {
			h.t.Fatal(err)
		}
		for _, f := range h.frames[:n] {
			h.take(f.Data)
		}
		h.port.Release(h.frames[:n])
		if !time.Now().Before(end) {
			return
		}
	}
}

func (h *herd) take(frame []byte) {
	if packet.Parse(frame, &h.packet) != packet.Answered || h.packet.Dst.Port() != packet.PortDHCPClient {
		return
	}
	m, err := dhcpv4.FromBytes(h.packet.Payload)
	if err != nil || m.MessageType() != dhcpv4.MessageTypeOffer || m.BootFileName != lab.UEFIProgram {
		h.t.Errorf("%v: %v", err, m)
		return
	}
	server, _ := netip.AddrFromSlice(m.ServerIdentifier().To4())
	if server == h.dead {
		return
	}
	x := m.TransactionID
	i := int(x[0])<<24 | int(x[1])<<16 | int(x[2])<<8 | int(x[3])
	h.offers[i] = append(h.offers[i], server)
}

// without are those of the machines that nobody has answered.
func (h *herd) without(machines []int) (left []int) {
	for _, i := range machines {
		if len(h.offers[i]) == 0 {
			left = append(left, i)
		}
	}
	return left
}
