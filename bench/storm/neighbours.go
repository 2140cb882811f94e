package storm

import (
	"net/netip"
	"time"
)

// Bounds of what waits for an answer to ARP: beyond them datagrams are lost, as
// on any host, and the firmware sends them again.
const (
	maxWaiting = 8192
	arpTries   = 5
	arpWait    = time.Second
)

// neighbours are the hardware addresses of those that machines talk to:
// routers and servers. All machines share what one of them has found out.
type neighbours struct {
	known   map[netip.Addr][6]byte
	asked   map[netip.Addr]*asked
	waiting int
	silent  map[netip.Addr]uint64 // datagrams not sent, by who did not answer
}

// asked is a question that has no answer yet.
type asked struct {
	by      *slot
	due     time.Duration
	tries   int
	waiting []waiting
}

type waiting struct {
	from *slot
	Datagram
}

func newNeighbours() *neighbours {
	return &neighbours{known: map[netip.Addr][6]byte{}, asked: map[netip.Addr]*asked{}, silent: map[netip.Addr]uint64{}}
}

// wait keeps a copy of a datagram until a neighbour is known. first says that
// nobody has been asked for it yet.
func (n *neighbours) wait(hop netip.Addr, from *slot, d Datagram, now time.Duration) (first bool) {
	q := n.asked[hop]
	if q == nil {
		q = &asked{by: from, due: now + arpWait}
		n.asked[hop] = q
		first = true
	}
	if n.waiting == maxWaiting {
		n.silent[hop]++
		return first
	}
	n.waiting++
	d.Payload = append([]byte(nil), d.Payload...)
	q.waiting = append(q.waiting, waiting{from, d})
	return first
}

// learn takes a hardware address over, and returns what waited for it. Those
// that no machine talks to are left alone: the table stays as small as the
// number of servers.
func (n *neighbours) learn(addr netip.Addr, mac [6]byte) []waiting {
	q := n.asked[addr]
	if _, ok := n.known[addr]; ok || q != nil {
		n.known[addr] = mac
	}
	if q == nil {
		return nil
	}
	delete(n.asked, addr)
	n.waiting -= len(q.waiting)
	return q.waiting
}

// expire calls ask for each question that is to be asked again, and gives up
// those that were asked often enough.
func (n *neighbours) expire(now time.Duration, ask func(by *slot, hop netip.Addr)) {
	for hop, q := range n.asked {
		switch {
		case now < q.due:
		case q.tries == arpTries-1:
			n.silent[hop] += uint64(len(q.waiting))
			n.waiting -= len(q.waiting)
			delete(n.asked, hop)
		default:
			q.tries++
			q.due = now + arpWait
			ask(q.by, hop)
		}
	}
}
