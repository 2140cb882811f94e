package storm

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

var (
	dhcpServer = netip.MustParseAddr("192.0.2.2")
	bootServer = netip.MustParseAddr("192.0.2.10")
	leased     = netip.MustParseAddr("192.0.2.100")
	allOnes    = netip.MustParseAddr("255.255.255.255")
)

// sent is one datagram of a machine, as a line: when, what.
type sent struct {
	at time.Duration
	Datagram
}

// network is a DHCP server, a boot server and a file server without a wire, in
// front of one machine, with a clock that jumps from event to event.
type network struct {
	t     *testing.T
	m     *Machine
	step  Step
	delay time.Duration // of every answer
	log   []string      // "4s DISCOVER secs=4", "RRQ name", …

	offers  func(v *dhcp.View) []*dhcptest.Message // answers to a DISCOVER
	ack     func(v *dhcp.View) *dhcptest.Message   // to a REQUEST; nil: ACK
	boot    func(v *dhcp.View) *dhcptest.Message   // on 4011; nil: silence
	files   map[string]string
	noTFTP  bool
	noTsize bool

	queue []sent // answers under way
	reads map[uint16]*reading
}

// reading is one transfer of the file server, from port 1000 on.
type reading struct {
	data            string
	blksize, window int
}

func newNetwork(t *testing.T, p *Profile) *network {
	return &network{t: t, m: NewMachine(7, p), delay: time.Millisecond, reads: map[uint16]*reading{}, files: map[string]string{}}
}

// run switches the machine on and returns when it is done.
func (n *network) run() *network {
	n.t.Helper()
	n.step.Begin(0)
	n.m.PowerOn(&n.step)
	for events := 0; ; events++ {
		if events > 10000 {
			n.t.Fatalf("the machine goes on and on: %q", n.log[:20])
		}
		for _, d := range n.step.Out {
			n.receive(d)
		}
		if n.m.Done() {
			return n
		}
		due := n.m.Due()
		if len(n.queue) > 0 && n.queue[0].at <= due {
			next := n.queue[0]
			n.queue = n.queue[1:]
			n.step.Begin(next.at)
			n.m.Receive(&n.step, next.Datagram)
			continue
		}
		if due == never {
			n.t.Fatalf("the machine waits for nothing, in state %v: %q", n.m.state, n.log)
		}
		n.step.Begin(due)
		n.m.Expire(&n.step)
	}
}

func (n *network) answer(src, dst netip.AddrPort, p []byte) {
	n.queue = append(n.queue, sent{n.step.Now + n.delay, Datagram{src, dst, p}})
}

func (n *network) note(format string, args ...any) {
	n.log = append(n.log, n.step.Now.Round(time.Millisecond).String()+" "+fmt.Sprintf(format, args...))
}

func (n *network) receive(d Datagram) {
	switch port := d.Dst.Port(); {
	case port == 67 || port == 4011:
		var v dhcp.View
		if v.Parse(d.Payload) != packet.Answered {
			n.t.Fatalf("the machine sent %x", d.Payload)
		}
		n.receiveDHCP(d, &v)
	case n.noTFTP:
		n.note("to port %d", port)
	default:
		n.receiveTFTP(d)
	}
}

func (n *network) receiveDHCP(d Datagram, v *dhcp.View) {
	kind, _ := v.Type()
	if d.Dst.Port() == 4011 {
		n.note("4011 from %d secs=%d", d.Src.Port(), v.Secs())
		if n.boot != nil {
			if m := n.boot(v); m != nil {
				n.answer(netip.AddrPortFrom(d.Dst.Addr(), 4011), d.Src, m.Bytes())
			}
		}
		return
	}
	n.note("%v secs=%d", kind, v.Secs())
	reply := func(m *dhcptest.Message) {
		src := dhcpServer
		if m.YIAddr == (netip.Addr{}) {
			src = bootServer
		}
		n.answer(netip.AddrPortFrom(src, 67), netip.AddrPortFrom(allOnes, 68), m.Bytes())
	}
	switch {
	case kind == dhcp.TypeDiscover && n.offers != nil:
		for _, m := range n.offers(v) {
			reply(m)
		}
	case kind == dhcp.TypeRequest && n.ack != nil:
		if m := n.ack(v); m != nil {
			reply(m)
		}
	case kind == dhcp.TypeRequest:
		reply(lease(v).Set(53, 5))
	}
}

func (n *network) receiveTFTP(d Datagram) {
	p := d.Payload
	port := d.Src.Port()
	send := func(p []byte) {
		n.answer(netip.AddrPortFrom(d.Dst.Addr(), 1000+port%1000), d.Src, p)
	}
	switch binary.BigEndian.Uint16(p) {
	case 1:
		fields := strings.Split(string(p[2:]), "\x00")
		n.note("RRQ %s", strings.Join(fields[:len(fields)-1], " "))
		data, ok := n.files[fields[0]]
		if !ok {
			send([]byte("\x00\x05\x00\x01not here\x00"))
			return
		}
		r := &reading{data: data, blksize: 512, window: 1}
		n.reads[port] = r
		oack := "\x00\x06"
		for i := 2; i+1 < len(fields); i += 2 {
			switch fields[i] {
			case "blksize":
				fmt.Sscan(fields[i+1], &r.blksize)
			case "windowsize":
				fmt.Sscan(fields[i+1], &r.window)
			case "tsize":
				fields[i+1] = fmt.Sprint(len(data))
				if n.noTsize {
					continue
				}
			default:
				continue
			}
			oack += fields[i] + "\x00" + fields[i+1] + "\x00"
		}
		send([]byte(oack))
	case 4:
		r, block := n.reads[port], int(binary.BigEndian.Uint16(p[2:]))
		for b := block + 1; b <= block+r.window && (b-1)*r.blksize <= len(r.data); b++ {
			from := (b - 1) * r.blksize
			send(append([]byte{0, 3, byte(b >> 8), byte(b)}, r.data[from:min(from+r.blksize, len(r.data))]...))
		}
	case 5:
		n.note("ERROR %d", binary.BigEndian.Uint16(p[2:]))
	}
}

// reply makes the answer to a request, without address and options.
func reply(v *dhcp.View) *dhcptest.Message {
	m := &dhcptest.Message{Op: 2, HType: 1, HLen: 6, XID: v.XID(), Flags: v.Flags(), CIAddr: v.ClientIP()}
	copy(m.CHAddr[:], v.HardwareAddr())
	return m
}

// lease is a plain DHCP server's OFFER.
func lease(v *dhcp.View) *dhcptest.Message {
	m := reply(v).Add(53, 2).Add(54, dhcpServer.AsSlice()...).Add(1, 255, 255, 255, 0).Add(3, 192, 0, 2, 1)
	m.YIAddr = leased
	return m
}

// binl is a boot server's OFFER without option 43, pxe10 one with discovery
// control, and http one with a URL.
func binl(v *dhcp.View) *dhcptest.Message {
	m := reply(v).Add(53, 2).Add(54, bootServer.AsSlice()...).Add(60, []byte("PXEClient")...)
	m.SIAddr = bootServer
	return m
}

func pxe10(v *dhcp.View) *dhcptest.Message {
	m := binl(v).Add(43, 6, 1, 8, 10, 4, 0, 'P', 'X', 'E', 255)
	m.File = "nbp"
	return m
}

func http(v *dhcp.View) *dhcptest.Message {
	m := binl(v).Set(60, []byte("HTTPClient")...)
	m.File = "http://192.0.2.10/boot.efi"
	return m
}

// named gives an offer a boot file.
func named(m *dhcptest.Message) *dhcptest.Message {
	m.File = "nbp"
	return m
}

// offering answers DISCOVERs with offers.
func offering(makers ...func(*dhcp.View) *dhcptest.Message) func(*dhcp.View) []*dhcptest.Message {
	return func(v *dhcp.View) (all []*dhcptest.Message) {
		for _, f := range makers {
			all = append(all, f(v))
		}
		return all
	}
}

// bootACK is a boot server's answer on 4011.
func bootACK(v *dhcp.View) *dhcptest.Message { return named(binl(v).Set(53, 5)) }

// builtin returns a built-in profile.
func builtin(t *testing.T, name string) *Profile {
	t.Helper()
	all, err := LoadProfiles("")
	if err != nil {
		t.Fatal(err)
	}
	if all[name] == nil {
		t.Fatalf("no profile %s", name)
	}
	return all[name]
}
