package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

const (
	testStale = 30_000_000_000 // ns; long, so that a busy machine does not look like a dead daemon
	testRing  = 16 << 10
)

// kernel is the loaded program with its maps.
type kernel struct {
	*ebpf.Collection
	prog *ebpf.Program
}

// needRoot skips a test where the machine forbids BPF, and says what is
// missing. A program that the verifier refuses is never a reason to skip.
func needRoot(tb testing.TB, err error) {
	tb.Helper()
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) {
		tb.Fatalf("verifier: %+v", refused)
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		tb.Skipf("needs root (CAP_BPF, CAP_NET_ADMIN): %v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func loadKernel(tb testing.TB, stale uint64, ring uint32) *kernel {
	tb.Helper()
	spec, err := LoadSpec()
	if err != nil {
		tb.Fatal(err)
	}
	return loadSpecKernel(tb, spec, stale, ring)
}

// loadSpecKernel loads a spec that has been changed.
func loadSpecKernel(tb testing.TB, spec *ebpf.CollectionSpec, stale uint64, ring uint32) *kernel {
	tb.Helper()
	if err := spec.Variables[StaleNS].Set(stale); err != nil {
		tb.Fatal(err)
	}
	spec.Maps[RequestsMap].MaxEntries = ring
	coll, err := ebpf.NewCollection(spec)
	needRoot(tb, err)
	tb.Cleanup(coll.Close)
	k := &kernel{coll, coll.Programs[ProgramName]}
	k.classes(tb, "PXEClient", "HTTPClient")
	for _, a := range []struct {
		ip   [4]byte
		mac  [6]byte
		vids []uint16
	}{
		{ourIP, ourMAC, nil},
		{[4]byte{192, 0, 2, 255}, broadcastMAC, nil},
		{[4]byte{198, 51, 100, 1}, ourMAC, []uint16{7}},
		{[4]byte{198, 51, 100, 2}, ourMAC, []uint16{5, 6}},
	} {
		key, err := NewAddrKey(netip.AddrFrom4(a.ip), a.vids...)
		if err != nil {
			tb.Fatal(err)
		}
		k.put(tb, AddrsMap, key, AddrValue{a.mac})
	}
	key, err := AnyVLANKey(netip.AddrFrom4([4]byte{192, 0, 2, 99}))
	if err != nil {
		tb.Fatal(err)
	}
	k.put(tb, AddrsMap, key, AddrValue{ourMAC})
	k.beat(tb, 0)
	return k
}

func (k *kernel) put(tb testing.TB, name string, key, value any) {
	tb.Helper()
	if err := k.Maps[name].Put(key, value); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
}

func (k *kernel) steer(tb testing.TB, s Settings) {
	tb.Helper()
	k.put(tb, SettingsMap, uint32(0), s)
}

func (k *kernel) classes(tb testing.TB, prefixes ...string) {
	tb.Helper()
	entries, err := Classes(prefixes)
	if err != nil {
		tb.Fatal(err)
	}
	for i, e := range entries {
		k.put(tb, ClassesMap, uint32(i), e)
	}
}

func monotonic(tb testing.TB) uint64 {
	tb.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		tb.Fatal(err)
	}
	return uint64(ts.Nano())
}

// beat writes a heartbeat that is off by so many ns from now.
func (k *kernel) beat(tb testing.TB, off int64) {
	tb.Helper()
	k.put(tb, HeartbeatMap, uint32(0), monotonic(tb)+uint64(off))
}

func (k *kernel) counters(tb testing.TB) [NumReasons]uint64 {
	tb.Helper()
	var sums [NumReasons]uint64
	for r := range NumReasons {
		var perCPU []uint64
		if err := k.Maps[CountersMap].Lookup(uint32(r), &perCPU); err != nil {
			tb.Fatal(err)
		}
		for _, n := range perCPU {
			sums[r] += n
		}
	}
	return sums
}

// xdpContext is struct xdp_md, for BPF_PROG_RUN.
type xdpContext struct {
	Data, DataEnd, DataMeta       uint32
	IfIndex, RXQueue, EgressIndex uint32
}

// run gives one frame to the program and returns how it ended. It fails the
// test unless exactly one counter moved, by one, the action is the reason's,
// and the frame is as it was.
func (k *kernel) run(tb testing.TB, in []byte, ctx *xdpContext) Reason {
	tb.Helper()
	reason, out := k.answer(tb, in, ctx)
	if string(out) != string(in) {
		tb.Errorf("reason %v: the frame was changed\n in %x\nout %x", reason, in, out)
	}
	return reason
}

// answer is run for a program that may change the frame, which it returns.
func (k *kernel) answer(tb testing.TB, in []byte, ctx *xdpContext) (Reason, []byte) {
	tb.Helper()
	before := k.counters(tb)
	opts := &ebpf.RunOptions{Data: in, DataOut: make([]byte, len(in)+1024)}
	if ctx != nil {
		opts.Context = *ctx
	}
	ret, err := k.prog.Run(opts)
	if err != nil {
		tb.Fatalf("run: %v", err)
	}
	after := k.counters(tb)
	reason := NumReasons
	for r := range NumReasons {
		switch after[r] - before[r] {
		case 0:
		case 1:
			if reason != NumReasons {
				tb.Fatalf("counted twice: %v and %v", reason, r)
			}
			reason = r
		default:
			tb.Fatalf("%v counted %d times", r, after[r]-before[r])
		}
	}
	if reason == NumReasons {
		tb.Fatalf("no counter moved; action %v", Action(ret))
	}
	if Action(ret) != reason.Action() {
		tb.Errorf("reason %v: action %v, want %v", reason, Action(ret), reason.Action())
	}
	return reason, opts.DataOut
}

// records opens the ring buffer; drain empties it.
func (k *kernel) records(tb testing.TB) *ringbuf.Reader {
	tb.Helper()
	return openRing(tb, k, RequestsMap)
}

func openRing(tb testing.TB, k *kernel, name string) *ringbuf.Reader {
	tb.Helper()
	rd, err := ringbuf.NewReader(k.Maps[name])
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { rd.Close() })
	return rd
}

func drain(tb testing.TB, rd *ringbuf.Reader) [][]byte {
	tb.Helper()
	var records [][]byte
	rd.SetDeadline(monotonicPast)
	for {
		rec, err := rd.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return records
		}
		if err != nil {
			tb.Fatal(err)
		}
		records = append(records, rec.RawSample)
	}
}

// openXSK returns an AF_XDP socket that is good enough for an XSKMAP.
func openXSK(tb testing.TB) int {
	tb.Helper()
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		needRoot(tb, fmt.Errorf("AF_XDP socket: %w", err))
	}
	tb.Cleanup(func() { unix.Close(fd) })
	return fd
}
