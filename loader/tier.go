package loader

import (
	"fmt"
	"slices"
)

// Tier names a datapath, as the configuration does.
type Tier string

// The datapaths. Auto is a wish only.
const (
	Auto    Tier = "auto"
	Native  Tier = "native"  // AF_XDP below the program in the driver
	Generic Tier = "generic" // AF_XDP below the program in the kernel's generic hook
	Ringbuf Tier = "ringbuf" // the program copies requests into a BPF ring buffer
	Socket  Tier = "socket"  // no BPF: UDP sockets
)

// Deliver says whether requests to UDP 67 are taken from the host or copied.
type Deliver string

// The ways to deliver. DeliverAuto is a wish only.
const (
	DeliverAuto Deliver = "auto"
	Steal       Deliver = "steal"
	Tee         Deliver = "tee"
)

// Mode is where the program is attached.
type Mode string

// The attach modes.
const (
	ModeNone    Mode = "none"
	ModeNative  Mode = "native"  // in the driver
	ModeGeneric Mode = "generic" // in the kernel, after an skb is made
)

// step is one rung of the ladder.
type step struct {
	tier Tier
	mode Mode
}

func (s step) String() string {
	switch {
	case s.tier == Socket:
		return "socket"
	case s.tier == Ringbuf:
		return fmt.Sprintf("ring buffer (%s XDP)", s.mode)
	default:
		return fmt.Sprintf("%s AF_XDP", s.mode)
	}
}

func (s step) xsk() bool { return s.tier == Native || s.tier == Generic }

// plan returns the rungs to try, the best first.
func plan(want Tier, deliver Deliver) ([]step, error) {
	all := []step{{Native, ModeNative}, {Generic, ModeGeneric}, {Ringbuf, ModeNative}, {Ringbuf, ModeGeneric}, {Socket, ModeNone}}
	// AF_XDP cannot leave the original where it is.
	if deliver == Tee {
		switch want {
		case Native:
			return all[2:3], nil
		case Generic:
			return all[3:4], nil
		}
		all = all[2:]
	}
	if want == Auto || want == "" {
		return all, nil
	}
	steps := slices.DeleteFunc(all, func(s step) bool { return s.tier != want })
	if len(steps) == 0 {
		return nil, fmt.Errorf("datapath %q: none of auto, native, generic, ringbuf, socket", want)
	}
	return steps, nil
}
