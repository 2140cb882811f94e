package loader

import (
	"errors"
	"net/netip"
	"testing"
)

// succeed puts a table on the maps as the next daemon would, which keeps what
// same names of what is held, and republishes others.
func (p *program) succeed(t *testing.T, held int, same, others []*Template) {
	t.Helper()
	p.open(t)
	if list, err := p.inherit(); err != nil || len(list) != held {
		t.Fatalf("%d templates are held, %v; want %d", len(list), err, held)
	}
	for _, tpl := range same {
		if !p.keep(tpl) {
			t.Errorf("%d bytes, machine %d: not the same", len(tpl.Request), tpl.CHAddr[5])
		}
	}
	generation, err := p.adopt()
	if err != nil {
		t.Fatal(err)
	}
	for _, tpl := range others {
		tpl.Generation = generation
		p.put(t, tpl)
	}
}

// The next daemon keeps what it would publish itself. The rest is gone, what is
// published in its place holds, and no slot is used that something names.
func TestAdopt(t *testing.T) {
	p := loadProgram(t, TemplateOptions{})
	p.put(t, p.templateOf(1, "one"))
	p.put(t, p.templateOf(2, ""))
	p.put(t, p.exactOf(3, "three", 7))
	p.put(t, p.exactOf(3, "", 8))
	p.put(t, p.templateOf(4, "four"))
	p.put(t, p.exactOf(5, "five", 7))
	generation := p.current()

	p.open(t)
	list, err := p.inherit()
	if err != nil || len(list) != 6 {
		t.Fatalf("%v, %v", list, err)
	}
	for i, tpl := range list {
		if tpl.Exact != (i >= 3) || tpl.Tag != 9 || tpl.Outcome != 5 || tpl.Port != 67 || tpl.Generation != generation || tpl.Mask[236] != 0xff || tpl.Mask[28] != 0 {
			t.Errorf("%+v", tpl)
		}
	}
	for range 2 { // it all holds on meanwhile, also through a capture
		p.wants(t, 1, 1, "one")
		p.wants(t, 2, 1, "-")
		p.wants(t, 3, 7, "three")
		p.wants(t, 4, 1, "four")
		p.standAside(true)
		p.wants(t, 1, 1, "")
		p.standAside(false)
	}
	for range 3 {
		p.succeed(t, 6, []*Template{p.templateOf(1, "one"), p.templateOf(2, ""), p.exactOf(3, "three", 7), p.exactOf(3, "", 8), p.templateOf(4, "four"), p.exactOf(5, "five", 7)}, nil)
	}
	if i := p.info(); p.current() != generation || i.Patterns != 5 || i.Exact != 3 || i.Replies != 4 || i.Layouts != 5 || !i.Active {
		t.Errorf("%+v", i)
	}
	p.put(t, p.templateOf(1, "one"))

	p.succeed(t, 6, []*Template{p.templateOf(1, "one"), p.exactOf(3, "three", 7)}, []*Template{p.templateOf(2, "two"), p.templateOf(4, "")})
	p.put(t, p.templateOf(6, "six"))
	p.put(t, p.exactOf(7, "seven", 9))
	for range 2 {
		p.wants(t, 1, 1, "one")
		p.wants(t, 2, 1, "two")
		p.wants(t, 3, 7, "three")
		p.wants(t, 3, 8, "")
		p.wants(t, 4, 1, "-")
		p.wants(t, 5, 7, "")
		p.wants(t, 6, 1, "six")
		p.wants(t, 7, 9, "seven")
		p.wants(t, 7, 7, "")
		p.succeed(t, 6, []*Template{
			p.templateOf(1, "one"), p.templateOf(2, "two"), p.exactOf(3, "three", 7),
			p.templateOf(4, ""), p.templateOf(6, "six"), p.exactOf(7, "seven", 9),
		}, nil)
	}

	// A slot that is free again has none of the identities that it had.
	p.succeed(t, 6, nil, []*Template{p.exactOf(8, "eight", 1)})
	for _, size := range []int{1, 2, 3, 4, 6, 7} {
		for _, machine := range []byte{1, 7, 8, 9} {
			p.wants(t, size, machine, "")
		}
	}
	p.wants(t, 8, 1, "eight")
	for _, machine := range []byte{7, 8, 9} {
		p.wants(t, 8, machine, "")
	}
	p.void()
	p.wants(t, 8, 1, "")
	p.open(t)
	if list, err := p.inherit(); err != nil || len(list) != 0 {
		t.Errorf("after void %v, %v", list, err)
	}
}

// What differs in anything is not the same.
func TestKeep(t *testing.T) {
	p := loadProgram(t, TemplateOptions{})
	on4011 := func() *Template {
		tpl := p.templateOf(4, "four")
		tpl.Port, tpl.DstPort, tpl.Own = 4011, 0, [4]byte{192, 0, 2, 2}
		tpl.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("10.0.0.0/9")}
		return tpl
	}
	held := map[string]func() *Template{
		"class": func() *Template { return p.templateOf(1, "one") },
		"exact": func() *Template { return p.exactOf(2, "two", 7) },
		"4011":  on4011,
	}
	for _, tpl := range held {
		p.put(t, tpl())
	}
	p.open(t)
	list, err := p.inherit()
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	for _, tpl := range list {
		if tpl.Port == 4011 && (len(tpl.Networks) != 2 || tpl.Networks[0] != on4011().Networks[0] || tpl.Networks[1] != on4011().Networks[1] || tpl.Own != on4011().Own) {
			t.Errorf("%+v", tpl)
		}
	}
	changes := map[string]func(*Template){
		"tag":       func(tpl *Template) { tpl.Tag++ },
		"outcome":   func(tpl *Template) { tpl.Outcome++ },
		"reply":     func(tpl *Template) { tpl.Reply[110]++ },
		"length":    func(tpl *Template) { tpl.Reply = append(tpl.Reply, 0) },
		"silence":   func(tpl *Template) { tpl.Reply = nil },
		"from":      func(tpl *Template) { tpl.SrcIP[3]++ },
		"from mac":  func(tpl *Template) { tpl.SrcMAC[5]++ },
		"broadcast": func(tpl *Template) { tpl.Broadcast = false },
		"echo":      func(tpl *Template) { tpl.Echoes = []Echo{{From: 241, To: 290, Len: 3}} },
		"message":   func(tpl *Template) { tpl.Request[236+7]++ },
		"mask":      func(tpl *Template) { tpl.Mask[240] = 0 },
		"vlan":      func(tpl *Template) { tpl.VIDs[0] = 1 },
		"to":        func(tpl *Template) { tpl.Dst[3]-- },
		"exactness": func(tpl *Template) { tpl.Exact = !tpl.Exact },
	}
	for name, tpl := range held {
		for what, change := range changes {
			other := tpl()
			change(other)
			if p.keep(other) {
				t.Errorf("%s with another %s is the same", name, what)
			}
		}
	}
	for what, change := range map[string]func(*Template){
		"network": func(tpl *Template) { tpl.Networks[1] = netip.MustParsePrefix("10.0.0.0/10") },
		"own":     func(tpl *Template) { tpl.Own[3]++ },
		"order":   func(tpl *Template) { tpl.Networks[0], tpl.Networks[1] = tpl.Networks[1], tpl.Networks[0] },
	} {
		other := on4011()
		change(other)
		if p.keep(other) {
			t.Errorf("another %s is the same", what)
		}
	}
	if p.keep(p.exactOf(2, "two", 8)) {
		t.Error("another machine is the same")
	}
	for name, tpl := range held {
		if !p.keep(tpl()) {
			t.Errorf("%s is not the same", name)
		}
	}

	// What became void meanwhile does not come back.
	p.void()
	if _, err := p.adopt(); !errors.Is(err, ErrGeneration) {
		t.Error(err)
	}
	p.wants(t, 1, 1, "")
	if p.keep(p.templateOf(1, "one")) {
		t.Error("kept after all")
	}
}
