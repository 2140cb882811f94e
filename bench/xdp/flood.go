package xdp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Place is four bytes of a frame that hold Base, with the bits of Mask from a random number.
type Place struct {
	At         int
	Mask, Base [4]byte
}

// FloodOptions say what a Flood sends.
type FloodOptions struct {
	Interface string // in the calling thread's network namespace; what is at its other end must take XDP frames
	Frame     []byte
	// Random are the places of each random number, FloodWords with FloodPlaces at most.
	Random [][]Place
	// IPAt is where the frame's IPv4 header is, if it changes: its checksum is then made. 0: it does not.
	IPAt int
}

// Flood is a live sender of one frame.
type Flood struct {
	ifindex int
	frame   []byte
	netns   *os.File
	objects struct {
		Send     *ebpf.Program `ebpf:"xdpxe_flood"`
		Flood    *ebpf.Map     `ebpf:"flood_map"`
		Counters *ebpf.Map     `ebpf:"counters_map"`
	}
}

func (o *FloodOptions) value() (v flood, err error) {
	if len(o.Frame) < 14 || len(o.Frame) > MaxFrame || len(o.Random) > FloodWords || o.IPAt < 0 || o.IPAt+20 > len(o.Frame) {
		return v, errors.New("frame or number of random numbers out of range")
	}
	v.Len, v.IPAt = uint32(len(o.Frame)), uint32(o.IPAt)
	copy(v.Frame[:], o.Frame)
	for i, places := range o.Random {
		if len(places) > FloodPlaces {
			return v, fmt.Errorf("a random number in %d places, at most %d", len(places), FloodPlaces)
		}
		for j, p := range places {
			if p.At < 0 || p.At+4 > len(o.Frame) {
				return v, fmt.Errorf("a random number at %d of %d bytes", p.At, len(o.Frame))
			}
			v.Place[i][j] = place{At: uint32(p.At), Mask: p.Mask, Base: p.Base}
		}
	}
	return v, nil
}

// OpenFlood loads the program; it attaches nothing.
func OpenFlood(o FloodOptions) (f *Flood, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("flood on %s: %w", o.Interface, err), f.Close())
			f = nil
		}
	}()
	f = &Flood{frame: append(slices.Clone(o.Frame), 0)} // set_length in send.h says why one more
	v, err := o.value()
	if err != nil {
		return f, err
	}
	if f.netns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return f, err
	}
	ifi, err := net.InterfaceByName(o.Interface)
	if err != nil {
		return f, err
	}
	f.ifindex = ifi.Index
	if err := loadGunObjects(&f.objects, nil); err != nil {
		return f, err
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return f, err
	}
	return f, f.objects.Flood.Put(uint32(0), slices.Repeat([]flood{v}, cpus))
}

// floodSlice is what is sent at a time, and bounds how uneven the rate is; the
// set-up of a run call, some 20 ms, has to fit in.
const floodSlice = 100 * time.Millisecond

// Fire sends so many frames a second for a time, or as many as it can if that
// is less, from one CPU (-1: the scheduler's choice), and returns how many it
// handed to the device. The end of ctx is no error.
func (f *Flood) Fire(ctx context.Context, rate float64, d time.Duration, cpu int) (sent uint64, err error) {
	before, err := f.sent()
	if err != nil {
		return 0, err
	}
	done := make(chan error)
	go func() { done <- f.fire(ctx, rate, d, cpu) }()
	if err := <-done; err != nil {
		return 0, fmt.Errorf("flood: %w", err)
	}
	after, err := f.sent()
	return after - before, err
}

// fire runs on a thread that ends with its goroutine: it is in another namespace, and may be on one CPU.
func (f *Flood) fire(ctx context.Context, rate float64, d time.Duration, cpu int) error {
	runtime.LockOSThread()
	if err := unix.Setns(int(f.netns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the namespace: %w", err)
	}
	if cpu != anyCPU {
		var set unix.CPUSet
		set.Set(cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("bind to CPU %d: %w", cpu, err)
		}
	}
	tick := time.NewTicker(floodSlice)
	defer tick.Stop()
	slice := max(int(rate*floodSlice.Seconds()), 1)
	for begin := time.Now(); time.Since(begin) < d && ctx.Err() == nil; {
		_, err := f.objects.Send.Run(&ebpf.RunOptions{
			Data:    f.frame,
			Context: runContext{DataEnd: uint32(len(f.frame)), IngressIfindex: uint32(f.ifindex)},
			Flags:   liveFrames,
			Repeat:  uint32(min(slice, mostRun)),
		})
		if err != nil {
			return fmt.Errorf("run live frames (Linux 5.18, CAP_SYS_ADMIN): %w", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}

func (f *Flood) sent() (n uint64, err error) {
	var perCPU []uint64
	if err := f.objects.Counters.Lookup(uint32(counterSent), &perCPU); err != nil {
		return 0, err
	}
	for _, v := range perCPU {
		n += v
	}
	return n, nil
}

// Close unloads everything.
func (f *Flood) Close() error {
	var errs []error
	for _, c := range []interface{ Close() error }{f.objects.Send, f.objects.Flood, f.objects.Counters} {
		errs = append(errs, c.Close())
	}
	if f.netns != nil {
		errs = append(errs, f.netns.Close())
	}
	return errors.Join(errs...)
}
