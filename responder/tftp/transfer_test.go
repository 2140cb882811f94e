package tftp

import (
	"fmt"
	"testing"
	"time"
)

var testTiming = timing{initial: time.Second, floor: 20 * time.Millisecond, ceiling: 4 * time.Second, giveUp: 30 * time.Second, unanswered: 15 * time.Second}

// machine drives a transfer by hand. A millisecond passes before each event.
type machine struct {
	t   *testing.T
	x   transfer
	now instant
	end Outcome
}

// newMachine starts a transfer of so many blocks of 8 bytes; the last one is
// empty. Window 0: without any option.
func newMachine(t *testing.T, blocks, window int) *machine {
	m := &machine{t: t, now: instant(time.Hour)}
	g := grant{blksize: 8, window: 1}
	if window > 0 {
		g.window, g.options = uint16(window), optWindowsize
	}
	m.x.start(m.now, int64(blocks-1)*8, g, &testTiming)
	return m
}

// running starts a transfer and takes it past the OACK.
func newRunning(t *testing.T, blocks, window int) *machine {
	m := newMachine(t, blocks, window)
	m.sends("OACK")
	m.acks(0)
	return m
}

// drain sends all that is due and says what it was.
func (m *machine) drain() string {
	oack, from, to := m.x.due(m.now)
	switch {
	case oack:
		m.x.sentOACK(m.now, &testTiming)
		return "OACK"
	case from < to:
		m.x.sentData(to, m.now, &testTiming)
		return fmt.Sprintf("%d-%d", from, to-1)
	}
	return ""
}

func (m *machine) sends(want string) {
	m.t.Helper()
	if got := m.drain(); got != want {
		m.t.Errorf("sends %q, want %q", got, want)
	}
}

func (m *machine) acks(n uint16) {
	m.now = m.now.add(time.Millisecond)
	if m.end == running {
		m.end = m.x.ack(n, m.now, &testTiming)
	}
}

// wait lets time pass, and the timer expire, without acknowledgements.
func (m *machine) wait(d time.Duration) {
	m.now = m.now.add(d)
	if m.end == running {
		m.end = m.x.expire(m.now, &testTiming)
	}
}

// untilEnd waits until the transfer ends, and returns when after now what was sent.
func (m *machine) untilEnd() (sent []string, after time.Duration) {
	m.t.Helper()
	from := m.now
	for m.end == running {
		if m.now.since(from) > time.Hour {
			m.t.Fatal("the transfer never ends")
		}
		m.now = m.x.deadline
		if m.end = m.x.expire(m.now, &testTiming); m.end == running {
			sent = append(sent, fmt.Sprintf("%v %s", m.now.since(from), m.drain()))
		}
	}
	return sent, m.now.since(from)
}

func TestNegotiation(t *testing.T) {
	statement(t, "G4", "OACK repeated with growing gaps, then given up", func(t *testing.T) {
		m := newMachine(t, 3, 4)
		m.sends("OACK")
		m.sends("")
		sent, after := m.untilEnd()
		want := []string{"1s OACK", "3s OACK", "7s OACK", "11s OACK"}
		if fmt.Sprint(sent) != fmt.Sprint(want) {
			t.Errorf("sent %v, want %v", sent, want)
		}
		if m.end != TimedOut || after != 15*time.Second {
			t.Errorf("%v after %v", m.end, after)
		}
	})
	statement(t, "G5", "ACK 0 starts the data", func(t *testing.T) {
		m := newMachine(t, 3, 1)
		m.acks(0)
		m.sends("OACK") // an ACK that came before the OACK left is none of it
		m.acks(1)
		m.sends("")
		m.acks(0)
		m.sends("1-1")
	})
}

func TestWindow(t *testing.T) {
	statement(t, "H1", "a window, then silence until its acknowledgement", func(t *testing.T) {
		m := newRunning(t, 20, 4)
		m.sends("1-4")
		m.sends("")
		m.acks(4)
		m.sends("5-8")
	})
	statement(t, "H2", "an ACK in the middle restarts behind it", func(t *testing.T) {
		m := newRunning(t, 20, 4)
		m.sends("1-4")
		m.acks(2)
		m.sends("3-6")
		m.acks(6)
		m.sends("7-10")
	})
	statement(t, "H3", "block 1 lost: the window once more, however often the client says so", func(t *testing.T) {
		m := newRunning(t, 20, 4)
		m.sends("1-4")
		m.acks(0)
		m.sends("1-4")
		m.acks(0)
		m.sends("")
		m.acks(0)
		m.sends("")
		m.acks(4)
		m.sends("5-8")
		m.acks(4) // the next window may be repeated again
		m.sends("5-8")
	})
	t.Run("after a time-out the window may be repeated again", func(t *testing.T) {
		m := newRunning(t, 20, 4)
		m.sends("1-4")
		m.acks(0)
		m.sends("1-4")
		m.wait(time.Second)
		m.sends("4-4")
		m.acks(0) // and nothing before it is there
		m.sends("1-4")
		m.acks(0)
		m.sends("")
	})
	t.Run("a block sent again in vain is answered once more, which is no loss", func(t *testing.T) {
		m := newRunning(t, 20, 4)
		m.sends("1-4")
		m.wait(20 * time.Millisecond)
		m.sends("4-4")
		m.acks(4) // of the first sending
		m.sends("5-8")
		m.acks(4) // of the second
		m.sends("")
		m.acks(4) // this one is about 5
		m.sends("5-8")
	})
	t.Run("the last block sent again tells what is missing", func(t *testing.T) {
		m := newRunning(t, 20, 4)
		m.sends("1-4")
		m.wait(20 * time.Millisecond)
		m.sends("4-4")
		m.acks(2)
		m.sends("3-6")
	})
	statement(t, "H4 H5", "block 2 lost: 2 to 5 once, then 6 to 9", func(t *testing.T) {
		m := newRunning(t, 20, 4)
		m.sends("1-4")
		m.acks(1)
		m.sends("2-5")
		m.acks(1)
		m.sends("")
		m.acks(1)
		m.sends("")
		m.acks(5)
		m.sends("6-9")
	})
	statement(t, "H6", "in lock-step a duplicate ACK never causes a DATA", func(t *testing.T) {
		for _, window := range []int{0, 1} {
			m := newMachine(t, 9, window)
			if window == 1 {
				m.sends("OACK")
				m.acks(0)
			}
			m.sends("1-1")
			m.acks(1)
			m.sends("2-2")
			m.acks(1)
			m.sends("")
			m.acks(1)
			m.sends("")
			m.wait(time.Second)
			m.sends("2-2")
			m.acks(1)
			m.sends("")
		}
	})
	statement(t, "H7", "ACKs of what was not sent, or is long past, change nothing", func(t *testing.T) {
		m := newRunning(t, 100, 4)
		m.sends("1-4")
		m.acks(4)
		m.sends("5-8")
		before := m.x
		for _, n := range []uint16{9, 12, 1000, 32772, 65535, 3, 0, 1} {
			m.acks(n)
			m.sends("")
		}
		if m.x != before {
			t.Errorf("state was %+v, is %+v", before, m.x)
		}
		m.acks(8)
		m.sends("9-12")
	})
	t.Run("what was sent before counts after a step back", func(t *testing.T) {
		m := newRunning(t, 20, 4)
		m.sends("1-4")
		m.acks(2) // overtaken by ...
		m.acks(4) // ... the end of the window
		m.sends("5-8")
	})
	t.Run("an answer that comes sooner than any answer could is to something older", func(t *testing.T) {
		m := newRunning(t, 60, 4)
		for n := 4; n <= 32; n += 4 { // the round trip is 1 ms
			m.drain()
			m.acks(uint16(n))
		}
		m.sends("33-36")
		m.end = m.x.ack(32, m.now.add(10*time.Microsecond), &testTiming) // duplicated on the way
		m.sends("")
		m.acks(32) // this one is about 33 to 36
		m.sends("33-36")
		m.end = m.x.ack(34, m.now.add(10*time.Microsecond), &testTiming) // about the first sending
		m.sends("37-38")
		m.acks(34) // about the second
		m.sends("35-38")
	})
	t.Run("a window larger than the file", func(t *testing.T) {
		m := newRunning(t, 3, 64)
		m.sends("1-3")
		m.acks(2)
		m.sends("3-3")
		m.acks(3)
		if m.end != Complete {
			t.Error(m.end)
		}
	})
	t.Run("sent in pieces", func(t *testing.T) {
		m := newRunning(t, 20, 8)
		m.x.sentData(4, m.now, &testTiming)
		m.acks(3) // all that was sent: no loss
		if m.x.repeated {
			t.Error("taken for a partial acknowledgement")
		}
		m.sends("4-11")
	})
}

func TestRetransmission(t *testing.T) {
	statement(t, "H8", "retransmitted after at most 2 s, backed off, given up after at least 20 s", func(t *testing.T) {
		m := newRunning(t, 20, 4)
		m.sends("1-4")
		sent, after := m.untilEnd()
		want := []string{"20ms 4-4", "60ms 1-4", "140ms 1-4", "300ms 1-4", "620ms 1-4", "1.26s 1-4", "2.54s 1-4", "5.1s 1-4",
			"9.1s 1-4", "13.1s 1-4", "17.1s 1-4", "21.1s 1-4", "25.1s 1-4", "29.1s 1-4"}
		if fmt.Sprint(sent) != fmt.Sprint(want) || m.end != TimedOut || after < 30*time.Second {
			t.Errorf("sent %v, %v after %v", sent, m.end, after)
		}
	})
	t.Run("before there is a round trip, the initial wait", func(t *testing.T) {
		m := newMachine(t, 20, 4)
		m.sends("OACK")
		m.wait(time.Second)
		m.sends("OACK")
		m.acks(0) // of which of the two?
		m.sends("1-4")
		sent, after := m.untilEnd()
		if len(sent) < 5 || fmt.Sprint(sent[:2]) != "[2s 1-4 6s 1-4]" || after < 30*time.Second {
			t.Errorf("sent %v, ended after %v", sent, after)
		}
	})
	t.Run("a negotiated timeout is the server's where nothing better is known", func(t *testing.T) {
		m := newMachine(t, 20, 4)
		m.x.grant.timeout = 10
		m.sends("OACK")
		m.wait(time.Second) // it is not negotiated yet
		m.sends("OACK")
		m.acks(0)
		m.sends("1-4")
		sent, after := m.untilEnd()
		if fmt.Sprint(sent) != "[10s 1-4 20s 1-4 30s 1-4]" || after < 40*time.Second {
			t.Errorf("sent %v, ended after %v", sent, after)
		}
	})
	t.Run("a negotiated timeout bounds the back-off of an estimate", func(t *testing.T) {
		m := newMachine(t, 20, 4)
		m.x.grant.timeout = 1
		m.sends("OACK")
		m.acks(0)
		m.sends("1-4")
		sent, _ := m.untilEnd()
		if got := fmt.Sprint(sent[:8]); got != "[20ms 4-4 60ms 1-4 140ms 1-4 300ms 1-4 620ms 1-4 1.26s 1-4 2.26s 1-4 3.26s 1-4]" {
			t.Errorf("sent %v", got)
		}
	})
	t.Run("the back-off stays until a round trip is known again", func(t *testing.T) {
		m := newRunning(t, 20, 1)
		m.sends("1-1")
		m.wait(20 * time.Millisecond)
		m.sends("1-1")
		m.wait(40 * time.Millisecond)
		m.sends("1-1")
		m.acks(1) // of which of the three?
		m.sends("2-2")
		m.wait(79 * time.Millisecond)
		m.sends("")
		m.wait(time.Millisecond)
		m.sends("2-2")
		m.acks(2)
		m.sends("3-3")
		m.acks(3) // sent once
		m.sends("4-4")
		m.wait(20 * time.Millisecond)
		m.sends("4-4")
	})
	t.Run("a client that becomes slow is not sent everything twice for ever", func(t *testing.T) {
		m := newRunning(t, 2000, 4)
		for n := 4; n < 400; n += 4 {
			m.drain()
			for waited := 0; waited < 50; waited++ { // a disk that takes 50 ms for each window
				m.wait(time.Millisecond)
				m.drain()
			}
			m.acks(uint16(n))
		}
		if again := m.x.retransmits; again > 5*4 {
			t.Errorf("%d blocks were sent again", again)
		}
	})
	t.Run("what could not be sent yet is no time-out", func(t *testing.T) {
		m := newRunning(t, 20, 4)
		m.wait(time.Second) // blocks are due all the time
		if m.x.tries != 0 {
			t.Error("counted as a retransmission")
		}
		m.sends("1-4")
	})
	statement(t, "H17", "final ACK missing: the last window a few times, then complete", func(t *testing.T) {
		m := newRunning(t, 6, 4)
		m.sends("1-4")
		m.acks(4)
		m.sends("5-6")
		sent, _ := m.untilEnd()
		if m.end != Complete || len(sent) < 3 || len(sent) > 14 || sent[1] != "60ms 5-6" {
			t.Errorf("%v after %v", m.end, sent)
		}
	})
	statement(t, "H18", "a client that stalls for 10 or 20 s goes on", func(t *testing.T) {
		for _, stall := range []time.Duration{10 * time.Second, 20 * time.Second} {
			m := newRunning(t, 50, 4)
			for n := 4; n < 50; n += 4 {
				m.drain()
				for waited := time.Duration(0); waited < stall; waited += 100 * time.Millisecond {
					m.wait(100 * time.Millisecond)
					m.drain()
				}
				m.acks(uint16(n))
				if m.end != running || m.x.base != uint64(n+1) {
					t.Fatalf("%v at block %d, base %d", m.end, n, m.x.base)
				}
			}
		}
	})
}

func TestEnd(t *testing.T) {
	statement(t, "H9 H10", "the final block is shorter, empty for a multiple and for an empty file", func(t *testing.T) {
		for _, c := range []struct {
			size int64
			last uint64
		}{{0, 1}, {1, 1}, {7, 1}, {8, 2}, {9, 2}, {15, 2}, {16, 3}, {8 << 40, 1<<40 + 1}} {
			var x transfer
			x.start(1, c.size, grant{blksize: 8, window: 1}, &testTiming)
			if x.last != c.last {
				t.Errorf("%d bytes end with block %d, want %d", c.size, x.last, c.last)
			}
			x.base, x.next = x.last+1, x.last+1
			if x.acknowledged() != c.size {
				t.Errorf("%d bytes acknowledged of %d", x.acknowledged(), c.size)
			}
		}
	})
	statement(t, "H11", "numbers go from 65535 to 0, in the middle of a window too", func(t *testing.T) {
		m := newRunning(t, 70_000, 4)
		m.sends("1-4")
		m.acks(2) // the windows now end at 2 modulo 4: 65533 to 65536
		for n := 6; n <= 65534; n += 4 {
			m.sends(fmt.Sprintf("%d-%d", n-3, n))
			m.acks(uint16(n))
		}
		m.sends("65535-65538")
		m.acks(65535)
		m.sends("65536-65539")
		m.acks(65535) // repeated: one resend for the loss has been made
		m.sends("")
		m.acks(1) // 65537
		m.sends("65538-65541")
		m.acks(5)
		m.sends("65542-65545")
		m.acks(65535) // long past
		m.sends("")
		for n := 65545; n < 70_000; n += 4 {
			m.acks(uint16(n))
			m.drain()
		}
		m.acks(uint16(70_000 & 0xffff))
		if m.end != Complete {
			t.Errorf("%v at %+v", m.end, m.x)
		}
	})
	statement(t, "H16", "ERROR and ICMP unreachable stop it", func(t *testing.T) {
		m := newMachine(t, 9, 4)
		m.sends("OACK")
		if how := m.x.unreachable(); how != Unreachable {
			t.Error(how)
		}
		if how := m.x.refused(); how != Aborted {
			t.Error(how)
		}
		m.x.grant.options |= optTsize
		if how := m.x.refused(); how != Probe {
			t.Error(how)
		}
		m.acks(0)
		m.sends("1-4")
		if how := m.x.refused(); how != Aborted {
			t.Error(how)
		}
		m.acks(4)
		m.sends("5-8")
		m.acks(8)
		m.sends("9-9")
		if how := m.x.unreachable(); how != Complete {
			t.Errorf("after the final block: %v", how)
		}
	})
}

func TestRepeatedRequest(t *testing.T) {
	statement(t, "H14", "the first packet again until something is acknowledged", func(t *testing.T) {
		m := newMachine(t, 9, 4)
		m.sends("OACK")
		if m.x.again(m.now) {
			t.Error("another transfer")
		}
		m.sends("OACK")

		m = newMachine(t, 9, 0)
		m.sends("1-1")
		if m.x.again(m.now) {
			t.Error("another transfer")
		}
		m.sends("1-1")
	})
	t.Run("a late duplicate changes nothing, a client that starts over does", func(t *testing.T) {
		for _, window := range []int{0, 4} {
			m := newMachine(t, 9, window)
			m.drain()
			m.acks(uint16(1 - min(window, 1)))
			m.drain()
			before := m.x
			if m.x.again(m.now.add(restartAfter / 2)) {
				t.Error("a late duplicate ends the transfer")
			}
			if m.x != before {
				t.Error("a late duplicate changes the transfer")
			}
			if !m.x.again(m.now.add(restartAfter)) {
				t.Error("a client that starts over gets no new transfer")
			}
		}
	})
	t.Run("while the file is looked up", func(t *testing.T) {
		var x transfer
		if x.again(1) || x.pending(1) {
			t.Error("something is due")
		}
	})
}
