package xsk_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/loader/xsk"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

// resources lists the process's mappings of AF_XDP rings, its sockets and its eventfds.
func resources(t *testing.T) []string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, "socket:") {
			found = append(found, line)
		}
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err == nil && (strings.HasPrefix(target, "socket:") || strings.Contains(target, "eventfd")) {
			found = append(found, fd.Name()+" "+target)
		}
	}
	slices.Sort(found)
	return found
}

// dataBytes returns the size of the process's private writable mappings, a UMEM among them.
func dataBytes(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "VmData: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatal("no VmData in /proc/self/status")
	return 0
}

// umemFrames make a UMEM so large that the runtime's own growth is nothing beside a few of them.
const umemFrames, umemBytes = 1 << 14, 1 << 14 * xsk.FrameSize

func TestCloseLeavesNothing(t *testing.T) {
	xsktest.Namespace(t)
	near, _ := xsktest.Veth(t, 1)
	before, data := resources(t), dataBytes(t)
	for range 8 {
		s := open(t, xsk.Config{IfIndex: near.Index, Frames: umemFrames, RxSize: 64, TxSize: 64})
		if during := resources(t); len(during) < len(before)+6 {
			t.Fatalf("the check sees too little of an open socket (four rings, two descriptors): %q", during)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if after := resources(t); !slices.Equal(after, before) {
			t.Errorf("left after Close: %q, before Open: %q", after, before)
		}
		select {
		case <-s.Done():
		default:
			t.Error("Close returned before the socket was down")
		}
		if s.FD() != -1 || s.Close() != nil {
			t.Error("a closed socket has a descriptor, or cannot be closed twice")
		}
	}
	if grown := dataBytes(t) - data; grown > 4*umemBytes {
		t.Errorf("the process has grown by %d bytes: UMEMs of %d stay mapped", grown, umemBytes)
	}
}

func TestOpenFailureLeavesNothing(t *testing.T) {
	xsktest.Namespace(t)
	near, _ := xsktest.Veth(t, 1)
	before, data := resources(t), dataBytes(t)
	for range 8 {
		_, err := xsk.Open(xsk.Config{IfIndex: near.Index, Queue: 7, Frames: umemFrames, RxSize: 64, TxSize: 64})
		if err == nil {
			t.Fatal("queue 7 of 1 was opened")
		}
		if after := resources(t); !slices.Equal(after, before) {
			t.Errorf("left after a failed Open: %q, before: %q", after, before)
		}
	}
	if grown := dataBytes(t) - data; grown > 4*umemBytes {
		t.Errorf("the process has grown by %d bytes: UMEMs of %d stay mapped", grown, umemBytes)
	}
}

func TestOperationsAfterClose(t *testing.T) {
	r := newRig(t, xsk.Config{Frames: 64}, xsktest.Generic)
	r.socket.Close()
	buf := make([]xsk.Frame, 4)
	if _, err := r.socket.Recv(buf, 0); !errors.Is(err, xsk.ErrClosed) {
		t.Errorf("Recv: %v", err)
	}
	if _, err := r.socket.Send(buf); !errors.Is(err, xsk.ErrClosed) {
		t.Errorf("Send: %v", err)
	}
	if err := r.socket.Flush(); !errors.Is(err, xsk.ErrClosed) {
		t.Errorf("Flush: %v", err)
	}
	if n := r.socket.Alloc(buf); n != 0 {
		t.Errorf("Alloc: %d", n)
	}
	r.socket.Release(buf)
	r.socket.Wake()
	r.socket.Stats()
	if a := r.socket.Account(); a != (xsk.Account{}) {
		t.Errorf("Account: %+v", a)
	}
}

func TestCloseWakesRecv(t *testing.T) {
	r := newRig(t, xsk.Config{Frames: 64}, xsktest.Generic)
	result := make(chan error)
	go func() {
		_, err := r.socket.Recv(make([]xsk.Frame, 4), -1)
		result <- err
	}()
	r.socket.Close() // before or while Recv sleeps: it ends either way
	if err := <-result; !errors.Is(err, xsk.ErrClosed) {
		t.Errorf("Recv: %v", err)
	}
	<-r.socket.Done()
}

// Closed by another goroutine, the memory stays until the owner has given back what it reads.
func TestCloseSparesHeldFrames(t *testing.T) {
	r := newRig(t, xsk.Config{Frames: 64}, xsktest.Generic)
	r.tap.Send(t, frame(1, 200))
	r.tap.Send(t, frame(2, 200))
	got := r.recv(t, 2)
	closed := make(chan struct{})
	go func() { r.socket.Close(); close(closed) }()
	<-closed
	for i := range got {
		if !bytes.Equal(got[i].Data(), frame(i+1, 200)) {
			t.Errorf("frame %d changed", i)
		}
	}
	r.socket.Release(got[:1])
	select {
	case <-r.socket.Done():
		t.Fatal("the socket is down while a frame is held")
	default:
	}
	if _, err := r.socket.Recv(make([]xsk.Frame, 1), -1); !errors.Is(err, xsk.ErrClosed) {
		t.Errorf("Recv: %v", err)
	}
	if !bytes.Equal(got[1].Data(), frame(2, 200)) {
		t.Error("frame changed")
	}
	r.socket.Release(got[1:])
	<-r.socket.Done()
	if st := r.socket.Stats(); st.Received != 2 {
		t.Errorf("stats after Close: %+v", st)
	}
}

// A worker in full swing, closed from elsewhere.
func TestCloseUnderTraffic(t *testing.T) {
	for range 5 {
		t.Run("", func(t *testing.T) {
			r := newRig(t, xsk.Config{Frames: 256}, xsktest.Native)
			working, result := make(chan struct{}), make(chan error)
			go func() {
				buf := make([]xsk.Frame, 16)
				for rounds := 0; ; rounds++ {
					n, err := r.socket.Recv(buf, -1)
					if err != nil {
						result <- err
						return
					}
					for i := range buf[:n] {
						buf[i].Data()[17]++
					}
					sent, _ := r.socket.Send(buf[:n])
					r.socket.Release(buf[sent:n])
					r.socket.Flush()
					r.socket.Stats()
					if rounds == 10 {
						close(working)
					}
				}
			}()
			for i := 0; ; i++ {
				r.tap.Send(t, frame(i, 100))
				select {
				case <-working:
				default:
					continue
				}
				break
			}
			r.socket.Close()
			if err := <-result; !errors.Is(err, xsk.ErrClosed) {
				t.Error(err)
			}
			<-r.socket.Done()
		})
	}
}

// The kernel frees a closed socket's queue a little later; opening it again must not fail for that.
func TestReopenAtOnce(t *testing.T) {
	xsktest.Namespace(t)
	near, _ := xsktest.Veth(t, 1)
	for range 10 {
		s := open(t, xsk.Config{IfIndex: near.Index, Frames: 64})
		s.Close()
	}
}

func TestQueueBusy(t *testing.T) {
	xsktest.Namespace(t)
	near, _ := xsktest.Veth(t, 1)
	open(t, xsk.Config{IfIndex: near.Index, Frames: 64})
	_, err := xsk.Open(xsk.Config{IfIndex: near.Index, Frames: 64})
	if !errors.Is(err, xsk.ErrQueueBusy) || !errors.Is(err, unix.EBUSY) {
		t.Errorf("second socket on a queue: %v", err)
	}
}
