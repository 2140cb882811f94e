package tftptest

import "math/rand/v2"

// Faults are the chances, 0 to 1, of what happens to a packet.
type Faults struct {
	Loss, Duplicate, Reorder float64
}

// Link is one direction of a network. It is not safe for concurrent use.
type Link struct {
	faults Faults
	random *rand.Rand
	held   []heldPacket
}

// heldPacket is overtaken by so many others before it goes on.
type heldPacket struct {
	packet []byte
	others int
}

// NewLink returns a direction with faults that seed determines.
func NewLink(f Faults, seed uint64) *Link {
	return &Link{faults: f, random: rand.New(rand.NewPCG(seed, 0x7f7f))}
}

// Pass takes a packet and calls deliver with what arrives now, in order. Packets
// are copied where they are kept.
func (l *Link) Pass(p []byte, deliver func([]byte)) {
	copies := 1
	if l.hit(l.faults.Duplicate) {
		copies = 2
	}
	for range copies {
		switch {
		case l.hit(l.faults.Loss):
		case l.hit(l.faults.Reorder):
			l.held = append(l.held, heldPacket{append([]byte(nil), p...), 1 + l.random.IntN(4)})
		default:
			deliver(p)
			l.overtake(deliver)
		}
	}
}

// overtake counts one packet that went past those that are held.
func (l *Link) overtake(deliver func([]byte)) {
	kept := l.held[:0]
	var late [][]byte
	for _, h := range l.held {
		if h.others--; h.others > 0 {
			kept = append(kept, h)
		} else {
			late = append(late, h.packet)
		}
	}
	l.held = kept
	for _, p := range late {
		deliver(p)
	}
}

// Holds says whether packets are held back.
func (l *Link) Holds() bool { return len(l.held) > 0 }

// Flush delivers what is held back: nothing else comes to overtake it.
func (l *Link) Flush(deliver func([]byte)) {
	held := l.held
	l.held = nil
	for _, h := range held {
		deliver(h.packet)
	}
}

func (l *Link) hit(chance float64) bool { return chance > 0 && l.random.Float64() < chance }
