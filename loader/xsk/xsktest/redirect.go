package xsktest

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// Mode is how a program is attached.
type Mode = link.XDPAttachFlags

// The modes that a veth has.
const (
	Native  Mode = link.XDPDriverMode
	Generic Mode = link.XDPGenericMode
)

// Redirect attaches a program to the device that redirects every frame to the
// AF_XDP socket of its queue, sockets[queue] by descriptor, and passes it on
// where there is none.
func Redirect(t testing.TB, dev End, mode Mode, sockets ...int) {
	t.Helper()
	xsks, err := ebpf.NewMap(&ebpf.MapSpec{Name: "xsks", Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 64})
	if err != nil {
		t.Fatalf("XSKMAP: %v", err)
	}
	t.Cleanup(func() { xsks.Close() })
	for queue, fd := range sockets {
		if err := xsks.Put(uint32(queue), uint32(fd)); err != nil {
			t.Fatalf("socket of queue %d into XSKMAP: %v", queue, err)
		}
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "redirect", Type: ebpf.XDP, License: "Dual MIT/GPL",
		Instructions: asm.Instructions{
			asm.LoadMem(asm.R2, asm.R1, 16, asm.Word), // xdp_md.rx_queue_index
			asm.LoadMapPtr(asm.R1, xsks.FD()),
			asm.Mov.Imm(asm.R3, 2), // XDP_PASS, without an entry
			asm.FnRedirectMap.Call(),
			asm.Return(),
		},
	})
	if err != nil {
		t.Fatalf("XDP program: %v", err)
	}
	defer prog.Close()
	attached, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: dev.Index, Flags: mode})
	if err != nil {
		t.Fatalf("attach to %s: %v", dev.Name, err)
	}
	t.Cleanup(func() { attached.Close() })
}
