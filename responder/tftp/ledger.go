package tftp

import (
	"net/netip"
	"slices"
	"sync"
)

// ledger counts who has transfers, and lets requests wait where there are too
// many. It is touched when a transfer starts and ends, by all workers.
type ledger struct {
	maxTransfers      int
	perClient, perNet int // transfers; 0: no limit
	maxWaiting        int
	networkBits       networkBits
	mu                sync.Mutex
	active            int
	clients           map[netip.Addr]*account
	networks          map[netip.Prefix]*account
	queue             []ticket // oldest first
}

// account is a client address's or a network's part of the ledger. It exists as
// long as something refers to it.
type account struct {
	addr      netip.Addr // of a client
	network   *account   // of a client
	prefix    netip.Prefix
	transfers int
	waiting   int
	meter     meter
}

// ticket is a request that waits.
type ticket struct {
	worker  *worker
	id      slotID
	serial  uint32
	account *account
}

func newLedger(cfg *Config) *ledger {
	return &ledger{
		maxTransfers: cfg.MaxTransfers, perClient: cfg.PerClient.Transfers, perNet: cfg.PerNetwork.Transfers,
		maxWaiting: cfg.Queue, networkBits: cfg.NetworkBits,
		clients: map[netip.Addr]*account{}, networks: map[netip.Prefix]*account{},
	}
}

// clientShare is the part of the queue that one client address may take.
const clientShare = 4

// enter gives a request a place (how is running), or a place in the queue (waits;
// how is what is full), or nothing. The account is the caller's until leave or quit.
func (l *ledger) enter(addr netip.Addr, w *worker, id slotID, serial uint32) (a *account, how Outcome, waits bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a = l.account(addr)
	how = l.blocked(a)
	switch {
	case how == running:
		l.add(a, 1)
	case len(l.queue) < l.maxWaiting && a.waiting <= l.maxWaiting/clientShare:
		waits = true
		a.waiting++
		a.network.waiting++
		l.queue = append(l.queue, ticket{w, id, serial, a})
	default:
		l.forget(a)
		return nil, how, false
	}
	return a, how, waits
}

// adopt gives a place to a transfer of a former process, whatever the limits are now.
func (l *ledger) adopt(addr netip.Addr) *account {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(addr)
	l.add(a, 1)
	return a
}

// leave takes a transfer's place back and gives it to those who wait.
func (l *ledger) leave(a *account) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(a, -1)
	l.forget(a)
	for l.promote() {
	}
}

// promote gives a place to the oldest request that may have one.
func (l *ledger) promote() bool {
	if l.active >= l.maxTransfers {
		return false
	}
	for i, t := range l.queue {
		if l.blocked(t.account) == running {
			l.queue = slices.Delete(l.queue, i, i+1)
			t.account.waiting--
			t.account.network.waiting--
			l.add(t.account, 1)
			t.worker.admitted(t)
			return true
		}
	}
	return false
}

// quit takes a request out of the queue. It reports false if it has got a place meanwhile.
func (l *ledger) quit(a *account, w *worker, id slotID, serial uint32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.queue, func(t ticket) bool { return t.worker == w && t.id == id && t.serial == serial })
	if i < 0 {
		return false
	}
	l.queue = slices.Delete(l.queue, i, i+1)
	a.waiting--
	a.network.waiting--
	l.forget(a)
	return true
}

// blocked says which limit is in the way of a client's next transfer.
func (l *ledger) blocked(a *account) Outcome {
	switch {
	case l.active >= l.maxTransfers:
		return Full
	case l.perClient != 0 && a.transfers >= l.perClient:
		return ClientFull
	case l.perNet != 0 && a.network.transfers >= l.perNet:
		return NetworkFull
	}
	return running
}

func (l *ledger) add(a *account, n int) {
	l.active += n
	a.transfers += n
	a.network.transfers += n
}

func (l *ledger) account(addr netip.Addr) *account {
	if a := l.clients[addr]; a != nil {
		return a
	}
	prefix := l.networkBits.of(addr)
	n := l.networks[prefix]
	if n == nil {
		n = &account{prefix: prefix}
		l.networks[prefix] = n
	}
	a := &account{addr: addr, network: n}
	l.clients[addr] = a
	return a
}

func (l *ledger) forget(a *account) {
	if a.transfers == 0 && a.waiting == 0 {
		delete(l.clients, a.addr)
	}
	if n := a.network; n.transfers == 0 && n.waiting == 0 {
		delete(l.networks, n.prefix)
	}
}

// counts returns the transfers that have a place and the requests that wait.
func (l *ledger) counts() (active, waiting int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.active, len(l.queue)
}
