package bpf

import (
	"bytes"
	"strings"
)

// row is one frame, the state it meets, and how the program must end.
type row struct {
	name     string
	frame    func(*frame) // nil: an unchanged DISCOVER
	want     Reason
	settings *Settings // nil: both ports tee
	beat     *int64    // ns from now; nil: fresh
	noBeat   bool
	socket   bool // an AF_XDP socket on queue 0
	fillRing bool
	linear   uint32          // bytes in the first buffer; 0: all
	template func(*Template) // changes a template for the frame, which holds then
}

func off(ns int64) *int64 { return &ns }

func both(d Deliver) *Settings { return &Settings{Deliver67: d, Deliver4011: d} }

func unicast(ip [4]byte, mac [6]byte, tags ...uint32) func(*frame) {
	return func(f *frame) { f.DstIP, f.Dst, f.Tags = ip, mac, tags }
}

func withOptions(parts ...[]byte) func(*frame) {
	return func(f *frame) { f.Options = options(parts...) }
}

func class(text string) func(*frame) { return withOptions(opt(53, "\x01"), opt(60, text), end) }

var pxe = opt(60, "PXEClient:Arch:00000:UNDI:002001")

// many returns n two-byte options.
func many(n int) []byte { return bytes.Repeat(opt(12, ""), n) }

// lengthened pads the frame to n bytes behind IPv4.
func lengthened(n int) func(*frame) {
	return func(f *frame) { f.Trailer = make([]byte, n-len(f.bytes())) }
}

var rows = []row{
	// Heartbeat.
	{name: "never beaten", noBeat: true, want: HeartbeatStale},
	{name: "stale beat", beat: off(-testStale - 1e9), want: HeartbeatStale},
	{name: "beat of another CPU's clock, ahead of ours", beat: off(1e6), want: Teed},
	{name: "beat from the future", beat: off(3600e9), want: HeartbeatStale},
	{name: "stale beat before anything else", beat: off(-testStale - 1e9), frame: func(f *frame) { f.Cut = 14 }, want: HeartbeatStale},

	// Ethernet and VLAN.
	{name: "broadcast DISCOVER", want: Teed},
	{name: "ARP", frame: func(f *frame) { f.EtherType = 0x0806 }, want: NotIPv4},
	{name: "IPv6", frame: func(f *frame) { f.EtherType = 0x86dd }, want: NotIPv4},
	{name: "IEEE 802.3 length", frame: func(f *frame) { f.EtherType = 0x0100 }, want: NotIPv4},
	{name: "Ethernet header alone", frame: func(f *frame) { f.Cut = 14 }, want: ShortFrame},
	{name: "one tag", frame: func(f *frame) { f.Tags = []uint32{0x8100_6007} }, want: Teed},
	{name: "service tag", frame: func(f *frame) { f.Tags = []uint32{0x88a8_0007} }, want: Teed},
	{name: "two tags", frame: func(f *frame) { f.Tags = []uint32{0x88a8_0005, 0x8100_0006} }, want: Teed},
	{name: "two customer tags", frame: func(f *frame) { f.Tags = []uint32{0x8100_0005, 0x8100_0006} }, want: Teed},
	{name: "three tags", frame: func(f *frame) { f.Tags = []uint32{0x88a8_0005, 0x8100_0006, 0x8100_0007} }, want: VLANDepth},
	{name: "pre-standard QinQ type", frame: func(f *frame) { f.Tags = []uint32{0x9100_0005} }, want: NotIPv4},
	{name: "cut in the first tag", frame: func(f *frame) { f.Tags, f.Cut = []uint32{0x8100_0007}, 16 }, want: ShortFrame},
	{name: "cut in the second tag", frame: func(f *frame) { f.Tags, f.Cut = []uint32{0x8100_0007, 0x8100_0008}, 21 }, want: ShortFrame},
	{name: "tagged ARP", frame: func(f *frame) { f.Tags, f.EtherType = []uint32{0x8100_0007}, 0x0806 }, want: NotIPv4},

	// IPv4 and UDP.
	{name: "cut in the IPv4 header", frame: func(f *frame) { f.Cut = 14 + 19 }, want: ShortFrame},
	{name: "cut in the UDP header", frame: func(f *frame) { f.Cut = 14 + 20 + 7 }, want: ShortFrame},
	{name: "header not in the first buffer", linear: 40, want: ShortFrame},
	{name: "version 6", frame: func(f *frame) { f.VersionIHL = 0x65 }, want: NotIPv4},
	{name: "TCP", frame: func(f *frame) { f.Protocol = 6 }, want: NotUDP},
	{name: "router alert", frame: func(f *frame) { f.VersionIHL, f.IPOptions = 0x46, []byte{148, 4, 0, 0} }, want: IPOptions},
	{name: "header length of 16", frame: func(f *frame) { f.VersionIHL = 0x44 }, want: IPOptions},
	{name: "first fragment", frame: func(f *frame) { f.FragOff = 0x2000 }, want: Fragment},
	{name: "last fragment", frame: func(f *frame) { f.FragOff = 0x0010 }, want: Fragment},
	{name: "do not fragment", frame: func(f *frame) { f.FragOff = 0x4000 }, want: Teed},
	{name: "DNS", frame: func(f *frame) { f.DstPort = 53 }, want: OtherPort},
	{name: "reply to a client", frame: func(f *frame) { f.DstPort = 68 }, want: OtherPort},
	{name: "TFTP", frame: func(f *frame) { f.DstPort = 69 }, want: OtherPort},
	{name: "source port 67, as relays use", frame: func(f *frame) { f.SrcPort = 67 }, want: Teed},
	{name: "wrong IPv4 checksum", frame: func(f *frame) { f.CheckXor = 1 }, want: BadChecksum},
	{name: "no UDP checksum", frame: func(f *frame) { f.UDPCheck = 0 }, want: Teed},
	{name: "IPv4 longer than the frame", frame: func(f *frame) { f.Cut = len(f.bytes()) - 1 }, want: BadLength},
	{name: "tagged, IPv4 longer than the frame", frame: func(f *frame) { f.Tags = []uint32{0x8100_0007}; f.Cut = len(f.bytes()) - 1 }, want: BadLength},
	{name: "UDP longer than IPv4", frame: func(f *frame) { f.UDPLenAdd, f.Trailer = 1, pads(8) }, want: BadLength},
	{name: "UDP shorter than its header", frame: func(f *frame) { f.UDPLenAdd = 7 - (8 + len(f.message())) }, want: BadLength},
	{name: "IPv4 shorter than UDP", frame: func(f *frame) { f.IPLenAdd = -1 }, want: BadLength},
	{name: "IPv4 length 0", frame: func(f *frame) { f.IPLenAdd = -(28 + len(f.message())) }, want: BadLength},
	{name: "IPv4 longer than UDP", frame: func(f *frame) { f.Slack = 3 }, want: Teed},
	{name: "Ethernet padding", frame: func(f *frame) { f.Trailer = pads(5) }, want: Teed},
	{name: "longest frame", frame: lengthened(MaxFrame), want: Teed},
	{name: "longer frame", frame: lengthened(MaxFrame + 1), want: TooLong},
	{name: "jumbo frame in several buffers", frame: lengthened(9000), want: TooLong},
	{name: "short frame in several buffers", linear: 100, want: TooLong},

	// For us.
	{name: "unicast to 4011", frame: func(f *frame) { *f = *bootServerRequest() }, want: Teed},
	{name: "unicast to 67, relayed", frame: unicast(ourIP, ourMAC), want: Teed},
	{name: "broadcast to 4011", frame: func(f *frame) { f.DstPort = 4011 }, want: Teed},
	{name: "our address, another MAC", frame: unicast(ourIP, clientMAC), want: NotForUs},
	{name: "our address, broadcast MAC", frame: unicast(ourIP, broadcastMAC), want: NotForUs},
	{name: "broadcast address, our MAC", frame: func(f *frame) { f.Dst = ourMAC }, want: NotForUs},
	{name: "another address", frame: unicast([4]byte{192, 0, 2, 11}, ourMAC), want: NotForUs},
	{name: "directed broadcast", frame: unicast([4]byte{192, 0, 2, 255}, broadcastMAC), want: Teed},
	{name: "directed broadcast of another network", frame: unicast([4]byte{203, 0, 113, 255}, broadcastMAC), want: NotForUs},
	{name: "multicast", frame: unicast([4]byte{224, 0, 1, 2}, [6]byte{1, 0, 0x5e, 0, 1, 2}), want: NotForUs},
	{name: "our address, priority tag", frame: unicast(ourIP, ourMAC, 0x8100_e000), want: Teed},
	{name: "our address, VLAN of another", frame: unicast(ourIP, ourMAC, 0x8100_0007), want: NotForUs},
	{name: "address of VLAN 7", frame: unicast([4]byte{198, 51, 100, 1}, ourMAC, 0x8100_2007), want: Teed},
	{name: "address of VLAN 7 behind a priority tag", frame: unicast([4]byte{198, 51, 100, 1}, ourMAC, 0x8100_e000, 0x8100_2007), want: Teed},
	{name: "address of VLAN 7, untagged", frame: unicast([4]byte{198, 51, 100, 1}, ourMAC), want: NotForUs},
	{name: "address of VLAN 7, deeper", frame: unicast([4]byte{198, 51, 100, 1}, ourMAC, 0x8100_0007, 0x8100_0008), want: NotForUs},
	{name: "address of VLAN 6 in 5", frame: unicast([4]byte{198, 51, 100, 2}, ourMAC, 0x88a8_0005, 0x8100_0006), want: Teed},
	{name: "address of VLAN 5 in 6", frame: unicast([4]byte{198, 51, 100, 2}, ourMAC, 0x88a8_0006, 0x8100_0005), want: NotForUs},
	{name: "any-VLAN address, untagged", frame: unicast([4]byte{192, 0, 2, 99}, ourMAC), want: Teed},
	{name: "any-VLAN address, tagged", frame: unicast([4]byte{192, 0, 2, 99}, ourMAC, 0x8100_0bcd), want: Teed},
	{name: "any-VLAN address, another MAC", frame: unicast([4]byte{192, 0, 2, 99}, clientMAC), want: NotForUs},

	// BOOTP.
	{name: "one byte too short", frame: func(f *frame) { f.Options, f.MessageCut = nil, 1 }, want: ShortMessage},
	{name: "empty datagram", frame: func(f *frame) { f.Options, f.MessageCut = nil, 240 }, want: ShortMessage},
	{name: "tagged, one byte too short", frame: func(f *frame) { f.Tags, f.Options, f.MessageCut = []uint32{0x8100_0007}, nil, 1 }, want: ShortMessage},
	{name: "a server's reply", frame: func(f *frame) { f.Op = 2 }, want: NotRequest},
	{name: "op 0", frame: func(f *frame) { f.Op = 0 }, want: NotRequest},
	{name: "no magic", frame: func(f *frame) { f.Magic = [4]byte{} }, want: BadMagic},
	{name: "last byte of the magic", frame: func(f *frame) { f.Magic[3]++ }, want: BadMagic},
	{name: "first byte of the magic", frame: func(f *frame) { f.Magic[0]++ }, want: BadMagic},
	{name: "no options", frame: withOptions(), want: NoClass},

	// Options.
	{name: "no class", frame: withOptions(opt(53, "\x01"), end), want: NoClass},
	{name: "class behind the end", frame: withOptions(opt(53, "\x01"), end, pxe), want: NoClass},
	{name: "class text inside another option", frame: withOptions(opt(12, string(pxe)), end), want: NoClass},
	{name: "class first", frame: withOptions(pxe, opt(53, "\x01"), end), want: Teed},
	{name: "class last, no end", frame: withOptions(opt(53, "\x01"), pxe), want: Teed},
	{name: "pads around", frame: withOptions(pads(3), opt(53, "\x01"), pads(2), pxe, pads(1), end, pads(40)), want: Teed},
	{name: "a long run of pads", frame: withOptions(pads(1200), pxe), want: Teed},
	{name: "nothing but pads", frame: withOptions(pads(1254)), want: NoClass},
	{name: "class behind long options", frame: withOptions(opt(12, strings.Repeat("x", 255)), opt(43, strings.Repeat("y", 255)), opt(43, strings.Repeat("z", 255)), pxe, end), want: Teed},
	{name: "length over the end", frame: withOptions(opt(53, "\x01"), pxe[:len(pxe)-1]), want: Malformed},
	{name: "code without length", frame: withOptions(pxe, []byte{12}), want: Malformed},
	{name: "malformed behind the class", frame: withOptions(pxe, []byte{12, 5, 'a'}), want: Malformed},
	{name: "padding is not part of the message", frame: func(f *frame) { withOptions(pxe, []byte{12, 5, 'a'})(f); f.Trailer = pads(20) }, want: Malformed},
	{name: "IPv4 behind UDP is not part of the message", frame: func(f *frame) { withOptions(pxe, []byte{12, 5, 'a'})(f); f.Slack = 20 }, want: Malformed},
	{name: "pads to the end of file, class at the start of sname", frame: func(f *frame) { withOptions(opt(52, "\x03"))(f); f.Sname = pxe }, want: Teed},
	{name: "eight pads before an option", frame: withOptions(pads(8), pxe, pads(8), end), want: Teed},
	{name: "seven pads before an option", frame: withOptions(pads(7), pxe, pads(7), end), want: Teed},
	{name: "an empty class among pads", frame: withOptions(pads(1), opt(60, ""), pads(6), pxe), want: OtherClass},
	{name: "garbage behind the end", frame: withOptions(pxe, end, []byte{12, 99}), want: Teed},
	{name: "64 options", frame: withOptions(many(MaxOptions-1), pxe, end), want: Teed},
	{name: "64 options, pads between", frame: withOptions(many(MaxOptions-1), pads(100), pxe), want: Teed},
	{name: "65 options", frame: withOptions(many(MaxOptions), pxe, end), want: TooManyOptions},
	{name: "65 options, class first", frame: withOptions(pxe, many(MaxOptions), end), want: TooManyOptions},

	// Overload.
	{name: "class in file", frame: func(f *frame) { withOptions(opt(52, "\x01"), end)(f); f.File = options(pxe, end) }, want: Teed},
	{name: "class in sname", frame: func(f *frame) { withOptions(opt(52, "\x02"), end)(f); f.Sname = options(pxe, end) }, want: Teed},
	{name: "class in sname of both", frame: func(f *frame) { withOptions(opt(52, "\x03"), end)(f); f.File, f.Sname = end, pxe }, want: Teed},
	{name: "file before sname", frame: func(f *frame) {
		withOptions(opt(52, "\x03"), end)(f)
		f.File, f.Sname = opt(60, "MSFT 5.0"), pxe
	}, want: OtherClass},
	{name: "options before file", frame: func(f *frame) { withOptions(opt(52, "\x01"), pxe)(f); f.File = opt(60, "MSFT 5.0") }, want: Teed},
	{name: "file not overloaded", frame: func(f *frame) { withOptions(opt(52, "\x02"), end)(f); f.File = options(pxe, end) }, want: NoClass},
	{name: "no overload", frame: func(f *frame) { withOptions(opt(53, "\x01"), end)(f); f.File = pxe }, want: NoClass},
	{name: "overload in file is none", frame: func(f *frame) {
		withOptions(opt(52, "\x01"), end)(f)
		f.File, f.Sname = options(opt(52, "\x02"), end), pxe
	}, want: NoClass},
	{name: "file overruns", frame: func(f *frame) {
		withOptions(opt(52, "\x01"), pxe)(f)
		f.File = options(opt(12, strings.Repeat("x", 120)), []byte{12, 5, 'a'})
	}, want: Malformed},
	{name: "sname overruns into file", frame: func(f *frame) {
		withOptions(opt(52, "\x02"), end)(f)
		f.Sname = options(opt(12, strings.Repeat("x", 59)), []byte{60, 9})
		f.File = []byte("PXEClient")
	}, want: Malformed},
	{name: "overload 0", frame: withOptions(opt(52, "\x00"), pxe), want: Malformed},
	{name: "overload 4", frame: withOptions(opt(52, "\x04"), pxe), want: Malformed},
	{name: "overload of two bytes", frame: withOptions(opt(52, "\x01\x01"), pxe), want: Malformed},
	{name: "overload of no bytes", frame: withOptions(opt(52, ""), pxe), want: Malformed},
	{name: "65 options over all fields", frame: func(f *frame) {
		withOptions(opt(52, "\x03"), many(40))(f)
		f.File, f.Sname = many(23), options(opt(12, ""), pxe)
	}, want: TooManyOptions},

	// Vendor class.
	{name: "HTTP client", frame: class("HTTPClient:Arch:00016:UNDI:003001"), want: Teed},
	{name: "bare PXEClient", frame: class("PXEClient"), want: Teed},
	{name: "longest class", frame: class("PXEClient" + strings.Repeat("x", 246)), want: Teed},
	{name: "PXEClien", frame: class("PXEClien"), want: OtherClass},
	{name: "pxeclient", frame: class("pxeclient:Arch:00000"), want: OtherClass},
	{name: "PXEClienT", frame: class("PXEClienT:Arch:00000"), want: OtherClass},
	{name: "Windows", frame: class("MSFT 5.0"), want: OtherClass},
	{name: "PXEClient not at the start", frame: class("xPXEClient"), want: OtherClass},
	{name: "empty class", frame: class(""), want: OtherClass},
	{name: "first of two classes", frame: withOptions(opt(60, "MSFT 5.0"), pxe, end), want: OtherClass},
	{name: "class before another", frame: withOptions(pxe, opt(60, "MSFT 5.0"), end), want: Teed},

	// Steering.
	{name: "67 not steered", settings: &Settings{Deliver67: DeliverNone, Deliver4011: DeliverXSK}, want: NotSteered},
	{name: "4011 not steered", settings: &Settings{Deliver67: DeliverXSK, Deliver4011: DeliverNone}, frame: func(f *frame) { f.DstPort = 4011 }, want: NotSteered},
	{name: "unknown way", settings: both(99), want: NotSteered},
	{name: "67 to a socket, 4011 to the ring", settings: &Settings{Deliver67: DeliverXSK, Deliver4011: DeliverRingSteal}, socket: true, want: Redirected},
	{name: "4011 to a socket, 67 to the ring", settings: &Settings{Deliver67: DeliverRingTee, Deliver4011: DeliverXSK}, socket: true, frame: func(f *frame) { *f = *bootServerRequest() }, want: Redirected},
	{name: "tagged to a socket", settings: both(DeliverXSK), socket: true, frame: func(f *frame) { f.Tags = []uint32{0x8100_0007} }, want: Redirected},
	{name: "no socket", settings: both(DeliverXSK), want: NoSocket},
	{name: "steal", settings: both(DeliverRingSteal), want: Stolen},
	{name: "tee", settings: both(DeliverRingTee), want: Teed},
	{name: "steal, Ethernet padding", settings: both(DeliverRingSteal), frame: func(f *frame) { f.Trailer = pads(5) }, want: Stolen},
	{name: "steal, ring full", settings: both(DeliverRingSteal), fillRing: true, want: RingFull},
	{name: "tee, ring full", settings: both(DeliverRingTee), fillRing: true, want: RingFull},
	{name: "socket, another class", settings: both(DeliverXSK), socket: true, frame: class("MSFT 5.0"), want: OtherClass},
	{name: "steal, another class", settings: both(DeliverRingSteal), frame: class("MSFT 5.0"), want: OtherClass},
	{name: "steal, malformed", settings: both(DeliverRingSteal), frame: withOptions(pxe, []byte{12}), want: Malformed},

	// Templates; more in template_test.go.
	{name: "answered", settings: &answering, template: func(*Template) {}, want: Answered},
	{name: "ignored", settings: both(DeliverXSK), template: silence, want: Ignored},
	{name: "ignored where others see it", template: silence, want: IgnoredTeed},
	{name: "template, but the daemon is dead", beat: off(-testStale - 1e9), template: silence, want: HeartbeatStale},
	{name: "template, not steered", settings: both(DeliverNone), template: silence, want: NotSteered},
	{name: "template, frame in two buffers", settings: &answering, template: func(*Template) {}, linear: 300, want: Stolen},
	{name: "template for another", settings: &answering, template: func(t *Template) { t.Dst[0]++ }, want: Stolen},
}

func silence(t *Template) { t.Reply, t.Echoes = nil, nil }

func (r *row) request() *frame {
	f := discover()
	if r.frame != nil {
		r.frame(f)
	}
	return f
}

func (r *row) bytes() []byte { return r.request().bytes() }
