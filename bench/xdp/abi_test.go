package xdp

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

func loadSpec(t *testing.T) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := loadGun()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestCountersMatchC(t *testing.T) {
	var e *btf.Enum
	if err := loadSpec(t).Types.TypeByName("counter", &e); err != nil {
		t.Fatal(err)
	}
	if len(e.Values) != int(numCounters)+1 {
		t.Errorf("%d values in C, %d in Go", len(e.Values), numCounters+1)
	}
	for _, v := range e.Values {
		name := strings.ToLower(strings.TrimPrefix(v.Name, "COUNTER_"))
		if v.Name == "NUM_COUNTERS" {
			name = numCounters.String()
		}
		if got := Verdict(v.Value).String(); got != name {
			t.Errorf("%s: %d in C, which is %s in Go", v.Name, v.Value, got)
		}
	}
}

// TestStructsMatchC compares every field's place and size. Fields have the
// same names but for case and underscores; padding has none in Go.
func TestStructsMatchC(t *testing.T) {
	types := loadSpec(t).Types
	for name, v := range map[string]any{
		"settings": settings{}, "template": template{}, "identity": Identity{}, "slot": slot{}, "sample": sample{}, "pace": pace{},
		"place": place{}, "flood": flood{},
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
			if m.Name != "pad" && !strings.EqualFold(strings.ReplaceAll(m.Name, "_", ""), f.Name) {
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
}

func TestMapsMatchGo(t *testing.T) {
	spec := loadSpec(t)
	for name, want := range map[string]ebpf.MapSpec{
		gunMapSettingsMap:   {ValueSize: uint32(binary.Size(settings{})), MaxEntries: 1},
		gunMapTemplateMap:   {ValueSize: uint32(binary.Size(template{})), MaxEntries: 1},
		gunMapIdentitiesMap: {ValueSize: uint32(binary.Size(Identity{})), MaxEntries: 1},
		gunMapSlotsMap:      {ValueSize: uint32(binary.Size(slot{})), MaxEntries: 1},
		gunMapPaceMap:       {ValueSize: uint32(binary.Size(pace{})), MaxEntries: 1},
		gunMapFloodMap:      {ValueSize: uint32(binary.Size(flood{})), MaxEntries: 1},
		gunMapCountersMap:   {ValueSize: 8, MaxEntries: uint32(numCounters)},
		gunMapLatencyMap:    {ValueSize: 8, MaxEntries: numBuckets},
	} {
		if m := spec.Maps[name]; m == nil || m.ValueSize != want.ValueSize || m.MaxEntries != want.MaxEntries {
			t.Errorf("%s: %v, want values of %d bytes, %d of them", name, m, want.ValueSize, want.MaxEntries)
		}
	}
}

// Buckets leave no gap, and none is wider than a 32nd of what is in it.
func TestBuckets(t *testing.T) {
	for i := range numBuckets - 1 {
		top := bucketTop(i)
		if bucketOf(top) != i || bucketOf(top+1) != i+1 {
			t.Fatalf("bucket %d ends at %d ns, which is in bucket %d; the next ns in %d", i, top, bucketOf(top), bucketOf(top+1))
		}
		if width := bucketTop(i+1) - top; width > max((top+1)/32, 1) {
			t.Fatalf("bucket %d is %d ns wide, from %d on", i+1, width, top+1)
		}
	}
	if top := bucketTop(numBuckets - 1); top < time.Minute || bucketOf(time.Hour) != numBuckets-1 {
		t.Errorf("the last bucket ends at %v, and an hour is in bucket %d", top, bucketOf(time.Hour))
	}
}
