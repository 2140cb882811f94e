package bpf

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// generation is that of the templates in these tests.
const generation = 7

var routerMAC = [6]byte{0x02, 0, 0x5e, 0, 0, 0x99}

// templateFor makes a template for requests like f, with the freedom that a
// server leaves them, and a reply with its echoes at the offsets that follow
// from pad bytes in front of them.
func templateFor(f *frame, pad int) *Template {
	message := f.message()
	t := &Template{
		Generation: generation, Tag: 0xabcd, Outcome: 33,
		Port: f.DstPort, VIDs: f.vids(), Dst: f.DstIP,
		Request: message, Mask: bytes.Repeat([]byte{0xff}, len(message)),
		SrcMAC: ourMAC, SrcIP: ourIP, SrcPort: f.DstPort,
	}
	free := func(from, n int) { clear(t.Mask[from : from+n]) }
	free(offXID, 6) // and secs
	free(offCHAddr, chaddrLen)
	reply := make([]byte, bootpLen, MaxMessage)
	reply[0], reply[1], reply[2] = 2, 1, 6
	copy(reply[offGIAddr:offCHAddr], message[offGIAddr:])
	copy(reply[20:], ourIP[:])
	copy(reply[108:], "boot/x64/snponly.efi")
	copy(reply[bootpLen-4:], "\x63\x82\x53\x63")
	reply = append(reply, options(opt(53, "\x02"), opt(54, string(ourIP[:])), opt(60, "PXEClient"), opt(12, string(pads(pad))))...)
	echo := func(code byte, from, n int) {
		t.Echoes = append(t.Echoes, Echo{From: uint16(from), To: uint16(len(reply) + 2), Len: uint16(n)})
		reply = append(reply, opt(code, string(message[from:from+n]))...)
	}
	for at := bootpLen; at < len(message) && message[at] != 255; {
		if message[at] == 0 {
			at++
			continue
		}
		code, n, data := message[at], int(message[at+1]), at+2
		switch {
		case code == 97 && n == 17 && message[data] == 0:
			t.UUIDAt = data + 1
			free(data+1, uuidLen)
			echo(code, data, n)
		case code == 61:
			free(data, n)
			echo(code, data, n)
		case code == 82:
			for sub := data; sub < data+n; sub += 2 + int(message[sub+1]) {
				if message[sub] <= 2 {
					free(sub+2, int(message[sub+1]))
				}
			}
			echo(code, data, n)
		}
		at = data + n
	}
	t.Reply = append(reply, 255)
	if n := 300 - len(t.Reply); n > 0 {
		t.Reply = append(t.Reply, make([]byte, n)...)
	}
	relay := [4]byte(message[offGIAddr:])
	switch {
	case t.Port == portBINL:
		free(offCIAddr, 4)
		t.Networks, t.Own = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4(ourIP), 24)}, ourIP
	case relay != [4]byte{}:
		t.DstIP, t.DstPort = relay, 67
	default:
		t.Broadcast, t.DstIP, t.DstPort = true, [4]byte{255, 255, 255, 255}, 68
	}
	return t
}

func (f *frame) vids() (vids [2]uint16) {
	n := 0
	for _, tag := range f.Tags {
		if vid := uint16(tag & 0xfff); vid != 0 {
			vids[n] = vid
			n++
		}
	}
	return vids
}

// hold puts templates into the maps, each in slots of its own.
func (k *kernel) hold(tb testing.TB, templates ...*Template) {
	tb.Helper()
	for i := range LengthIndex(portBINL, MaxMessage) + 1 {
		k.put(tb, LengthsMap, i, Length{})
	}
	lengths := map[uint32]Length{}
	for i, t := range templates {
		if err := t.Check(); err != nil {
			tb.Fatal(err)
		}
		slot := uint32(i)
		layout := t.Layout()
		for j := range layout.Key {
			layout.Key[j] = rand.Uint64()
		}
		k.put(tb, LayoutsMap, slot, &layout)
		v := Verdict{Tag: t.Tag, Outcome: t.Outcome}
		if t.Reply != nil {
			k.put(tb, RepliesMap, slot, t.Image())
			v.Reply = uint16(slot) + 1
		}
		p := t.Pattern(uint16(slot))
		if t.Exact {
			k.put(tb, ExactMap, t.Identity(slot), ExactValue{t.Generation, v})
		} else {
			p.Verdict = v
		}
		k.put(tb, PatternsMap, slot, p)
		k.put(tb, IndexMap, p.Hash(&layout), slot)
		at := LengthIndex(t.Port, len(t.Request))
		l := lengths[at]
		l.Layout[slices.Index(l.Layout[:], 0)] = uint16(slot) + 1
		lengths[at] = l
		k.put(tb, LengthsMap, at, l)
	}
	k.put(tb, GenerationMap, uint32(0), uint64(generation))
}

// answering lets templates answer where requests go to the ring buffer.
var answering = Settings{Deliver67: DeliverRingSteal, Deliver4011: DeliverRingSteal, Answer67: 1, Answer4011: 1}

func (k *kernel) outcome(tb testing.TB, i uint32) (n uint64) {
	tb.Helper()
	var perCPU []uint64
	if err := k.Maps[OutcomesMap].Lookup(i, &perCPU); err != nil {
		tb.Fatal(err)
	}
	for _, c := range perCPU {
		n += c
	}
	return n
}

// agree runs a frame and wants the program to do what Apply says, or else want.
func (k *kernel) agree(tb testing.TB, t *Template, in []byte, want Reason) (Reason, []byte) {
	tb.Helper()
	reply, ok := t.Apply(in)
	before := k.outcome(tb, uint32(t.Outcome))
	got, out := k.answer(tb, in, nil)
	counted := k.outcome(tb, uint32(t.Outcome)) - before
	switch {
	case ok && reply != nil:
		want = Answered
		if !bytes.Equal(out, reply) {
			tb.Errorf("reply\n%x, want\n%x", out, reply)
		}
	case ok:
		want = Ignored
	}
	if got != want {
		tb.Fatalf("ended in %v, want %v\n%x", got, want, in)
	}
	if got != Answered && !bytes.Equal(out, in) {
		tb.Errorf("%v, but the frame was changed", got)
	}
	if (counted == 1) != ok || counted > 1 {
		tb.Errorf("%v: outcome counted %d times", got, counted)
	}
	return got, out
}

// relayed makes a request one that a relay sent on.
func relayed(f *frame) {
	f.Dst, f.Src, f.SrcIP, f.SrcPort, f.DstIP = ourMAC, routerMAC, [4]byte{203, 0, 113, 1}, 67, ourIP
	f.GIAddr = [4]byte{203, 0, 113, 1}
	f.Options = options(f.Options[:len(f.Options)-1], opt(82, "\x01\x03eth\x02\x05agent\x09\x02xx"), end)
}

func boot(f *frame) { *f = *bootServerRequest() }

// requests are what templates are made for here, with what Apply must find.
var requests = []struct {
	name  string
	frame func(*frame)
}{
	{"flat", func(*frame) {}},
	{"option 61 of odd length", func(f *frame) { f.Options = options(opt(61, "\x01abcdef"), f.Options) }},
	{"option 61 of 255 bytes", func(f *frame) {
		f.Options = options(opt(61, string(bytes.Repeat([]byte("x"), 255))), opt(60, "PXEClient"), end)
	}},
	{"relayed", relayed},
	{"relayed, with option 61", func(f *frame) { f.Options = options(opt(61, "\x01abc"), f.Options); relayed(f) }},
	{"4011", boot},
	{"one tag", func(f *frame) { f.Tags = []uint32{0x8100_6007} }},
	{"two tags", func(f *frame) { f.Tags = []uint32{0x88a8_0005, 0x8100_0006} }},
	{"priority tag", func(f *frame) { f.Tags = []uint32{0x8100_e000} }},
	{"priority tag and one tag, 4011", func(f *frame) {
		boot(f)
		f.DstIP = [4]byte{198, 51, 100, 1}
		f.Tags = []uint32{0x8100_e000, 0x8100_0007}
	}},
	{"no UUID", func(f *frame) { f.Options = options(opt(53, "\x01"), opt(60, "PXEClient"), end) }},
	{"Ethernet padding", func(f *frame) { f.Trailer = pads(300) }},
	{"slack behind UDP", func(f *frame) { f.Slack = 33 }},
	{"shortest message", func(f *frame) { f.Options = nil }},
	{"longest message", func(f *frame) { f.Options = options(f.Options, pads(MaxMessage-240-len(f.Options))) }},
	{"server name and file", func(f *frame) { f.Sname, f.File = []byte("server"), []byte("file") }},
}

func request(change func(*frame)) *frame {
	f := discover()
	change(f)
	return f
}

// TestTemplates: each kind of request is answered, at even and odd offsets of
// the echoes, with the client's own put in, and ignored where that is the answer.
func TestTemplates(t *testing.T) {
	k := loadKernel(t, testStale, testRing)
	k.steer(t, answering)
	for _, c := range requests {
		t.Run(c.name, func(t *testing.T) {
			f := request(c.frame)
			for pad := range 2 {
				tpl := templateFor(f, pad)
				k.hold(t, tpl)
				for range 20 {
					in := f.bytes()
					at := len(in) - len(f.Trailer) - f.Slack - len(f.message())
					for i, m := range tpl.Mask {
						if m == 0 {
							in[at+i] = byte(rand.Uint32())
						}
					}
					if f.DstPort == portBINL {
						clear(in[at+offCIAddr : at+offCIAddr+4])
					}
					k.beat(t, 0)
					if got, _ := k.agree(t, tpl, in, Stolen); got != Answered {
						t.Fatalf("ended in %v", got)
					}
				}
				tpl.Reply, tpl.Echoes = nil, nil
				k.hold(t, tpl)
				if got, _ := k.agree(t, tpl, f.bytes(), Stolen); got != Ignored {
					t.Fatalf("ended in %v", got)
				}
			}
		})
	}
}

// TestEveryByteCounts flips each byte of a request in turn: it is answered only
// where the byte is left out, and with the byte where the reply repeats it.
func TestEveryByteCounts(t *testing.T) {
	k := loadKernel(t, testStale, 1<<20)
	k.steer(t, answering)
	for _, c := range requests {
		if c.name == "shortest message" || c.name == "longest message" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			f := request(c.frame)
			tpl := templateFor(f, 1)
			k.hold(t, tpl)
			good := f.bytes()
			at := len(good) - len(f.Trailer) - f.Slack - len(f.message())
			rd := k.records(t)
			for i, m := range tpl.Mask {
				in := bytes.Clone(good)
				in[at+i] ^= byte(1 << (i % 8))
				k.beat(t, 0)
				k.put(t, GenerationMap, uint32(0), uint64(0))
				without := k.run(t, in, nil)
				k.put(t, GenerationMap, uint32(0), uint64(generation))
				got, _ := k.agree(t, tpl, in, without)
				// Another ciaddr than the source is for tier 1.
				own := m == 0 && (tpl.Port == portDHCP || i < offCIAddr || i >= offCIAddr+4)
				if (got == Answered) != own {
					t.Fatalf("byte %d, mask %#x: ended in %v", i, m, got)
				}
			}
			drain(t, rd)
		})
	}
}

// TestGoesUp: what a template is not for goes on to user space, untouched.
func TestGoesUp(t *testing.T) {
	k := loadKernel(t, testStale, 1<<20)
	none := [4]byte{}
	for _, c := range []struct {
		name     string
		request  func(*frame) // that the template is for
		frame    func(*frame) // what is changed in it then
		template func(*Template)
		settings *Settings
		want     Reason // Stolen if 0
	}{
		{name: "another port", frame: func(f *frame) { f.DstPort = 4011 }},
		{name: "longer than any template", frame: func(f *frame) { f.Options = options(f.Options, pads(MaxMessage+1-240-len(f.Options))) }},
		{name: "another length", frame: func(f *frame) { f.Options = append(bytes.Clone(f.Options), 0) }},
		{name: "a tag", frame: func(f *frame) { f.Tags = []uint32{0x8100_0007} }},
		{name: "another tag", request: func(f *frame) { f.Tags = []uint32{0x8100_0007} }, frame: func(f *frame) { f.Tags[0]++ }},
		{name: "no tag", request: func(f *frame) { f.Tags = []uint32{0x8100_0007} }, frame: func(f *frame) { f.Tags = nil }},
		{name: "tags the other way round", request: func(f *frame) { f.Tags = []uint32{0x8100_0005, 0x8100_0006} },
			frame: func(f *frame) { f.Tags = []uint32{0x8100_0006, 0x8100_0005} }},
		{name: "another destination", frame: func(f *frame) { f.Dst, f.DstIP = ourMAC, ourIP }},
		{name: "group source", frame: func(f *frame) { f.Src[0] |= 1 }},
		{name: "old generation", template: func(t *Template) { t.Generation-- }},
		{name: "next generation", template: func(t *Template) { t.Generation++ }},
		{name: "may not answer on 67", settings: &Settings{Deliver67: DeliverRingSteal, Answer4011: 1}},
		{name: "may not answer on 4011", request: boot, settings: &Settings{Deliver4011: DeliverRingSteal, Answer67: 1}},
		{name: "teed", settings: &Settings{Deliver67: DeliverRingTee, Answer67: 1}, want: Teed},
		{name: "source port 0", request: boot, frame: func(f *frame) { f.SrcPort = 0 }},
		{name: "another network", request: boot, frame: func(f *frame) { f.SrcIP = [4]byte{192, 0, 3, 77} }},
		{name: "first address", request: boot, frame: func(f *frame) { f.SrcIP = [4]byte{192, 0, 2, 0} }},
		{name: "last address", request: boot, frame: func(f *frame) { f.SrcIP = [4]byte{192, 0, 2, 255} }},
		{name: "our address", request: boot, frame: func(f *frame) { f.SrcIP = ourIP }},
		{name: "no address", request: boot, frame: func(f *frame) { f.SrcIP = none }},
		{name: "all ones", request: boot, frame: func(f *frame) { f.SrcIP = [4]byte{255, 255, 255, 255} }},
		{name: "another ciaddr", request: boot, frame: func(f *frame) { f.CIAddr = [4]byte{192, 0, 2, 78} }},
		{name: "no networks", request: boot, template: func(t *Template) { t.Networks = nil }},
		{name: "exact: another chaddr", template: exact(none), frame: func(f *frame) { f.Src[5]++ }},
		{name: "exact: another UUID", template: exact(none), frame: func(f *frame) { f.Options = bytes.Replace(f.Options, []byte("LLLL"), []byte("LLLX"), 1) }},
		{name: "exact: another source", request: boot, template: exact([4]byte{192, 0, 2, 77}), frame: func(f *frame) { f.SrcIP[3]++ }},
		{name: "exact: another ciaddr", request: boot, template: exact([4]byte{192, 0, 2, 77}), frame: func(f *frame) { f.CIAddr = f.SrcIP }},
		{name: "exact: old generation", template: func(t *Template) { exact(none)(t); t.Generation-- }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := discover()
			if c.request != nil {
				c.request(f)
			}
			tpl := templateFor(f, 0)
			k.hold(t, tpl)
			k.beat(t, 0)
			k.steer(t, answering)
			if got, _ := k.agree(t, tpl, f.bytes(), Stolen); got != Answered {
				t.Fatalf("unchanged: ended in %v", got)
			}
			if c.frame != nil {
				c.frame(f)
			}
			if c.template != nil {
				c.template(tpl)
			}
			k.hold(t, tpl)
			if c.settings != nil {
				k.steer(t, *c.settings)
			}
			if c.want == 0 {
				c.want = Stolen
			}
			if got := k.run(t, f.bytes(), nil); got != c.want {
				t.Errorf("ended in %v, want %v", got, c.want)
			}
		})
	}
}

// exact makes a template one for the machine of its request.
func exact(src [4]byte) func(*Template) {
	return func(t *Template) {
		t.Exact, t.Source, t.Networks, t.Own = true, src, nil, [4]byte{}
		t.CHAddr = [chaddrLen]byte(t.Request[offCHAddr:])
		if t.UUIDAt != 0 {
			t.UUID = [uuidLen]byte(t.Request[t.UUIDAt:])
		}
	}
}
