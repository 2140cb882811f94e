package control

import "time"

// Frame is one datagram that passed the daemon, as an Ethernet frame.
type Frame struct {
	Time  time.Time
	Iface string
	Out   bool   // an answer of ours
	Data  []byte // belongs to the receiver
}

// Tap shows what the daemon receives and sends.
type Tap interface {
	// Subscribe calls sink with each frame of the interface until cancel
	// returns. sink never blocks; it may be called by several goroutines at once.
	Subscribe(iface string, sink func(Frame)) (cancel func())
}
