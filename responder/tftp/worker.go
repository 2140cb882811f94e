package tftp

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/content"
)

const (
	recvBatches  = 4               // of one socket before the others have their turn
	lingering    = 5 * time.Second // that an ended transfer absorbs late packets
	maxLinger    = 1024            // of them at a time
	maxBehind    = 8               // rounds without the timers
	strangerRate = 50              // ERROR 5 a second, and at once
)

// Turn is how long an idle loop sleeps at most, so that Hung can tell it from a
// stuck one.
const Turn = 250 * time.Millisecond

// worker is one event loop. All fields belong to the loop, but for mail, turned and gone.
type worker struct {
	server    *Server
	epoll     int
	wake      int // eventfd of mail
	endpoints []*endpoint
	counters  *counters

	table   table
	timers  timers
	running int             // transfers that have not ended
	linger  int             // slots of ended ones
	garbage []*content.File // of ended transfers
	faults  uint64          // major faults of the loop's thread
	audited instant         // when they were last counted
	doomed  []doom
	spoiled []spoiled

	now       instant
	recv      *receiver
	errors    errorQueue
	incoming  datagram
	strangers bucket
	queue     map[slotID]queued // requests that wait for a place
	following map[slotID]*following
	told      instant // when Followers last heard of progress
	unread    uint64  // times that a socket was left with more to read
	behind    int     // rounds since the timers had their turn
	stopping  bool
	stopAt    instant

	mail   mailbox
	turned atomic.Int64  // instant at which the loop last woke; 0: not yet
	gone   chan struct{} // closed when the loop has ended
}

// Tags of descriptors in the epoll: an endpoint's sockets by its index, or the eventfd.
const (
	tagWake     = -1
	tagRequests = 0
	tagData     = 1
)

func newWorker(s *Server) (*worker, error) {
	w := &worker{server: s, epoll: -1, wake: -1, counters: new(counters), table: newTable(), recv: newReceiver(),
		queue: map[slotID]queued{}, following: map[slotID]*following{}, gone: make(chan struct{})}
	w.timers.slot = w.table.slot
	w.strangers = bucket{rate: strangerRate, most: strangerRate, level: strangerRate}
	var err error
	if w.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("tftp: epoll: %w", err)
	}
	if w.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		w.close()
		return nil, fmt.Errorf("tftp: eventfd: %w", err)
	}
	if err := w.watch(unix.EPOLL_CTL_ADD, w.wake, tagWake, unix.EPOLLIN); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// listen adds an endpoint.
func (w *worker) listen(e *endpoint) error {
	i := int32(len(w.endpoints))
	w.endpoints = append(w.endpoints, e)
	e.index = uint8(i)
	e.settle = func(m *staged, errno unix.Errno) { w.settle(e, m, errno) }
	err := w.watch(unix.EPOLL_CTL_ADD, e.data, 2*i+tagData, unix.EPOLLIN)
	if e.requests >= 0 && !e.single() {
		err = errors.Join(err, w.watch(unix.EPOLL_CTL_ADD, e.requests, 2*i+tagRequests, unix.EPOLLIN))
	}
	return err
}

// unwatch ends what watch began. The kernel does it at the end of a socket only,
// which need not come when we close ours.
func (w *worker) unwatch(fd int) {
	// It fails for a descriptor that is not watched.
	_ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, fd, nil)
}

func (w *worker) watch(op, fd int, tag int32, events uint32) error {
	if err := unix.EpollCtl(w.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: tag}); err != nil {
		return fmt.Errorf("tftp: epoll_ctl: %w", err)
	}
	return nil
}

func (w *worker) close() {
	for _, e := range w.endpoints {
		e.close()
	}
	w.mail.Lock()
	defer w.mail.Unlock()
	for _, fd := range []*int{&w.epoll, &w.wake} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
	for _, f := range w.mail.found {
		if f.file != nil {
			f.file.Release()
		}
	}
	w.mail.found = nil
}

// run is the loop. It ends when the worker was told to stop, or with what the
// machine refuses.
func (w *worker) run() error {
	defer close(w.gone)
	defer w.stop()
	w.now = w.server.clock()
	w.endSpoiled()
	w.faults = majorFaults()
	var events [64]unix.EpollEvent
	for {
		w.now = w.server.clock()
		if w.stopping && (w.running == 0 || w.now >= w.stopAt) {
			return nil
		}
		n, errno := epollWait(w.epoll, events[:], w.wait())
		if errno != 0 && errno != unix.EINTR {
			return fmt.Errorf("tftp: epoll_wait: %w", errno)
		}
		w.now = w.server.clock()
		w.turned.Store(int64(w.now))
		unread := w.unread
		for i := range n {
			if err := w.event(&events[i]); err != nil {
				return err
			}
		}
		// Silence is not silence while acknowledgements wait to be read, but not for ever.
		if w.unread != unread && w.behind < maxBehind {
			w.behind++
		} else {
			w.behind = 0
			w.expire()
		}
		for _, e := range w.endpoints {
			w.sendRound(e)
		}
		w.sweep()
		w.countFaults()
		w.tellProgress()
	}
}

// wait returns how long the loop may sleep.
func (w *worker) wait() time.Duration {
	until := w.now.add(Turn)
	for _, e := range w.endpoints {
		if e.watched {
			continue
		}
		if e.ring.first != nil {
			return 0
		}
		if len(e.parking) > 0 {
			until = min(until, e.parking[0].until)
		}
	}
	if w.stopping {
		until = min(until, w.stopAt)
	}
	if id, when, ok := w.timers.first(); ok {
		if when != w.table.slot(id).resume {
			when = when.add(time.Millisecond) // one turn for many rather than one for each
		}
		until = min(until, when)
	}
	return max(0, until.since(w.now))
}

// event serves one descriptor that has something.
func (w *worker) event(ev *unix.EpollEvent) error {
	if ev.Fd == tagWake {
		w.readMail()
		return nil
	}
	e := w.endpoints[ev.Fd/2]
	if ev.Fd%2 == tagRequests {
		return w.receive(e, tagRequests)
	}
	if ev.Events&unix.EPOLLOUT != 0 {
		e.watched = false
		if err := w.watch(unix.EPOLL_CTL_MOD, e.data, ev.Fd, unix.EPOLLIN); err != nil {
			return err
		}
	}
	if ev.Events&unix.EPOLLERR != 0 {
		w.readErrors(e)
	}
	if ev.Events&unix.EPOLLIN != 0 {
		return w.receive(e, tagData)
	}
	return nil
}

// receive takes some batches from a socket.
func (w *worker) receive(e *endpoint, which int) error {
	fd := e.data
	if which == tagRequests {
		fd = e.requests
	}
	if fd < 0 {
		return nil // closed by an order in the same round
	}
	for range recvBatches {
		n, errno := w.recv.recv(fd)
		switch errno {
		case 0:
		case unix.EBADF, unix.ENOTSOCK, unix.EFAULT, unix.EINVAL:
			return fmt.Errorf("tftp: receive on %v: %w", e.addr, errno)
		default:
			return nil // nothing there, or an ICMP error left on the socket
		}
		for i := range n {
			d := &w.incoming
			if !w.recv.datagram(i, d) {
				continue
			}
			if d.counted {
				w.counters.dropped.Add(uint64(d.drops - e.drops[which]))
				e.drops[which] = d.drops
			}
			d.from.endpoint = e.index
			if which == tagRequests || e.single() && !ofTransfer(d.payload) {
				w.onRequest(e, d)
			} else {
				w.onPacket(e, d)
			}
		}
		if n < recvBatch {
			return nil
		}
	}
	w.unread++
	return nil
}

// beginStop lets no request in any more and the loop end after grace.
func (w *worker) beginStop(grace time.Duration) {
	for _, e := range w.endpoints {
		if !e.single() {
			w.unwatch(e.requests)
			e.stopRequests()
		}
	}
	for id := range w.queue {
		w.end(id, w.table.slot(id), Stopped)
	}
	w.stopping, w.stopAt = true, w.now.add(grace)
}

// stop ends all transfers, or leaves them to the next process.
func (w *worker) stop() {
	if w.server.lasting != nil {
		w.abandon()
		return
	}
	w.table.each(func(id slotID, s *slot) {
		if s.phase != ended {
			w.end(id, s, Stopped)
		}
	})
	w.sweep()
}
