package loader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdpxe/xdpxe/bpf"
)

// program is the XDP program with a table on its maps, on no interface.
type program struct {
	*table
	coll   *ebpf.Collection
	events *events
}

func loadProgram(t *testing.T, o TemplateOptions) *program {
	t.Helper()
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	spec, err := bpf.LoadSpec()
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Variables[bpf.StaleNS].Set(uint64(testStale)); err != nil {
		t.Fatal(err)
	}
	if err := o.apply(spec); err != nil {
		t.Fatal(err)
	}
	p := &program{}
	if p.coll, err = ebpf.NewCollection(spec); err != nil {
		t.Skipf("needs root (CAP_BPF, CAP_NET_ADMIN): %v", err)
	}
	t.Cleanup(p.coll.Close)
	settings := bpf.Settings{Deliver67: bpf.DeliverXSK, Deliver4011: bpf.DeliverXSK, Answer67: 1, Answer4011: 1}
	if err := p.coll.Maps[bpf.SettingsMap].Put(uint32(0), settings); err != nil {
		t.Fatal(err)
	}
	if p.events, err = newEvents(p.coll.Maps[bpf.EventsMap]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.events.close() })
	p.open(t)
	return p
}

// open puts a new table on the maps, as another process would.
func (p *program) open(t *testing.T) {
	t.Helper()
	var err error
	if p.table, err = newTable(p.coll.Maps); err != nil {
		t.Fatal(err)
	}
	tab := p.table
	t.Cleanup(func() { tab.close() })
}

// templateOf makes a template for a DISCOVER with an option 12 of that many
// bytes, whose reply has answer in its file field; no answer: silence.
func (p *program) templateOf(size int, answer string) *Template {
	message := dhcpMessage(size)
	t := &Template{
		Generation: p.current(), Outcome: 5, Tag: 9, Port: 67, Dst: [4]byte{255, 255, 255, 255},
		Request: message, Mask: bytes.Repeat([]byte{0xff}, len(message)),
	}
	clear(t.Mask[4:10])
	clear(t.Mask[28:44])
	if answer != "" {
		t.Reply = make([]byte, 300)
		copy(t.Reply[108:], answer)
		t.Broadcast, t.DstIP, t.DstPort, t.SrcPort = true, [4]byte{255, 255, 255, 255}, 68, 67
	}
	return t
}

// exactOf is templateOf for one machine.
func (p *program) exactOf(size int, answer string, machine byte) *Template {
	t := p.templateOf(size, answer)
	t.Exact, t.CHAddr[5] = true, machine
	return t
}

func dhcpMessage(size int) []byte {
	m := make([]byte, 240)
	m[0], m[1], m[2] = 1, 1, 6
	copy(m[236:], "\x63\x82\x53\x63\x35\x01\x01")
	m = append(m, 53, 1, 1, 60, 9)
	m = append(m, "PXEClient"...)
	m = append(append(m, 12, byte(size)), make([]byte, size)...)
	return append(m, 255)
}

// ask sends the program a DISCOVER of that machine and returns how it ended,
// and the file of the answer.
func (p *program) ask(t *testing.T, size int, machine byte) (bpf.Action, string) {
	t.Helper()
	message := dhcpMessage(size)
	message[33] = machine
	in := discoverFrame(message)
	if err := p.coll.Maps[bpf.HeartbeatMap].Put(uint32(0), monotonic()); err != nil {
		t.Fatal(err)
	}
	out := &ebpf.RunOptions{Data: in, DataOut: make([]byte, 2048)}
	ret, err := p.coll.Programs[bpf.ProgramName].Run(out)
	if err != nil {
		t.Fatal(err)
	}
	if bpf.Action(ret) != bpf.TX {
		return bpf.Action(ret), ""
	}
	file, _, _ := bytes.Cut(out.DataOut[42+108:42+236], []byte{0})
	return bpf.TX, string(file)
}

func discoverFrame(message []byte) []byte {
	be := binary.BigEndian
	f := append(bytes.Repeat([]byte{0xff}, 6), 0x52, 0x54, 0, 0, 0, 1, 8, 0)
	f = append(f, 0x45, 0)
	f = be.AppendUint16(f, uint16(28+len(message)))
	f = append(f, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255)
	var sum uint32
	for i := 14; i < 34; i += 2 {
		sum += uint32(be.Uint16(f[i:]))
	}
	be.PutUint16(f[24:], ^uint16(sum+sum>>16))
	f = append(f, 0, 68, 0, 67)
	f = be.AppendUint16(f, uint16(8+len(message)))
	return append(append(f, 0, 0), message...)
}

// wants asks and compares: the file of an answer, "-" for an ignored request,
// "" for one that goes up.
func (p *program) wants(t *testing.T, size int, machine byte, want string) {
	t.Helper()
	got, file := p.ask(t, size, machine)
	switch {
	case got == bpf.Drop:
		file = "-"
	case got == bpf.Pass: // no socket
	case got != bpf.TX:
		t.Fatalf("action %v", got)
	}
	if file != want {
		t.Errorf("machine %d with %d bytes: %q, want %q", machine, size, file, want)
	}
}

func (p *program) put(t *testing.T, tpl *Template) {
	t.Helper()
	if err := p.publish(tpl); err != nil {
		t.Fatal(err)
	}
}

func TestPublish(t *testing.T) {
	p := loadProgram(t, TemplateOptions{})
	p.wants(t, 1, 1, "")
	p.put(t, p.templateOf(1, "one"))
	p.put(t, p.templateOf(2, ""))
	p.put(t, p.exactOf(3, "three", 7))
	p.put(t, p.exactOf(3, "", 8))
	for range 2 { // the second time changes nothing
		p.put(t, p.templateOf(1, "one"))
		p.put(t, p.exactOf(3, "three", 7))
	}
	p.wants(t, 1, 1, "one")
	p.wants(t, 1, 2, "one")
	p.wants(t, 2, 1, "-")
	p.wants(t, 3, 7, "three")
	p.wants(t, 3, 8, "-")
	p.wants(t, 3, 9, "")
	p.wants(t, 4, 1, "")
	got := p.info()
	want := TemplateInfo{
		Generation: p.current(), Active: true, Patterns: 3, MaxPatterns: 4096, Exact: 2, MaxExact: 65536,
		Replies: 2, MaxReplies: 1024, Layouts: 3, MaxLayouts: 256,
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for name, tpl := range map[string]*Template{
		"another answer":         p.templateOf(1, "two"),
		"silence for an answer":  p.templateOf(1, ""),
		"exact for a class":      p.exactOf(1, "one", 1),
		"class for an exact":     p.templateOf(3, "three"),
		"another exact answer":   p.exactOf(3, "four", 7),
		"another tag":            func() *Template { tpl := p.templateOf(1, "one"); tpl.Tag++; return tpl }(),
		"an answer, was ignored": p.exactOf(3, "three", 8),
	} {
		if err := p.publish(tpl); !errors.Is(err, ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := p.templateOf(1, "one")
	bad.Port = 68
	if err := p.publish(bad); !errors.Is(err, ErrTemplate) {
		t.Errorf("port 68: %v", err)
	}
}

func TestVoid(t *testing.T) {
	p := loadProgram(t, TemplateOptions{})
	old := p.templateOf(1, "old")
	p.put(t, old)
	p.put(t, p.exactOf(2, "old", 7))
	p.wants(t, 1, 1, "old")
	p.standAside(true)
	p.wants(t, 1, 1, "")
	p.put(t, p.templateOf(3, "three"))
	p.wants(t, 3, 1, "")
	p.standAside(false)
	p.wants(t, 1, 1, "old")
	p.wants(t, 3, 1, "three")

	before := p.current()
	if now := p.void(); now <= before || now != p.current() {
		t.Errorf("generation %d after %d", now, before)
	}
	p.wants(t, 1, 1, "")
	p.wants(t, 2, 7, "")
	if i := p.info(); i.Active || i.Patterns != 0 {
		t.Errorf("void: %+v", i)
	}
	if err := p.publish(old); !errors.Is(err, ErrGeneration) {
		t.Errorf("an old template: %v", err)
	}
	p.wants(t, 1, 1, "")
	p.put(t, p.templateOf(1, "new"))
	p.wants(t, 1, 1, "new")
	p.wants(t, 2, 7, "")

	// Standing aside does not make void templates good.
	p.standAside(true)
	p.void()
	p.standAside(false)
	p.wants(t, 1, 1, "")
}

// What an earlier process published holds until the next one says otherwise.
func TestTakenOverMaps(t *testing.T) {
	p := loadProgram(t, TemplateOptions{})
	p.put(t, p.templateOf(1, "first"))
	p.put(t, p.exactOf(2, "first", 7))
	first := p.current()
	p.open(t)
	if p.current() <= first {
		t.Errorf("generation %d after %d", p.current(), first)
	}
	p.wants(t, 1, 1, "first")
	p.wants(t, 2, 7, "first")
	p.put(t, p.templateOf(3, "second"))
	p.wants(t, 1, 1, "")
	p.wants(t, 2, 7, "")
	p.wants(t, 3, 1, "second")
	p.open(t)
	p.wants(t, 3, 1, "second")
	p.void()
	p.wants(t, 3, 1, "")
}

// Full maps begin a new generation, but not soon again.
func TestFull(t *testing.T) {
	for name, c := range map[string]struct {
		o    TemplateOptions
		make func(p *program, i int) *Template
	}{
		"patterns":   {TemplateOptions{Patterns: 3}, func(p *program, i int) *Template { return p.templateOf(i, "") }},
		"identities": {TemplateOptions{Exact: 3}, func(p *program, i int) *Template { return p.exactOf(1, "", byte(i)) }},
		"replies":    {TemplateOptions{Replies: 3}, func(p *program, i int) *Template { return p.templateOf(i, string(rune('a'+i))) }},
		"layouts":    {TemplateOptions{Layouts: 3}, func(p *program, i int) *Template { return p.templateOf(i, "") }},
		"layouts of a length": {TemplateOptions{}, func(p *program, i int) *Template {
			tpl := p.templateOf(9, "")
			if i > 0 {
				tpl.Mask[260+i] = 0
			}
			return tpl
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := loadProgram(t, c.o)
			clock := time.Unix(1000, 0)
			p.now = func() time.Time { return clock }
			room := 3
			if c.o == (TemplateOptions{}) {
				room = bpf.MaxLayoutsOfLength
			}
			fill := func() error {
				for i := range room {
					p.put(t, c.make(p, i))
				}
				return p.publish(c.make(p, room))
			}
			first := p.current()
			if err := fill(); !errors.Is(err, ErrTemplatesFull) {
				t.Fatal(err)
			}
			if p.current() == first {
				t.Fatal("the generation stays")
			}
			second := p.current()
			clock = clock.Add(renewAfter - 1)
			if err := fill(); !errors.Is(err, ErrTemplatesFull) {
				t.Fatal(err)
			}
			if p.current() != second {
				t.Fatal("a new generation too soon")
			}
			if err := fill(); !errors.Is(err, ErrTemplatesFull) {
				t.Error(err)
			}
			clock = clock.Add(1)
			if err := p.publish(c.make(p, room)); !errors.Is(err, ErrTemplatesFull) || p.current() == second {
				t.Errorf("later: %v, generation %d", err, p.current())
			}
			p.put(t, c.make(p, room))
		})
	}
}

func TestDrainEvents(t *testing.T) {
	p := loadProgram(t, TemplateOptions{EventRate: 1000})
	p.put(t, p.templateOf(1, "one"))
	const n = 50
	for i := range n {
		p.wants(t, 1, byte(i), "one")
	}
	next := byte(0)
	for range 2 {
		err := p.events.drain(func(e *Event) {
			if e.Tag != 9 || e.CHAddr[5] != next || e.HLen != 6 {
				t.Errorf("event %d: %+v", next, e)
			}
			next++
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if next != n {
		t.Errorf("%d events, want %d", next, n)
	}
	if err := p.events.close(); err != nil {
		t.Fatal(err)
	}
	if err := p.events.drain(func(*Event) { t.Error("an event after close") }); err != nil {
		t.Error(err)
	}
}

func TestTemplateOptions(t *testing.T) {
	for name, o := range map[string]TemplateOptions{
		"patterns": {Patterns: maxSlots + 1}, "negative": {Replies: -1}, "layouts": {Layouts: 1 << 20}, "identities": {Exact: 1 << 25},
	} {
		if o.check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// A Datapath's templates: leave to answer outlives changes of delivery.
func TestDatapathTemplates(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Native})
	if err := d.SetAnswer(true, false); err != nil {
		t.Fatal(err)
	}
	if err := d.SetDeliver(Tee, "a test"); err != nil {
		t.Fatal(err)
	}
	var s bpf.Settings
	if err := d.coll.Maps[bpf.SettingsMap].Lookup(uint32(0), &s); err != nil {
		t.Fatal(err)
	}
	if want := (bpf.Settings{Deliver67: bpf.DeliverRingTee, Deliver4011: bpf.DeliverXSK, Answer67: 1}); s != want {
		t.Errorf("settings %+v, want %+v", s, want)
	}
	tpl := (&program{table: d.table}).templateOf(1, "")
	tpl.Generation = d.Generation()
	if err := d.Publish(tpl); err != nil {
		t.Fatal(err)
	}
	r.client.Send(t, discoverFrame(dhcpMessage(1)))
	for end := time.Now().Add(patience); ; {
		counts, err := d.Outcomes()
		if err != nil || time.Now().After(end) {
			t.Fatalf("%v, %v", counts, err)
		}
		if counts[tpl.Outcome] == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	seen := 0
	if err := d.Events(func(*Event) { seen++ }); err != nil || seen != 1 {
		t.Errorf("%d events, %v", seen, err)
	}
	if i, err := d.Templates(); err != nil || i.Patterns != 1 || !i.Answer67 || i.Answer4011 || !i.Active {
		t.Errorf("%+v, %v", i, err)
	}
	d.StandAside(true)
	if i, err := d.Templates(); err != nil || i.Active {
		t.Errorf("aside: %+v, %v", i, err)
	}
	tpl.Generation = d.Void()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Publish(tpl); !errors.Is(err, ErrNoTemplates) {
		t.Errorf("after close: %v", err)
	}
	d.StandAside(false)
	if err := d.Events(func(*Event) {}); err != nil {
		t.Error(err)
	}

	none, err := Open(Options{Iface: "near", Datapath: Socket})
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	if err := none.Publish(tpl); !errors.Is(err, ErrNoTemplates) || none.Generation() != 0 || none.Void() != 0 {
		t.Errorf("without a program: %v", err)
	}
}
