package tftp

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/tftp/tftptest"
)

// simulation runs the state machine against the test client over a bad network,
// on a clock of its own.
type simulation struct {
	now      instant
	x        transfer
	begun    bool
	end      Outcome
	file     []byte
	blksize  int
	window   int
	client   *tftptest.Receiver
	err      error
	toClient *tftptest.Link
	toServer *tftptest.Link
	flying   flights
	order    int
	sent     int // DATA packets
}

type flight struct {
	at       instant
	order    int
	toClient bool
	packet   []byte
}

type flights []flight

func (f flights) Len() int { return len(f) }
func (f flights) Less(i, j int) bool {
	return f[i].at < f[j].at || f[i].at == f[j].at && f[i].order < f[j].order
}
func (f flights) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)   { *f = append(*f, x.(flight)) }
func (f *flights) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

const simLatency = 500 * time.Microsecond

func (s *simulation) fly(toClient bool) func([]byte) {
	return func(p []byte) {
		s.order++
		heap.Push(&s.flying, flight{s.now.add(simLatency), s.order, toClient, bytes.Clone(p)})
	}
}

func (s *simulation) fromServer(p []byte) { s.toClient.Pass(p, s.fly(true)) }
func (s *simulation) fromClient(p []byte) { s.toServer.Pass(p, s.fly(false)) }

// serve sends what the server has due.
func (s *simulation) serve() {
	if !s.begun || s.end != running {
		return
	}
	oack, from, to := s.x.due(s.now)
	if oack {
		s.x.sentOACK(s.now, &testTiming)
		s.fromServer(s.x.grant.appendOACK(nil, s.x.size))
	}
	for n := from; n < to; n++ {
		first := int(n-1) * s.blksize
		p := binary.BigEndian.AppendUint16([]byte{0, opDATA}, uint16(n))
		s.sent++
		s.fromServer(append(p, s.file[first:min(first+s.blksize, len(s.file))]...))
	}
	if from < to {
		s.x.sentData(to, s.now, &testTiming)
	}
}

func (s *simulation) onServer(p []byte) {
	switch {
	case s.end != running:
	case p[1] == opRRQ && !s.begun:
		req, how := parseRequest(p)
		if how != running {
			panic(how)
		}
		s.begun = true
		s.x.start(s.now, int64(len(s.file)), req.grant(limits{blksize: maxBlksize, window: maxWindow}), &testTiming)
	case p[1] == opRRQ:
		if s.x.again(s.now) {
			s.x.start(s.now, int64(len(s.file)), s.x.grant, &testTiming)
		}
	case p[1] == opACK:
		s.end = s.x.ack(binary.BigEndian.Uint16(p[2:]), s.now, &testTiming)
	}
	s.serve()
}

// run returns the simulated time that the download took.
func (s *simulation) run() (time.Duration, error) {
	start := s.now
	const retry = 4 * time.Second // edk2's
	repeatAt := s.now.add(retry)
	s.fromClient(s.client.Last())
	for !s.client.Done && s.err == nil {
		if s.now.since(start) > 24*time.Hour {
			return 0, fmt.Errorf("no end: %+v", s.x)
		}
		switch {
		case len(s.flying) > 0:
			f := heap.Pop(&s.flying).(flight)
			s.now = f.at
			if !f.toClient {
				s.onServer(f.packet)
				continue
			}
			unwanted := s.client.Unwanted
			var answer []byte
			if answer, s.err = s.client.Take(f.packet); answer != nil {
				s.fromClient(answer)
			}
			if s.client.Unwanted == unwanted {
				repeatAt = s.now.add(retry)
			}
		case s.toClient.Holds() || s.toServer.Holds():
			s.toClient.Flush(s.fly(true))
			s.toServer.Flush(s.fly(false))
		case s.begun && s.end == running && s.x.deadline <= repeatAt:
			s.now = max(s.now, s.x.deadline)
			s.end = s.x.expire(s.now, &testTiming)
			s.serve()
		default:
			s.now = max(s.now, repeatAt)
			repeatAt = s.now.add(retry)
			s.fromClient(s.client.Last())
		}
	}
	return s.now.since(start), s.err
}

func randomFile(size int, seed uint64) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

// TestLossInSimulation downloads over networks that lose, duplicate and
// reorder in both directions: every byte is right, whatever the seed.
func TestLossInSimulation(t *testing.T) {
	const seeds = uint64(6)
	for _, size := range []int{0, 1, 511, 512, 1468 * 16, 100_000, 1 << 20} {
		for _, c := range []struct{ blksize, window int }{{0, 0}, {1468, 0}, {1468, 4}, {1468, 16}, {1024, 64}} {
			for _, chance := range []float64{0.01, 0.10} {
				t.Run(fmt.Sprintf("%d bytes, blksize %d, window %d, %g %%", size, c.blksize, c.window, 100*chance), func(t *testing.T) {
					t.Parallel()
					file := randomFile(size, uint64(size))
					for seed := range seeds {
						var got bytes.Buffer
						f := tftptest.Faults{Loss: chance, Duplicate: chance, Reorder: chance}
						s := &simulation{now: 1, file: file, blksize: max(c.blksize, 512), window: c.window,
							client:   tftptest.NewReceiver(tftptest.Request{Name: "f", Blksize: c.blksize, Window: c.window}, &got),
							toClient: tftptest.NewLink(f, 2*seed), toServer: tftptest.NewLink(f, 2*seed+1)}
						if c.blksize == 0 {
							s.blksize = 512
						}
						s.client.EveryGap = seed%2 == 0
						took, err := s.run()
						if err != nil {
							t.Fatalf("seed %d: %v", seed, err)
						}
						if !bytes.Equal(got.Bytes(), file) {
							t.Fatalf("seed %d: %d bytes arrived, not the file", seed, got.Len())
						}
						if seed == 0 {
							t.Logf("%v simulated, %d DATA packets for %d blocks", took, s.sent, s.client.Blocks)
						}
					}
				})
			}
		}
	}
}

// TestRolloverInLockStep is H11 for clients without windows.
func TestRolloverInLockStep(t *testing.T) {
	var got bytes.Buffer
	request := tftptest.Request{Name: "f", Blksize: 8}
	s := &simulation{now: 1, file: randomFile(8*70_001+3, 3), blksize: 8, client: tftptest.NewReceiver(request, &got),
		toClient: tftptest.NewLink(tftptest.Faults{}, 1), toServer: tftptest.NewLink(tftptest.Faults{}, 2)}
	if _, err := s.run(); err != nil || !bytes.Equal(got.Bytes(), s.file) || s.sent != 70_002 {
		t.Errorf("%v: %d bytes in %d packets", err, got.Len(), s.sent)
	}
}

// TestNoSorcerersApprentice has one packet duplicated, once: the traffic must
// not stay doubled for the rest of the transfer, with any kind of client.
func TestNoSorcerersApprentice(t *testing.T) {
	for _, window := range []int{0, 4, 16} {
		for _, everyGap := range []bool{false, true} {
			var got bytes.Buffer
			s := &simulation{now: 1, file: randomFile(512*2000, 1), blksize: 512, window: window,
				client:   tftptest.NewReceiver(tftptest.Request{Name: "f", Window: window}, &got),
				toClient: tftptest.NewLink(tftptest.Faults{}, 1)}
			s.client.EveryGap = everyGap
			once := false
			deliver := s.fly(false)
			deliver(s.client.Last())
			for !s.client.Done && len(s.flying) > 0 {
				f := heap.Pop(&s.flying).(flight)
				s.now = f.at
				if !f.toClient {
					s.onServer(f.packet)
					continue
				}
				answer, err := s.client.Take(f.packet)
				if err != nil {
					t.Fatal(err)
				}
				if answer != nil {
					deliver(answer)
					if !once && s.client.Blocks >= 160 {
						once = true
						deliver(answer)
					}
				}
			}
			if !s.client.Done || !bytes.Equal(got.Bytes(), s.file) {
				t.Fatalf("window %d, every gap %v: the download did not end", window, everyGap)
			}
			if extra := s.sent - int(s.client.Blocks); extra > 2*max(window, 1) {
				t.Errorf("window %d, every gap %v: one duplicate ACK cost %d DATA packets", window, everyGap, extra)
			}
		}
	}
}

// FuzzAck feeds a transfer what a hostile client and a bad clock can: whatever
// it says, it sends blocks of the file only and never more than a window beyond
// what was acknowledged.
func FuzzAck(f *testing.F) {
	f.Add(uint16(20), uint8(4), []byte{0, 0, 0, 0, 4, 2, 0, 0, 6, 1, 200})
	f.Add(uint16(65535), uint8(64), []byte{0, 0, 0, 2, 0, 64, 0, 0, 0, 3, 9})
	f.Add(uint16(1), uint8(1), []byte{1, 255, 1, 255, 0, 0, 0})
	f.Add(uint16(0), uint8(255), []byte{3, 1, 2, 0, 0, 0, 255, 255})
	f.Fuzz(func(t *testing.T, blocks uint16, window uint8, events []byte) {
		const blksize = 8
		g := grant{blksize: blksize, window: max(1, uint16(window))}
		if window > 0 {
			g.options = optWindowsize
		}
		var x transfer
		now := instant(1)
		size := int64(blocks) * blksize
		x.start(now, size, g, &testTiming)
		base := x.base
		next := func() byte {
			if len(events) == 0 {
				return 0
			}
			b := events[0]
			events = events[1:]
			return b
		}
		for len(events) > 0 {
			how := running
			switch next() % 6 {
			case 0: // any ACK at all
				how = x.ack(uint16(next())<<8|uint16(next()), now, &testTiming)
			case 1: // one near the window
				how = x.ack(uint16(x.base)+uint16(next())-128, now, &testTiming)
			case 2: // the whole window
				how = x.ack(uint16(x.next-1), now, &testTiming)
			case 3:
				now = now.add(time.Duration(next()) * 50 * time.Millisecond)
				how = x.expire(now, &testTiming)
			case 4:
				if x.again(now) {
					return
				}
			case 5:
				now = now.add(time.Duration(next()) * time.Microsecond)
			}
			if x.base < base || x.next < x.base || x.high < x.next || x.high > x.last+1 || x.next > x.base+uint64(g.window) {
				t.Fatalf("impossible state %+v", x)
			}
			base = x.base
			if how != running {
				if how == Complete && x.high != x.last+1 {
					t.Fatalf("complete without the final block: %+v", x)
				}
				return
			}
			oack, from, to := x.due(now)
			if oack {
				x.sentOACK(now, &testTiming)
			}
			if from < to {
				if from < x.base || to > x.base+uint64(g.window) || to > x.last+1 || int64(from-1)*blksize > size {
					t.Fatalf("blocks %d to %d of %+v", from, to-1, x)
				}
				if part := from + 1 + uint64(next())%(to-from); part <= to {
					x.sentData(part, now, &testTiming)
				}
			}
		}
	})
}
