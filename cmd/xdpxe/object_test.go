package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdpxe/xdpxe/bpf"
)

// What is written is the object, with maps that ask other loaders to pin them.
func TestObject(t *testing.T) {
	file := filepath.Join(t.TempDir(), "xdpxe.o")
	if r := xdpxe(t, "object", "-o", file); r.code != 0 || r.stdout+r.stderr != "" {
		t.Fatalf("%+v", r)
	}
	object, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	if p := spec.Programs[bpf.ProgramName]; p == nil || p.SectionName != "xdp.frags" {
		t.Errorf("programs %v", spec.Programs)
	}
	for name, m := range spec.Maps {
		if want := name[0] != '.'; (m.Pinning == ebpf.PinByName) != want {
			t.Errorf("%s asks to be pinned: %v, want %v", name, !want, want)
		}
	}
	if r := xdpxe(t, "object", "-o", "-"); r.code != 0 || r.stdout != string(object) {
		t.Errorf("exit code %d, %d bytes", r.code, len(r.stdout))
	}
	if r := xdpxe(t, "object", "--fixed-length", "-o", "-"); r.code != 0 || r.stdout == string(object) || len(r.stdout) != len(object) {
		t.Errorf("fixed length: exit code %d, %d bytes", r.code, len(r.stdout))
	}
	if r := xdpxe(t, "object"); r.code != 1 {
		t.Errorf("%+v", r)
	}
}
