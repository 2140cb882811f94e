package tftp

import (
	"encoding/binary"
	"sync"

	"golang.org/x/sys/unix"
)

// mailbox holds what other goroutines want of a worker.
type mailbox struct {
	sync.Mutex
	found  []found
	loaded []loaded
	places []ticket
	orders []func(*worker)
}

// post hands the worker the answer to a lookup. Any goroutine may.
func (w *worker) post(f found) {
	w.mail.Lock()
	defer w.mail.Unlock()
	w.mail.found = append(w.mail.found, f)
	w.rouse()
}

// postLoaded hands the worker the answer to a wait for a chunk. Any goroutine may.
func (w *worker) postLoaded(l loaded) {
	w.mail.Lock()
	defer w.mail.Unlock()
	w.mail.loaded = append(w.mail.loaded, l)
	w.rouse()
}

// admitted tells the worker that a request of its has got a place. Any goroutine may.
func (w *worker) admitted(t ticket) {
	w.mail.Lock()
	defer w.mail.Unlock()
	w.mail.places = append(w.mail.places, t)
	w.rouse()
}

// order lets the loop run f. Any goroutine may.
func (w *worker) order(f func(*worker)) {
	w.mail.Lock()
	defer w.mail.Unlock()
	w.mail.orders = append(w.mail.orders, f)
	w.rouse()
}

// rouse wakes the loop. mail is locked.
func (w *worker) rouse() {
	if w.wake < 0 {
		return
	}
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	// EAGAIN: the counter is full, so the loop has enough to wake for.
	_, _ = unix.Write(w.wake, one[:])
}

// readMail takes what other goroutines left.
func (w *worker) readMail() {
	var count [8]byte
	// Whatever it says, the mail is read.
	_, _ = unix.Read(w.wake, count[:])
	w.mail.Lock()
	results, loads, places, orders := w.mail.found, w.mail.loaded, w.mail.places, w.mail.orders
	w.mail.found, w.mail.loaded, w.mail.places, w.mail.orders = nil, nil, nil, nil
	w.mail.Unlock()
	for _, f := range orders {
		f(w)
	}
	for i := range places {
		w.onPlace(&places[i])
	}
	for i := range results {
		w.onFound(&results[i])
	}
	for i := range loads {
		w.onLoaded(&loads[i])
	}
}
