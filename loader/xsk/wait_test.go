package xsk_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/loader/xsk"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

func TestWake(t *testing.T) {
	r := newRig(t, xsk.Config{Frames: 64}, xsktest.Generic)
	buf := make([]xsk.Frame, 4)
	r.socket.Wake() // a wake-up before the wait is not lost
	if n, err := r.socket.Recv(buf, -1); n != 0 || err != nil {
		t.Errorf("woken before: %d, %v", n, err)
	}
	result := make(chan error)
	go func() {
		n, err := r.socket.Recv(buf, -1)
		if n != 0 {
			err = errors.New("received a frame that nobody sent")
		}
		result <- err
	}()
	r.socket.Wake()
	if err := <-result; err != nil {
		t.Errorf("woken: %v", err)
	}
	if n, err := r.socket.Recv(buf, 1); n != 0 || err != nil {
		t.Errorf("after the time: %d, %v", n, err)
	}
}

func TestDeviceDownAndUpAgain(t *testing.T) {
	r := newRig(t, xsk.Config{Frames: 64}, xsktest.Generic)
	buf := make([]xsk.Frame, 4)
	r.near.Down(t)
	if _, err := r.socket.Recv(buf, wait); !errors.Is(err, unix.ENETDOWN) {
		t.Errorf("Recv on a device that is down: %v", err)
	}
	r.socket.Alloc(buf[:1])
	buf[0].Len = copy(buf[0].Buf[buf[0].Off:], frame(1, 60))
	r.socket.Send(buf[:1])
	if err := r.socket.Flush(); !errors.Is(err, unix.ENETDOWN) {
		t.Errorf("Flush on a device that is down: %v", err)
	}
	r.near.Up(t)
	if err := r.socket.Flush(); err != nil {
		t.Errorf("Flush on a device that is up again: %v", err)
	}
	if got := r.tap.Next(t, ours); !bytes.Equal(got, frame(1, 60)) {
		t.Errorf("sent %x", got)
	}
	// The far end notices its carrier in the kernel's own time, and drops until then.
	for tries := 0; ; tries++ {
		r.tap.Send(t, frame(2, 60))
		n, err := r.socket.Recv(buf, 50*time.Millisecond)
		if err != nil || tries == 200 {
			t.Fatalf("nothing received after the device came up: %v", err)
		}
		if r.socket.Release(buf[:n]); n > 0 {
			break
		}
	}
	r.settled(t, 0)
}

func TestDeviceDeleted(t *testing.T) {
	r := newRig(t, xsk.Config{Frames: 64}, xsktest.Generic)
	r.near.Delete(t)
	if _, err := r.socket.Recv(make([]xsk.Frame, 4), -1); !errors.Is(err, unix.ENETDOWN) {
		t.Errorf("Recv on a device that is gone: %v", err)
	}
	r.socket.Close()
	<-r.socket.Done()
}

// The runtime's preemption signals interrupt poll; Recv goes on with what is left of its time.
func TestSignalsDoNotEndRecv(t *testing.T) {
	r := newRig(t, xsk.Config{Frames: 64}, xsktest.Generic)
	type result struct {
		n   int
		err error
	}
	tid, done := make(chan int), make(chan result)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tid <- unix.Gettid()
		n, err := r.socket.Recv(make([]xsk.Frame, 4), wait)
		done <- result{n, err}
	}()
	thread := <-tid
	for range 20 {
		asleep(t, thread)
		if err := unix.Tgkill(unix.Getpid(), thread, unix.SIGURG); err != nil {
			t.Fatal(err)
		}
	}
	asleep(t, thread)
	select {
	case got := <-done:
		t.Fatalf("Recv ended by a signal: %+v", got)
	default:
	}
	r.tap.Send(t, frame(1, 60))
	if got := <-done; got.n != 1 || got.err != nil {
		t.Errorf("Recv: %+v", got)
	}
}

// asleep waits until the thread is in ppoll(2).
func asleep(t *testing.T, thread int) {
	t.Helper()
	for end := time.Now().Add(wait); time.Now().Before(end); {
		line, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", thread))
		if err != nil {
			t.Fatal(err)
		}
		var number int
		if n, _ := fmt.Sscan(string(line), &number); n == 1 && number == unix.SYS_PPOLL {
			return
		}
	}
	t.Fatal("the thread does not sleep")
}
