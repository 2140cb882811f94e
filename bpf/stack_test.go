package bpf

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// TestStack holds the objects to what map_key in maps.h says: whatever is stored
// on the stack is a whole word. A kernel that minds refuses the program, but only
// without CAP_PERFMON, and the one that the tests run on may not mind.
func TestStack(t *testing.T) {
	for _, object := range []string{"pxe_bpfel.o", "pxe_bpfeb.o"} {
		spec, err := ebpf.LoadCollectionSpec(object)
		if err != nil {
			t.Fatal(err)
		}
		words := 0
		for _, bad := range partsOfStack(spec.Programs[ProgramName].Instructions, &words) {
			t.Errorf("%s: %v // %v", object, bad, bad.Source())
		}
		if words == 0 {
			t.Errorf("%s: nothing is stored on the stack", object)
		}
	}
}

// partsOfStack returns what stores less than a word on the stack, also by a
// register that was made to point there, and adds to words what stores one.
func partsOfStack(program asm.Instructions, words *int) (parts []asm.Instruction) {
	points := map[asm.Register]bool{}
	for _, ins := range program {
		class := ins.OpCode.Class()
		if ins.Symbol() != "" || class.IsJump() {
			points = map[asm.Register]bool{asm.R10: true} // not followed through branches and calls
		}
		switch {
		case class.IsStore() && points[ins.Dst]:
			if ins.OpCode.Size() == asm.DWord {
				*words++
			} else {
				parts = append(parts, ins)
			}
		case class.IsALU() && ins.OpCode.ALUOp() == asm.Mov:
			points[ins.Dst] = ins.OpCode.Source() == asm.RegSource && points[ins.Src]
		case class.IsALU() && ins.OpCode.ALUOp() == asm.Add: // points where it did
		case class.IsALU() || class.IsLoad():
			points[ins.Dst] = false
		}
	}
	return parts
}

func TestPartsOfStack(t *testing.T) {
	words := 0
	bad := partsOfStack(asm.Instructions{
		asm.StoreMem(asm.R10, -16, asm.R3, asm.DWord).WithSymbol("f"),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, -8),
		asm.StoreMem(asm.R2, 4, asm.R3, asm.Word),
		asm.StoreMem(asm.R10, -8, asm.R3, asm.DWord),
		asm.StoreImm(asm.R10, -8, 1, asm.Half),
		asm.LoadMem(asm.R2, asm.R1, 0, asm.DWord),
		asm.StoreMem(asm.R2, 0, asm.R3, asm.Byte),
	}, &words)
	if len(bad) != 2 || bad[0].OpCode.Size() != asm.Word || bad[1].OpCode.Size() != asm.Half || words != 2 {
		t.Errorf("%v, %d words", bad, words)
	}
}
