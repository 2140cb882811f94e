package bpf

import (
	"bytes"
	"debug/elf"
	"fmt"
	"slices"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Object returns the ELF object itself, for programs that load it in our place.
// Its maps ask to be pinned by their names.
func Object() []byte { return slices.Clone(_PxeBytes) }

// FixedLengthObject returns the object without the call that changes the length
// of a frame. Kernels refuse a program with that call in the place of a function
// without it, and so in the dispatcher of libxdp before 1.5.5. The program does
// as if the driver could not: it answers itself where the reply has the request's
// length, and the daemon answers the others.
func FixedLengthObject() ([]byte, error) {
	object := Object()
	f, err := elf.NewFile(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("XDP object: %w", err)
	}
	var call, fail bytes.Buffer
	if _, err := asm.FnXdpAdjustTail.Call().Marshal(&call, f.ByteOrder); err != nil {
		return nil, err
	}
	if _, err := asm.Mov.Imm(asm.R0, -int32(unix.EOPNOTSUPP)).Marshal(&fail, f.ByteOrder); err != nil {
		return nil, err
	}
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_EXECINSTR == 0 {
			continue
		}
		for insn := range slices.Chunk(object[s.Offset:s.Offset+s.Size], asm.InstructionSize) {
			if bytes.Equal(insn, call.Bytes()) {
				copy(insn, fail.Bytes())
			}
		}
	}
	return object, nil
}
