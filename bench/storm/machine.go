package storm

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/tftpc"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// Datagram is one UDP datagram to or from a machine. Its payload is borrowed.
type Datagram struct {
	Src, Dst netip.AddrPort
	Payload  []byte
}

// Step is what machines work with: the time, and what they send. One serves all
// machines of a thread, one after the other; Out is valid until Begin.
type Step struct {
	Now time.Duration // since the run's start
	Out []Datagram

	buf  []byte
	view dhcp.View
}

// Begin empties the step for another event at a time.
func (s *Step) Begin(now time.Duration) { s.Now, s.Out, s.buf = now, s.Out[:0], s.buf[:0] }

// send queues the payload that write appends.
func (s *Step) send(src, dst netip.AddrPort, write func(b []byte) []byte) {
	at := len(s.buf)
	s.buf = write(s.buf)
	s.Out = append(s.Out, Datagram{src, dst, s.buf[at:len(s.buf):len(s.buf)]})
}

type state uint8

const (
	off         state = iota
	discovering       // DISCOVER sent
	requesting        // REQUEST sent
	asking            // request on 4011 sent
	loading           // by TFTP
	done              // booted, or failed: Outcome says
)

// Machine is one machine that boots: a state machine without I/O. Each of its
// methods is one event; what it sends in answer is in the step.
type Machine struct {
	ID      dhcpc.Identity
	MAC     [6]byte
	Profile *Profile
	Outcome

	// Addr is its address once the lease is acknowledged, on the network Net;
	// Router is invalid if it was told none.
	Addr   netip.Addr
	Net    netip.Prefix
	Router netip.Addr

	state state
	due   time.Duration // when Expire is to be called
	since time.Duration // when the state began
	xid   uint32
	try   int // of the message that is waited for, from 0
	naks  int

	offers  []*offer
	refused error  // why the last offer that was thrown away was
	lease   *offer // chosen
	plan    []*offer
	boot    bootFile // what will be downloaded
	failure string   // why there is nothing to download, known before the lease is

	download download
}

// Outcome is what became of a machine. Times are since the run's start, and 0
// for what was not reached.
type Outcome struct {
	On      time.Duration // first DISCOVER
	Offered time.Duration // first offer that its firmware takes
	Acked   time.Duration
	Asked   time.Duration // the answer on 4011
	NBP     time.Duration // downloaded, or its URL known
	Image   time.Duration // the last file downloaded; the NBP if there is no other
	Ended   time.Duration // booted or failed
	Failure string        // why it did not boot
	URL     string        // what an HTTP client would fetch
	Retries uint64        // messages that had to be sent again
	Bytes   uint64        // of files, as they arrived in order
	Missing uint64        // optional files that the server does not have
}

// bootFile is a file and where it is.
type bootFile struct {
	server netip.Addr
	name   string
}

// NewMachine returns a machine that is switched off.
func NewMachine(id dhcpc.Identity, p *Profile) *Machine {
	return &Machine{ID: id, MAC: id.MAC(), Profile: p, due: never}
}

// never is later than any time.
const never = tftpc.Never

// Due is when Expire is to be called.
func (m *Machine) Due() time.Duration { return m.due }

// Done reports that the machine has booted or failed.
func (m *Machine) Done() bool { return m.state == done }

// PowerOn starts the machine.
func (m *Machine) PowerOn(s *Step) {
	m.On = s.Now
	m.enter(s, discovering)
	m.sendDiscover(s)
}

// Receive takes a datagram that was sent to the machine, by broadcast or to its address.
func (m *Machine) Receive(s *Step, d Datagram) {
	switch m.state {
	case discovering:
		m.receiveOffer(s, d)
	case requesting:
		m.receiveACK(s, d)
	case asking:
		m.receiveBootServer(s, d)
	case loading:
		m.receiveTFTP(s, d)
	}
}

// Expire is for the time that Due names.
func (m *Machine) Expire(s *Step) {
	m.due = never
	switch m.state {
	case discovering:
		if choices[m.Profile.Choice].decide(m, s.Now-m.since, true) {
			m.sendFirstRequest(s)
			return
		}
		if m.again(&m.Profile.Discover) {
			m.sendDiscover(s)
			return
		}
		m.fail(s, m.noOffer())
	case requesting:
		if m.again(&m.Profile.Request) {
			m.sendRequest(s)
			return
		}
		m.fail(s, "no ACK")
	case asking:
		m.expireBootServer(s)
	case loading:
		m.expireTFTP(s)
	}
}

// Unreachable is for an ICMP error about a datagram from one of the machine's ports.
func (m *Machine) Unreachable(s *Step, port uint16) {
	switch {
	case m.Profile.IgnoreICMP:
	case m.state == asking && port == m.Profile.BootServer.Port:
		m.fail(s, "4011: ICMP unreachable")
	case m.state == loading && port == m.download.port:
		m.download.client.Unreachable(s.Now)
		m.proceed(s)
	}
}

// GiveUp ends a machine that has no more time.
func (m *Machine) GiveUp(s *Step) {
	if m.state != done {
		m.fail(s, "deadline, "+stateNames[m.state])
	}
}

var stateNames = [...]string{off: "not switched on", discovering: "waiting for offers", requesting: "waiting for the ACK",
	asking: "waiting on 4011", loading: "downloading", done: "done"}

func (m *Machine) enter(s *Step, to state) { m.state, m.since, m.try, m.due = to, s.Now, 0, never }

// again goes to the next try; false: there is none.
func (m *Machine) again(t *Tries) bool {
	m.try++
	if m.try >= len(t.Waits) {
		return false
	}
	m.Retries++
	return true
}

func (m *Machine) fail(s *Step, why string) {
	m.Failure = why
	m.end(s)
}

func (m *Machine) end(s *Step) {
	m.enter(s, done)
	m.Ended = s.Now
	m.offers, m.lease, m.plan = nil, nil, nil
}

// newXID makes the next transaction id. They differ between machines and
// between a machine's transactions, and are the same in each run.
func (m *Machine) newXID() {
	m.xid = m.xid*0x01000193 + uint32(m.ID)*0x9e3779b1 + 0x7f4a7c15
}

// mine reports whether a payload is a DHCP reply to the request that the
// machine waits for an answer to. All firmware ignores others.
func (m *Machine) mine(p []byte) bool {
	return len(p) >= 240 && p[0] == 2 && binary.BigEndian.Uint32(p[4:]) == m.xid && bytes.Equal(p[28:34], m.MAC[:])
}

func (m *Machine) receiveOffer(s *Step, d Datagram) {
	if d.Dst.Port() != packet.PortDHCPClient || !m.mine(d.Payload) {
		return
	}
	d.Payload = bytes.Clone(d.Payload) // an offer is kept until the choice is made
	c := choices[m.Profile.Choice]
	o, err := c.judge(m, s, d)
	if err != nil {
		m.refused = err
		return
	}
	if len(m.offers) == maxOffers {
		return
	}
	m.offers = append(m.offers, o)
	if m.Offered == 0 {
		m.Offered = s.Now
	}
	if c.decide(m, s.Now-m.since, false) {
		m.sendFirstRequest(s)
	}
}

// maxOffers is how many a firmware keeps (edk2's PXEBC_OFFER_MAX_NUM).
const maxOffers = 16

// noOffer says why the last DISCOVER came to nothing.
func (m *Machine) noOffer() string {
	lease := false
	for _, o := range m.offers {
		lease = lease || o.leases()
	}
	switch {
	case m.refused != nil:
		return "offer refused: " + m.refused.Error()
	case len(m.offers) == 0:
		return "no offer"
	case !lease:
		return "no address offered"
	}
	return "no boot server's offer"
}

// receiveACK takes the DHCP server's answer to the REQUEST (Dhcp4Io.c DhcpHandleRequest).
func (m *Machine) receiveACK(s *Step, d Datagram) {
	if d.Dst.Port() != packet.PortDHCPClient || !m.mine(d.Payload) || s.view.Parse(d.Payload) != packet.Answered {
		return
	}
	v := &s.view
	id := v.Option(optServerID)
	if len(id) != 4 || netip.AddrFrom4([4]byte(id)) != m.lease.ServerID {
		return
	}
	switch kind, _ := v.Type(); {
	case kind == dhcp.TypeNAK && m.Profile.NAK == nakDiscover && m.naks < maxNAKs:
		m.naks++
		m.Retries++
		m.offers = nil
		m.enter(s, discovering)
		m.sendDiscover(s)
		return
	case kind == dhcp.TypeNAK:
		m.fail(s, "NAK")
		return
	case kind != dhcp.TypeACK:
		return
	case v.YourIP() != m.lease.YourIP:
		m.fail(s, "ACK of another address than was offered")
		return
	}
	m.configure(v)
	m.Acked = s.Now
	m.start(s)
}

// What a profile says of a NAK, and after how many a machine gives up all the
// same: a server that refuses what it offers would keep it for ever.
const (
	nakDiscover = "discover"
	maxNAKs     = 8
)

// configure takes the lease over. Without a mask everything is on the link.
func (m *Machine) configure(v *dhcp.View) {
	m.Addr, m.Net, m.Router = v.YourIP(), netip.Prefix{}, netip.Addr{}
	if mask := v.Option(optSubnetMask); len(mask) == 4 {
		if bits, ok := prefixBits(binary.BigEndian.Uint32(mask)); ok {
			m.Net = netip.PrefixFrom(m.Addr, bits).Masked()
		}
	}
	if r := v.Option(optRouter); len(r) >= 4 {
		m.Router = netip.AddrFrom4([4]byte(r))
	}
}

// NextHop is the neighbour that a datagram to an address goes to.
func (m *Machine) NextHop(to netip.Addr) netip.Addr {
	if m.Net.IsValid() && !m.Net.Contains(to) && m.Router.IsValid() {
		return m.Router
	}
	return to
}

// start begins with what the choice came to, now that there is an address.
func (m *Machine) start(s *Step) {
	switch {
	case m.failure != "":
		m.fail(s, m.failure)
	case len(m.plan) > 0 && len(m.Profile.BootServer.Waits) == 0:
		m.fail(s, "the offer names no boot file, and the profile has no boot-server to ask for one")
	case len(m.plan) > 0:
		m.ask(s)
	default:
		m.bootFrom(s, m.boot)
	}
}

const (
	optSubnetMask = 1
	optRouter     = 3
	optServerID   = 54
)

// prefixBits turns a mask into the length of a prefix.
func prefixBits(mask uint32) (bits int, ok bool) {
	for mask&0x80000000 != 0 {
		mask <<= 1
		bits++
	}
	return bits, mask == 0
}
