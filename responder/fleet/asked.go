package fleet

import (
	"sync"
	"time"
)

const (
	// sameTry is within what a DISCOVER counts once: it comes by two interfaces or
	// relays. Clients wait longer (PXE 2.1: 4 s; iPXE: 1 s) before they ask again.
	sameTry = 500 * time.Millisecond
	// forgetAfter is when a client that asks begins anew. The longest pause between
	// two DISCOVERs of one attempt is 32 s (PXE 2.1 §2.2.4: 4, 8, 16, 32 s).
	forgetAfter = 60 * time.Second
	// maxClients bounds each of the two halves of what is remembered.
	maxClients = 1 << 15
)

// Asked counts how often clients have asked, until they got an answer. It
// remembers 32,768 clients at least, and 60 seconds; one forgotten
// begins anew, and is answered by its owner as always. Safe for concurrent use.
type Asked struct {
	mu       sync.Mutex
	now, old map[client]count // old: those not seen since the last turn
	turned   time.Time
}

// client is a machine in one stage: its firmware's DISCOVERs and iPXE's are different tries.
type client struct {
	key  Key
	ipxe bool
}

type count struct {
	n           int
	first, last time.Time // counted
}

// NewAsked returns one that has seen nobody.
func NewAsked() *Asked { return &Asked{now: map[client]count{}} }

// Discover notes a DISCOVER and returns which one it is since the client's last answer, from 1.
func (a *Asked) Discover(now time.Time, k Key, ipxe bool) int {
	n, _ := a.Try(now, k, ipxe, true)
	return n
}

// Try returns which DISCOVER since the client's last answer one is, from 1, and
// when the first was. It is noted, or else only looked at.
func (a *Asked) Try(now time.Time, k Key, ipxe, note bool) (n int, first time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := client{k, ipxe}
	if !note {
		seen := a.seen(c).with(now)
		return seen.n, seen.first
	}
	if len(a.now) >= maxClients || now.Sub(a.turned) > forgetAfter {
		a.old, a.now = a.now, make(map[client]count)
		a.turned = now
	}
	seen := a.seen(c).with(now)
	a.now[c] = seen
	return seen.n, seen.first
}

func (a *Asked) seen(c client) count {
	seen, is := a.now[c]
	if !is {
		seen = a.old[c]
	}
	return seen
}

// with is the count after a DISCOVER.
func (c count) with(now time.Time) count {
	switch since := now.Sub(c.last); {
	case c.n == 0 || since > forgetAfter:
		return count{1, now, now}
	case since >= sameTry:
		return count{c.n + 1, c.first, now}
	}
	return c
}

// Answered notes that a client has chosen an offer: its DHCPREQUEST, which all
// servers see, says so. Its next DISCOVER is a first one.
func (a *Asked) Answered(k Key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range []client{{k, false}, {k, true}} {
		delete(a.now, c)
		delete(a.old, c)
	}
}
