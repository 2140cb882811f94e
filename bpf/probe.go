package bpf

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// ProbeName is the name of the program of Probe.
const ProbeName = "xdpxe_probe"

// Probe returns a program that sends back every frame (XDP_TX), and does
// nothing else: whoever runs it on live frames (BPF_F_TEST_XDP_LIVE_FRAMES)
// sends those. Two instructions need no compiler, and no object of their own.
func Probe() *ebpf.ProgramSpec {
	const tx = 3 // XDP_TX
	return &ebpf.ProgramSpec{
		Name: ProbeName, Type: ebpf.XDP, License: "Dual MIT/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, tx), asm.Return()},
	}
}
