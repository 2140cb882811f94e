package bpf

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

func loadTestSpec(t *testing.T) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := LoadSpec()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func enumValues(t *testing.T, types *btf.Spec, name string) map[string]uint64 {
	t.Helper()
	var e *btf.Enum
	if err := types.TypeByName(name, &e); err != nil {
		t.Fatalf("enum %s: %v", name, err)
	}
	values := map[string]uint64{}
	for _, v := range e.Values {
		values[v.Name] = v.Value
	}
	return values
}

// compareEnum wants Go's names to be those of C without prefix and in lower
// case, value by value, and total to stand behind them in C (where it has one).
func compareEnum(t *testing.T, c map[string]uint64, prefix string, names []string) {
	t.Helper()
	if len(c) != len(names) {
		t.Errorf("%d values in C, %d in Go", len(c), len(names))
	}
	for i, name := range names {
		key := prefix + strings.ToUpper(name)
		if v, ok := c[key]; !ok {
			t.Errorf("%s: not in C", key)
		} else if v != uint64(i) {
			t.Errorf("%s: %d in C, %d in Go", key, v, i)
		}
	}
}

func TestReasonsMatchC(t *testing.T) {
	c := enumValues(t, loadTestSpec(t).Types, "reason")
	if c["NUM_REASONS"] != uint64(NumReasons) {
		t.Errorf("NUM_REASONS: %d in C, %d in Go", c["NUM_REASONS"], NumReasons)
	}
	delete(c, "NUM_REASONS")
	var names []string
	for r := range NumReasons {
		names = append(names, r.String())
	}
	compareEnum(t, c, "REASON_", names)
}

func TestDeliverMatchesC(t *testing.T) {
	var names []string
	for d := range numDelivers {
		names = append(names, d.String())
	}
	compareEnum(t, enumValues(t, loadTestSpec(t).Types, "deliver"), "DELIVER_", names)
}

func TestGuardMatchesC(t *testing.T) {
	types := loadTestSpec(t).Types
	c := enumValues(t, types, "budget")
	if c["NUM_BUDGETS"] != uint64(NumBudgets) {
		t.Errorf("NUM_BUDGETS: %d in C, %d in Go", c["NUM_BUDGETS"], NumBudgets)
	}
	delete(c, "NUM_BUDGETS")
	compareEnum(t, c, "BUDGET_", budgetNames[:])
	compareEnum(t, enumValues(t, types, "source_kind"), "SOURCE_", sourceKindNames[:])
}

func TestNamesOutOfRange(t *testing.T) {
	for got, want := range map[string]string{
		NumReasons.String():  "reason(38)",
		numDelivers.String(): "deliver(4)",
		Action(5).String():   "action(5)",
		Redirect.String():    "redirect",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if NumReasons.Action() != Pass {
		t.Error("an unknown reason must pass")
	}
}

func TestDeliveredReasons(t *testing.T) {
	for r := range NumReasons {
		want := r == Teed || r == Stolen || r == Redirected
		if r.Delivered() != want {
			t.Errorf("%v: Delivered %v", r, !want)
		}
		if r < Teed && r.Action() != Pass {
			t.Errorf("%v: not delivered and not passed but %v", r, r.Action())
		}
	}
}

// TestMaps holds names, types and sizes against the Go side.
func TestMaps(t *testing.T) {
	size := func(v any) uint32 { return uint32(binary.Size(v)) }
	want := map[string]ebpf.MapSpec{
		HeartbeatMap: {Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: 1 << 10}, // BPF_F_MMAPABLE
		SettingsMap:  {Type: ebpf.Array, KeySize: 4, ValueSize: size(Settings{}), MaxEntries: 1},
		AddrsMap:     {Type: ebpf.Hash, KeySize: size(AddrKey{}), ValueSize: size(AddrValue{}), MaxEntries: MaxAddrs, Flags: 1}, // BPF_F_NO_PREALLOC
		ClassesMap:   {Type: ebpf.Array, KeySize: 4, ValueSize: size(ClassEntry{}), MaxEntries: MaxClasses},
		XSKsMap:      {Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: MaxQueues},
		RequestsMap:  {Type: ebpf.RingBuf, MaxEntries: RingSize},
		CountersMap:  {Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: uint32(NumReasons)},
		GuardMap:     {Type: ebpf.Array, KeySize: 4, ValueSize: size(Guard{}), MaxEntries: 1},
		BucketsMap:   {Type: ebpf.Array, KeySize: 4, ValueSize: size(Bucket{}), MaxEntries: uint32(NumBudgets)},
		FilterMap:    {Type: ebpf.Array, KeySize: 4, ValueSize: FilterEntrySize, MaxEntries: FilterEntries},
		SourcesMap:   {Type: ebpf.LRUHash, KeySize: size(Source{}), ValueSize: 8, MaxEntries: SourcesEntries},
		SamplesMap:   {Type: ebpf.RingBuf, MaxEntries: 1 << 17},

		GenerationMap: {Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: 1 << 10},
		LengthsMap:    {Type: ebpf.Array, KeySize: 4, ValueSize: size(Length{}), MaxEntries: LengthIndex(portBINL, MaxMessage) + 1},
		LayoutsMap:    {Type: ebpf.Array, KeySize: 4, ValueSize: size(Layout{}), MaxEntries: NumLayouts},
		IndexMap:      {Type: ebpf.Hash, KeySize: 8, ValueSize: 4, MaxEntries: NumPatterns, Flags: 1},
		PatternsMap:   {Type: ebpf.Array, KeySize: 4, ValueSize: size(Pattern{}), MaxEntries: NumPatterns},
		ExactMap:      {Type: ebpf.Hash, KeySize: size(ExactKey{}), ValueSize: size(ExactValue{}), MaxEntries: NumExact, Flags: 1},
		RepliesMap:    {Type: ebpf.Array, KeySize: 4, ValueSize: size(Reply{}), MaxEntries: NumReplies},
		OutcomesMap:   {Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: MaxOutcomes + 1},
		EventsMap:     {Type: ebpf.RingBuf, MaxEntries: EventRingSize},
	}
	spec := loadTestSpec(t)
	for name, m := range spec.Maps {
		if name == ScratchMap || name == ".rodata" {
			continue
		}
		w, ok := want[name]
		if !ok {
			t.Errorf("%s: unknown to Go", name)
			continue
		}
		delete(want, name)
		got := ebpf.MapSpec{Type: m.Type, KeySize: m.KeySize, ValueSize: m.ValueSize, MaxEntries: m.MaxEntries, Flags: m.Flags}
		if !reflect.DeepEqual(got, w) {
			t.Errorf("%s:\n got %v\nwant %v", name, &got, &w)
		}
	}
	for name := range want {
		t.Errorf("%s: not in the object", name)
	}
	if _, ok := spec.Maps[ScratchMap]; !ok {
		t.Errorf("%s: not in the object", ScratchMap)
	}
}

// TestStructsMatchC compares every field's place and size. Fields have the
// same names but for case and underscores.
func TestStructsMatchC(t *testing.T) {
	types := loadTestSpec(t).Types
	for name, v := range map[string]any{
		"settings": Settings{}, "addr_key": AddrKey{}, "addr_value": AddrValue{},
		"class_entry": ClassEntry{}, "request": RequestHeader{},
		"limit": Limit{}, "bucket": Bucket{}, "guard": Guard{}, "source": Source{}, "sample": Sample{},
		"length": Length{}, "layout": Layout{}, "verdict": Verdict{}, "network": Network{}, "pattern": Pattern{},
		"exact_key": ExactKey{}, "exact_value": ExactValue{}, "echo": EchoImage{}, "reply": Reply{}, "event": Event{},
	} {
		var c *btf.Struct
		if err := types.TypeByName(name, &c); err != nil {
			t.Fatalf("struct %s: %v", name, err)
		}
		g := reflect.TypeOf(v)
		if uintptr(c.Size) != g.Size() || binary.Size(v) != int(c.Size) {
			t.Errorf("%s: %d bytes in C, %d in Go (%d packed)", name, c.Size, g.Size(), binary.Size(v))
		}
		if len(c.Members) != g.NumField() {
			t.Errorf("%s: %d fields in C, %d in Go", name, len(c.Members), g.NumField())
			continue
		}
		for i, m := range c.Members {
			f := g.Field(i)
			if !strings.EqualFold(strings.ReplaceAll(m.Name, "_", ""), f.Name) {
				t.Errorf("%s: field %d is %s in C, %s in Go", name, i, m.Name, f.Name)
			}
			size, err := btf.Sizeof(m.Type)
			if err != nil {
				t.Fatal(err)
			}
			if uintptr(m.Offset.Bytes()) != f.Offset || uintptr(size) != f.Type.Size() {
				t.Errorf("%s.%s: %d bytes at %d in C, %d at %d in Go", name, m.Name, size, m.Offset.Bytes(), f.Type.Size(), f.Offset)
			}
		}
	}
	if SampleSize != reflect.TypeOf(Sample{}).Size() {
		t.Errorf("SampleSize %d", SampleSize)
	}
	if RequestHeaderSize != reflect.TypeOf(RequestHeader{}).Size() {
		t.Errorf("RequestHeaderSize %d", RequestHeaderSize)
	}
}

func TestProgramAndVariables(t *testing.T) {
	spec := loadTestSpec(t)
	prog := spec.Programs[ProgramName]
	if prog == nil || len(spec.Programs) != 1 {
		t.Fatalf("programs: %v", spec.Programs)
	}
	if prog.Type != ebpf.XDP || prog.License != "Dual MIT/GPL" || prog.Flags&(1<<5) == 0 { // BPF_F_XDP_HAS_FRAGS
		t.Errorf("program: type %v, licence %q, flags %#x", prog.Type, prog.License, prog.Flags)
	}
	var stale uint64
	if err := spec.Variables[StaleNS].Get(&stale); err != nil {
		t.Fatal(err)
	}
	if stale != 2e9 {
		t.Errorf("%s is %d, want 2 s", StaleNS, stale)
	}
}

// Byte images, as C lays them out on a little-endian machine.
func TestByteImages(t *testing.T) {
	key, err := NewAddrKey(netip.MustParseAddr("192.0.2.10"), 5, 6)
	if err != nil {
		t.Fatal(err)
	}
	classes, err := Classes([]string{"PXE"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		value any
		image []byte
	}{
		{"settings", Settings{Deliver67: DeliverXSK, Deliver4011: DeliverRingTee, Answer4011: 1}, []byte{
			1, 0, 0, 0, // deliver67
			3, 0, 0, 0, // deliver4011
			0, 0, 0, 0, // answer67
			1, 0, 0, 0, // answer4011
		}},
		{"addr_key", key, []byte{
			192, 0, 2, 10, // ip, network order
			5, 0, // vid[0], outermost
			6, 0, // vid[1]
		}},
		{"addr_value", AddrValue{[6]byte{1, 2, 3, 4, 5, 6}}, []byte{1, 2, 3, 4, 5, 6}},
		{"class_entry", classes[0], append(append(append(
			[]byte("PXE"), make([]byte, 29)...), // prefix
			append([]byte{255, 255, 255}, make([]byte, 29)...)...), // mask
			3, 0, 0, 0, 0, 0, 0, 0)}, // len
		{"request", RequestHeader{0x0102030405060708, 7, 342}, []byte{
			8, 7, 6, 5, 4, 3, 2, 1, // ktime_ns
			7, 0, 0, 0, // ifindex
			0x56, 1, 0, 0, // len
		}},
	} {
		got, err := binary.Append(nil, binary.LittleEndian, c.value)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, c.image) {
			t.Errorf("%s:\n got %x\nwant %x", c.name, got, c.image)
		}
	}
}

func TestAddrKeys(t *testing.T) {
	ip := netip.MustParseAddr("192.0.2.10")
	for _, c := range []struct {
		name string
		vids []uint16
		want [2]uint16
		bad  bool
	}{
		{name: "untagged"},
		{name: "priority tag", vids: []uint16{0}},
		{name: "one", vids: []uint16{7}, want: [2]uint16{7}},
		{name: "priority tag in front", vids: []uint16{0, 7}, want: [2]uint16{7}},
		{name: "two", vids: []uint16{5, 6}, want: [2]uint16{5, 6}},
		{name: "three", vids: []uint16{5, 6, 7}, bad: true},
		{name: "reserved id", vids: []uint16{4095}, bad: true},
	} {
		got, err := NewAddrKey(ip, c.vids...)
		if (err != nil) != c.bad || err == nil && (got.VID != c.want || got.IP != ip.As4()) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	if got, err := NewAddrKey(netip.MustParseAddr("::ffff:192.0.2.10")); err != nil || got.IP != ip.As4() {
		t.Errorf("mapped: %+v, %v", got, err)
	}
	if _, err := NewAddrKey(netip.IPv6Unspecified()); err == nil {
		t.Error("IPv6 was taken")
	}
	if _, err := AnyVLANKey(netip.Addr{}); err == nil {
		t.Error("no address was taken")
	}
}

func TestClassesRefuses(t *testing.T) {
	for name, prefixes := range map[string][]string{
		"empty":    {"PXEClient", ""},
		"too long": {strings.Repeat("x", MaxClassLen+1)},
		"too many": strings.Split("a b c d e f g h i", " "),
	} {
		if _, err := Classes(prefixes); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestParseRequestRefuses(t *testing.T) {
	whole, err := binary.Append(nil, binary.NativeEndian, RequestHeader{Len: 3})
	if err != nil {
		t.Fatal(err)
	}
	whole = append(whole, 'a', 'b', 'c', 0, 0)
	_, frame, err := ParseRequest(whole)
	if err != nil || string(frame) != "abc" || cap(frame) != 3 {
		t.Errorf("frame %q cap %d, %v", frame, cap(frame), err)
	}
	for n := range len(whole) - 2 {
		if _, _, err := ParseRequest(whole[:n]); err == nil {
			t.Errorf("%d bytes were taken", n)
		}
	}
	huge := bytes.Clone(whole)
	copy(huge[12:], "\xff\xff\xff\xff")
	if _, _, err := ParseRequest(huge); err == nil {
		t.Error("length 2^32-1 was taken")
	}
}
