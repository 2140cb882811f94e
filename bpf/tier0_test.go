package bpf

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf/ringbuf"
)

// TestHashCollision: the index names another pattern's slot, as if two hashes
// were the same. The full comparison finds out.
func TestHashCollision(t *testing.T) {
	k := loadKernel(t, testStale, testRing)
	k.steer(t, answering)
	f := discover()
	for name, change := range map[string]func(*Pattern){
		"another byte":        func(p *Pattern) { p.Message[offSName]++ },
		"another last byte":   func(p *Pattern) { p.Message[p.Len-1]++ },
		"another layout":      func(p *Pattern) { p.Layout++ },
		"another port":        func(p *Pattern) { p.Port = portBINL },
		"another length":      func(p *Pattern) { p.Len-- },
		"another destination": func(p *Pattern) { p.Dst[3]-- },
		"another VLAN":        func(p *Pattern) { p.VID[0]++ },
		"another inner VLAN":  func(p *Pattern) { p.VID[1]++ },
		"nothing":             func(*Pattern) {},
	} {
		tpl := templateFor(f, 0)
		k.hold(t, tpl)
		p := tpl.Pattern(0)
		p.Verdict = Verdict{Tag: tpl.Tag, Outcome: tpl.Outcome, Reply: 1}
		change(p)
		k.put(t, PatternsMap, uint32(0), p)
		k.beat(t, 0)
		want := Stolen
		if name == "nothing" {
			want = Answered
		}
		if got, _ := k.answer(t, f.bytes(), nil); got != want {
			t.Errorf("%s: ended in %v, want %v", name, got, want)
		}
	}
}

// TestSeveralLayouts: messages of one length whose options stand in other
// places, each with a template of its own.
func TestSeveralLayouts(t *testing.T) {
	k := loadKernel(t, testStale, testRing)
	k.steer(t, answering)
	var templates []*Template
	var frames [][]byte
	for i := range MaxLayoutsOfLength {
		f := discover()
		f.Options = options(opt(97, "\x00LLLLDDDDEEEEFFFF"), opt(60, "PXEClient"), end)
		f.Options = options(opt(12, string(pads(i))), f.Options[:len(f.Options)-1], opt(13, string(pads(MaxLayoutsOfLength-i))), end)
		tpl := templateFor(f, i)
		tpl.Outcome = uint16(i)
		templates, frames = append(templates, tpl), append(frames, f.bytes())
	}
	k.hold(t, templates...)
	for i, in := range frames {
		k.beat(t, 0)
		k.agree(t, templates[i], in, Stolen)
	}
}

// TestDifferentialTemplates runs random templates on requests that are random
// where a template does not look, and on some that are random where it does.
func TestDifferentialTemplates(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	k := loadKernel(t, testStale, testRing)
	// To sockets that there are none of: no ring buffer to fill up.
	k.steer(t, Settings{Deliver67: DeliverXSK, Deliver4011: DeliverXSK, Answer67: 1, Answer4011: 1})
	k.put(t, AddrsMap, AddrKey{IP: ourIP, VID: [2]uint16{7}}, AddrValue{ourMAC})
	ends := map[Reason]int{}
	for range 150 {
		f := request(requests[rng.IntN(len(requests))].frame)
		f.Options = options(f.Options, pads(rng.IntN(MaxMessage-240-len(f.Options)+1)))
		tpl := randomTemplate(rng, f)
		k.hold(t, tpl)
		k.beat(t, 0)
		for range 20 {
			in := f.bytes()
			at := len(in) - len(f.Trailer) - f.Slack - len(f.message())
			for i, m := range tpl.Mask {
				// Not what the program itself looks at, nor options 60 and 82.
				if m == 0 && i > 0 && (i < 236 || i >= 240) {
					in[at+i] = byte(rng.Uint32())
				}
			}
			if rng.IntN(4) == 0 {
				in[at+4+rng.IntN(232)] ^= byte(1 << rng.IntN(8))
			}
			if f.DstPort == portBINL && rng.IntN(2) == 0 {
				copy(in[at+offCIAddr:at+offCIAddr+4], pads(4))
			}
			k.put(t, GenerationMap, uint32(0), uint64(0))
			without := k.run(t, in, nil)
			k.put(t, GenerationMap, uint32(0), uint64(generation))
			got, _ := k.agree(t, tpl, in, without)
			ends[got]++
		}
		if t.Failed() {
			t.Fatalf("seed %d: %+v", seed, tpl)
		}
	}
	for _, r := range []Reason{Answered, Ignored, NoSocket} {
		if ends[r] < 100 {
			t.Errorf("seed %d: %d runs ended in %v: %v", seed, ends[r], r, ends)
		}
	}
}

// randomTemplate makes a template for f that leaves out random bytes, and
// whose reply repeats random pieces.
func randomTemplate(rng *rand.Rand, f *frame) *Template {
	tpl := templateFor(f, 0)
	n := len(tpl.Request)
	for range rng.IntN(8) {
		i := rng.IntN(n)
		if i < wholeBegin || i >= wholeEnd {
			tpl.Mask[i] = 0
		}
	}
	tpl.Outcome = uint16(rng.IntN(MaxOutcomes))
	switch rng.IntN(4) {
	case 0:
		silence(tpl)
		return tpl
	case 1:
		if tpl.Port == portDHCP {
			exact([4]byte{})(tpl)
			for i := range chaddrLen {
				tpl.Mask[offCHAddr+i] = byte(-rng.IntN(2)) // else hardly any request is the machine's
			}
			if rng.IntN(2) == 0 {
				tpl.Mask = append(tpl.Mask[:0], bytes.Repeat([]byte{0xff}, n)...)
			}
		}
	}
	tpl.Networks = nil
	if tpl.Port == portBINL {
		for i := range 1 + rng.IntN(MaxNetworks) {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(i), 64}), 20+rng.IntN(13))
			tpl.Networks = append(tpl.Networks, p)
		}
	}
	reply := make([]byte, 240+rng.IntN(MaxMessage-240+1))
	for i := range reply {
		reply[i] = byte(rng.Uint32())
	}
	tpl.Reply, tpl.Echoes = reply, nil
	at := bootpLen
	for range rng.IntN(MaxEchoes + 1) {
		at += rng.IntN(20)
		size := 1 + rng.IntN(min(255, n))
		if at+size > len(reply) {
			break
		}
		tpl.Echoes = append(tpl.Echoes, Echo{From: uint16(rng.IntN(n - size + 1)), To: uint16(at), Len: uint16(size)})
		at += size
	}
	return tpl
}

// events opens the ring buffer of events.
func (k *kernel) events(tb testing.TB) *ringbuf.Reader {
	tb.Helper()
	rd, err := ringbuf.NewReader(k.Maps[EventsMap])
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { rd.Close() })
	return rd
}

func TestEvents(t *testing.T) {
	k := loadKernel(t, testStale, testRing)
	rd := k.events(t)
	k.steer(t, answering)
	for name, change := range map[string]func(*frame){
		"flat": func(*frame) {}, "relayed": relayed, "4011": boot,
		"tagged":  func(f *frame) { f.Tags = []uint32{0x88a8_0005, 0x8100_0006} },
		"no UUID": func(f *frame) { f.Options = options(opt(60, "PXEClient"), end) },
	} {
		for _, answer := range []bool{true, false} {
			f := request(change)
			tpl := templateFor(f, 0)
			if !answer {
				silence(tpl)
			}
			k.hold(t, tpl)
			since := monotonic(t) - 20e6 // the coarse clock is behind by a tick
			k.beat(t, 0)
			k.agree(t, tpl, f.bytes(), Stolen)
			records := drain(t, rd)
			if len(records) != 1 {
				t.Fatalf("%s: %d events", name, len(records))
			}
			var got Event
			if err := ParseEvent(records[0], &got); err != nil {
				t.Fatal(err)
			}
			want := Event{
				KtimeNS: got.KtimeNS, Tag: tpl.Tag, XID: [4]byte{0x12, 0x34, 0x56, 0x78}, Src: f.SrcIP, Relay: f.GIAddr,
				VID: f.vids(), SrcPort: f.SrcPort, HLen: 6, CHAddr: [16]byte(f.message()[offCHAddr:]),
			}
			if tpl.UUIDAt != 0 {
				want.HasUUID, want.UUID = 1, [16]byte([]byte("LLLLDDDDEEEEFFFF"))
			}
			if got != want {
				t.Errorf("%s: event\n%+v, want\n%+v", name, got, want)
			}
			if got.KtimeNS < since || got.KtimeNS > monotonic(t) {
				t.Errorf("%s: ktime %d", name, got.KtimeNS)
			}
			if err := ParseEvent(records[0][:EventSize-1], &got); err == nil {
				t.Error("a short record was taken")
			}
		}
	}
}

// TestEventsAreBounded: what is not written, for the rate or for lack of room,
// is counted; together no decision is lost.
func TestEventsAreBounded(t *testing.T) {
	const runs, rate = 300, 20
	for name, c := range map[string]struct {
		rate uint32
		ring uint32
		most int // windows that the runs may take, or records of the ring
	}{
		"rate": {rate: rate, ring: 1 << 20, most: 10 * rate},
		"none": {rate: 0, ring: 1 << 20, most: 0},
		"ring": {rate: 1 << 30, ring: 4096, most: 4096 / EventSize},
	} {
		t.Run(name, func(t *testing.T) {
			spec := loadTestSpec(t)
			if err := spec.Variables[EventRate].Set(c.rate); err != nil {
				t.Fatal(err)
			}
			spec.Maps[EventsMap].MaxEntries = c.ring
			k := loadSpecKernel(t, spec, testStale, testRing)
			rd := k.events(t)
			k.steer(t, answering)
			tpl := templateFor(discover(), 0)
			silence(tpl)
			k.hold(t, tpl)
			k.beat(t, 0)
			for range runs {
				if got := k.run(t, discover().bytes(), nil); got != Ignored {
					t.Fatal(got)
				}
			}
			written, dropped := len(drain(t, rd)), int(k.outcome(t, OutcomeEventsDropped))
			if written+dropped != runs || written > c.most || c.most > 0 && written == 0 {
				t.Errorf("%d written and %d dropped of %d, want at most %d written", written, dropped, runs, c.most)
			}
			if got := k.outcome(t, uint32(tpl.Outcome)); got != runs {
				t.Errorf("counted %d of %d", got, runs)
			}
		})
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, change := range map[string]func(*Template){
		"port":                      func(t *Template) { t.Port = 68 },
		"short request":             func(t *Template) { t.Request, t.Mask = t.Request[:239], t.Mask[:239] },
		"long request":              func(t *Template) { t.Request, t.Mask = make([]byte, 591), bytes.Repeat([]byte{255}, 591) },
		"mask of another length":    func(t *Template) { t.Mask = t.Mask[1:] },
		"half a byte in the mask":   func(t *Template) { t.Mask[300] = 0xf0 },
		"sname left out":            func(t *Template) { t.Mask[100] = 0 },
		"UUID in the header":        func(t *Template) { t.UUIDAt = 100 },
		"UUID over the end":         func(t *Template) { t.UUIDAt = len(t.Request) - 15 },
		"outcome":                   func(t *Template) { t.Outcome = MaxOutcomes },
		"source on 67":              func(t *Template) { t.Source[0] = 1 },
		"UUID without place":        func(t *Template) { t.UUIDAt, t.UUID[0] = 0, 1 },
		"IPv6":                      func(t *Template) { t.Networks = []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")} },
		"no network":                func(t *Template) { t.Networks = make([]netip.Prefix, 1) },
		"networks":                  func(t *Template) { t.Networks = make([]netip.Prefix, MaxNetworks+1) },
		"short reply":               func(t *Template) { t.Reply = t.Reply[:239] },
		"long reply":                func(t *Template) { t.Reply = make([]byte, 591) },
		"to the source of 67":       func(t *Template) { t.DstPort = 0 },
		"echoes":                    func(t *Template) { t.Echoes = make([]Echo, MaxEchoes+1) },
		"empty echo":                func(t *Template) { t.Echoes[0].Len = 0 },
		"long echo":                 func(t *Template) { t.Echoes[0] = Echo{From: 0, To: 240, Len: 256}; t.Reply = make([]byte, 590) },
		"echo from behind the end":  func(t *Template) { t.Echoes[0].From = uint16(len(t.Request) - 3) },
		"echo to behind the end":    func(t *Template) { t.Echoes[0].To = uint16(len(t.Reply) - 3) },
		"echo to the header":        func(t *Template) { t.Echoes[0].To = 239 },
		"echoes one over the other": func(t *Template) { t.Echoes = append(t.Echoes, t.Echoes[0]) },
	} {
		tpl := templateFor(discover(), 0)
		if err := tpl.Check(); err != nil {
			t.Fatal(err)
		}
		change(tpl)
		if err := tpl.Check(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
