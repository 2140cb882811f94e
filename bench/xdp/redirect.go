package xdp

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// passAction is XDP_PASS (linux/bpf.h).
const passAction = 2

// Redirect is a program on a device that gives every frame to the AF_XDP socket
// of the queue that it came in on, and passes it on where there is none.
type Redirect struct {
	Native  bool // in the driver, not in the generic path
	sockets *ebpf.Map
	link    link.Link
}

// NewRedirect attaches the program to a device of the calling thread's network
// namespace: in the driver if that can, else in the generic path.
func NewRedirect(ifindex, queues int) (*Redirect, error) {
	sockets, err := ebpf.NewMap(&ebpf.MapSpec{Name: "xsks", Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: uint32(queues)})
	if err != nil {
		return nil, fmt.Errorf("XSKMAP: %w", err)
	}
	r := &Redirect{sockets: sockets}
	if err := r.attach(ifindex); err != nil {
		sockets.Close()
		return nil, err
	}
	return r, nil
}

func (r *Redirect) attach(ifindex int) error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "redirect", Type: ebpf.XDP, License: "Dual MIT/GPL",
		Instructions: asm.Instructions{
			asm.LoadMem(asm.R2, asm.R1, 16, asm.Word), // xdp_md.rx_queue_index
			asm.LoadMapPtr(asm.R1, r.sockets.FD()),
			asm.Mov.Imm(asm.R3, passAction), // what to do without an entry
			asm.FnRedirectMap.Call(),
			asm.Return(),
		},
	})
	if err != nil {
		return fmt.Errorf("XDP program: %w", err)
	}
	defer prog.Close()
	var failed []error
	for _, flags := range []link.XDPAttachFlags{link.XDPDriverMode, link.XDPGenericMode} {
		l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: ifindex, Flags: flags})
		if err == nil {
			r.link, r.Native = l, flags == link.XDPDriverMode
			return nil
		}
		failed = append(failed, err)
	}
	return fmt.Errorf("attach XDP program to ifindex %d, in the driver and in the generic path: %w", ifindex, errors.Join(failed...))
}

// Put makes the AF_XDP socket fd the one of a queue.
func (r *Redirect) Put(queue, fd int) error {
	if err := r.sockets.Put(uint32(queue), uint32(fd)); err != nil {
		return fmt.Errorf("AF_XDP socket of queue %d into XSKMAP: %w", queue, err)
	}
	return nil
}

// Close takes the program off the device.
func (r *Redirect) Close() error {
	return errors.Join(r.link.Close(), r.sockets.Close())
}
