package keeper

import (
	"context"
	"io"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	// killAfter is how long the program may take to end after SIGTERM.
	killAfter = 10 * time.Second
	// settled is how long it must have served for the next end not to count as one more of a row.
	settled             = 10 * time.Second
	firstPause, maxWait = 100 * time.Millisecond, 5 * time.Second
)

// Options say what is kept.
type Options struct {
	Args           []string // the program and its arguments
	MaxSockets     int      // in the store
	Signals        <-chan os.Signal
	Stdout, Stderr io.Writer
	Log            func(format string, args ...any)
}

type keeper struct {
	Options
	socket *socket
	store  store
	child  *child

	incoming chan datagram
	ready    bool // the program that runs said so
	ever     bool // one of them did
	failures int  // ends in a row
	final    bool
}

// Run runs the program until it is to end for good and returns its exit code.
func Run(ctx context.Context, o Options) (code int, err error) {
	// The program is told of the end of the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	k := &keeper{Options: o, store: store{max: o.MaxSockets}, incoming: make(chan datagram)}
	defer k.store.close()
	if k.socket, err = listen(); err != nil {
		return 0, err
	}
	gone := make(chan struct{})
	defer close(gone)
	defer k.socket.conn.Close()
	go k.receive(gone)
	for {
		began := time.Now()
		if k.child, err = k.start(); err != nil {
			if !k.ever {
				return 0, err
			}
			k.Log("%v", err)
		} else if code, err = k.run(ctx); err != nil || k.final {
			return code, err
		}
		if !k.ready || time.Since(began) < settled {
			k.failures++
		} else {
			k.failures = 1
		}
		if pause := k.pause(); !k.wait(ctx, pause) {
			return code, nil
		}
	}
}

// pause returns how long to wait before the next start.
func (k *keeper) pause() time.Duration {
	if k.failures <= 1 {
		return 0
	}
	return min(firstPause<<min(k.failures-2, 10), maxWait)
}

// run lets a program run to its end. An error, or final, ends the keeper.
func (k *keeper) run(ctx context.Context) (code int, err error) {
	k.ready = false
	asked := false
	var kill <-chan time.Time
	end := func(sig syscall.Signal) {
		k.child.signal(sig)
		kill = time.After(killAfter)
	}
	done := ctx.Done()
	for {
		select {
		case d := <-k.incoming:
			k.take(d)
		case <-done:
			done = nil
			k.final = true
			end(syscall.SIGTERM)
		case sig := <-k.Signals:
			switch sig {
			case syscall.SIGUSR2:
				asked = true
				end(syscall.SIGUSR2)
			default:
				k.child.signal(sig)
			}
		case <-kill:
			k.Log("%s does not end: killed", k.Args[0])
			k.child.signal(syscall.SIGKILL)
		case <-k.child.exited:
			if err := k.drain(); err != nil {
				return 0, err
			}
			code = k.child.code()
			switch {
			case k.final:
			case asked:
				k.failures = 0
				k.Log("%s is started again", k.Args[0])
			case !k.ever:
				k.final = true
			default:
				k.Log("%s ended (%v), starting it again", k.Args[0], k.child.cmd.ProcessState)
			}
			return code, nil
		}
	}
}

// wait passes the time before the next start. It reports false if there is to be none.
func (k *keeper) wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return ctx.Err() == nil
		case d := <-k.incoming:
			d.close()
		case sig := <-k.Signals:
			if sig == syscall.SIGUSR2 {
				return true
			}
		}
	}
}

// receive hands datagrams over until the socket is closed.
func (k *keeper) receive(gone <-chan struct{}) {
	for {
		d, err := k.socket.receive()
		if err != nil {
			return
		}
		select {
		case k.incoming <- d:
		case <-gone:
			d.close()
			return
		}
	}
}

// drain takes what the program said before it ended.
func (k *keeper) drain() error {
	// Beside us: it waits for room in the socket.
	marked := make(chan error, 1)
	go func() { marked <- k.socket.mark() }()
	for {
		select {
		case d := <-k.incoming:
			if d.pid == os.Getpid() {
				return nil
			}
			k.take(d)
		case err := <-marked:
			if err != nil {
				return err
			}
			marked = nil
		}
	}
}

// take does what the program asks for.
func (k *keeper) take(d datagram) {
	defer d.close()
	if d.pid != k.child.pid() {
		return
	}
	m := parse(d.text)
	switch {
	case m.store:
		for _, f := range d.files {
			if !k.store.add(m.name, f) {
				k.Log("the store is full: %s is not kept", m.name)
			}
		}
		d.files = nil
	case m.remove:
		k.store.remove(m.name)
	}
	if m.ready {
		k.ready, k.ever = true, true
	}
	if m.stopping && k.final {
		m.pass += "\nSTOPPING=1"
	}
	if m.pass != "" {
		if _, err := daemon.SdNotify(false, m.pass); err != nil {
			k.Log("service manager: %v", err)
		}
	}
}

func (d *datagram) close() {
	for _, f := range d.files {
		f.Close()
	}
	d.files = nil
}
