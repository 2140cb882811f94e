package bpf

import (
	"bytes"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

func TestFixedLengthObject(t *testing.T) {
	calls := func(object []byte) (n, all int) {
		t.Helper()
		spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
		if err != nil {
			t.Fatal(err)
		}
		for _, insn := range spec.Programs[ProgramName].Instructions {
			all++
			if insn.IsBuiltinCall() && insn.Constant == int64(asm.FnXdpAdjustTail) {
				n++
			}
		}
		return n, all
	}
	object, err := FixedLengthObject()
	if err != nil {
		t.Fatal(err)
	}
	with, size := calls(Object())
	without, same := calls(object)
	if with == 0 || without != 0 || same != size {
		t.Errorf("%d calls in %d instructions; %d in %d", with, size, without, same)
	}
}
