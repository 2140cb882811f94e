package responder

import "github.com/xdpxe/xdpxe/responder/policy"

// Observer hears of every request, whether it is answered or not, and of what
// the kernel tells of those that it decides on. No queue or rate is in between.
//
// Observe is called by all workers, on the way of the packets: it must be quick,
// and must not block, do I/O or keep e. m is what the policy was asked about, nil
// if it was not or if the kernel tells; it is borrowed as well.
type Observer interface {
	Observe(e *Event, m *policy.Machine)
}

// SetObservers says who hears of requests. It must be called before the first
// Serve and the first Told.
func (s *Server) SetObservers(all ...Observer) { s.observers = all }

func (s *Server) observe(e *Event, m *policy.Machine) {
	for _, o := range s.observers {
		o.Observe(e, m)
	}
}
