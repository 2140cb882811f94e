package tftpload

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/tftpc"
)

// The draws are the seed's: the same for the same, with the shares that were asked for.
func TestDraw(t *testing.T) {
	i := Impairment{Loss: 0.1, Duplicate: 0.05, Reorder: 0.02, Delay: time.Millisecond, Jitter: time.Millisecond}
	const n = 100000
	a, b := rand.NewPCG(7, 1), rand.NewPCG(7, 1)
	var lost, twice, late float64
	for range n {
		f := i.draw(a)
		if f != i.draw(b) {
			t.Fatal("the same seed gives another fate")
		}
		switch f.copies {
		case 0:
			lost++
			continue
		case 2:
			twice++
		}
		if d := f.delay[0]; d >= 2*time.Millisecond {
			late++
		} else if d < time.Millisecond {
			t.Fatalf("delay %v", d)
		}
	}
	for _, c := range []struct {
		what string
		got  float64
		want float64
	}{{"lost", lost, 0.1}, {"twice", twice, 0.05 * 0.9}, {"late", late, 0.02 * 0.9}} {
		if math.Abs(c.got/n-c.want) > 0.003 { // three standard deviations are 0.0029
			t.Errorf("%s: %g, want %g", c.what, c.got/n, c.want)
		}
	}
	// One share does not change what another one hits.
	more := i
	more.Duplicate, more.Jitter = 0.5, 0
	a, b = rand.NewPCG(7, 1), rand.NewPCG(7, 1)
	for range n {
		if (i.draw(a).copies == 0) != (more.draw(b).copies == 0) {
			t.Fatal("with more duplicates other packets are lost")
		}
	}
}

func TestImpairedLoads(t *testing.T) {
	file := Pattern(99*64 + 10)
	const transfers = 6
	for _, c := range []struct {
		name   string
		change func(c *Config)
		check  func(t *testing.T, r *Report, server *fake)
	}{
		{"everything twice, in", func(c *Config) { c.In.Duplicate = 1; c.Transfer.Rules.Duplicate = tftpc.DuplicateIgnore }, func(t *testing.T, r *Report, _ *fake) {
			// The copies of the OACK are acknowledged, too; those of the final block find nobody.
			if r.Completed != transfers || r.Packets.Duplicates != 99*transfers || r.Packets.Acks != 15*transfers {
				t.Errorf("%v, %+v", r.Failures, r.Packets)
			}
		}},
		{"everything twice, out", func(c *Config) { c.Out.Duplicate = 1; c.Loops = 1; c.Transfer.Request.Window = 1 }, func(t *testing.T, r *Report, server *fake) {
			// Two requests are two transfers to this server, and the client takes the
			// first; an OACK of the other may come when it is done.
			if r.Completed != 3 || r.Packets.Requests != 3 || r.Packets.Ignored > 3 {
				t.Errorf("%v, %+v", r.Failures, r.Packets)
			}
			server.wait("requests", &server.requests, 6)
			server.wait("ACKs", &server.acks, 2*r.Packets.Acks)
		}},
		{"nothing comes", func(c *Config) { c.In.Loss = 1; quick(c) }, func(t *testing.T, r *Report, server *fake) {
			if r.Failures["timeout"] != transfers || r.Packets.Requests != 3*transfers || r.Packets.Resent != 2*transfers || r.DroppedIn > 3*transfers {
				t.Errorf("%v, %d dropped, %+v", r.Failures, r.DroppedIn, r.Packets)
			}
		}},
		{"nothing leaves", func(c *Config) { c.Out.Loss = 1; quick(c) }, func(t *testing.T, r *Report, server *fake) {
			if r.Failures["timeout"] != transfers || r.DroppedOut != 3*transfers || server.requests.Load() != 0 {
				t.Errorf("%v, %d dropped, %d came", r.Failures, r.DroppedOut, server.requests.Load())
			}
		}},
		{"delays", func(c *Config) { c.In.Delay, c.Out.Delay = 10*time.Millisecond, 5*time.Millisecond }, func(t *testing.T, r *Report, server *fake) {
			// RRQ, OACK, ACK, DATA.
			if r.Completed != transfers || r.First.Quantile(0) < 0.0299 || r.Times.Quantile(0) < 0.0299+12*0.015 {
				t.Errorf("%v, first byte after %g s, done after %g s", r.Failures, r.First.Quantile(0), r.Times.Quantile(0))
			}
			server.wait("ACKs", &server.acks, r.Packets.Acks) // the last ones leave although their clients are done
			if r.Limit.By != "request" {
				t.Errorf("%+v", r.Limit)
			}
		}},
		{"slow clients", func(c *Config) { c.Slow = Slow{Share: 1, Rate: 100e3}; c.Loops = 1 }, func(t *testing.T, r *Report, _ *fake) {
			// What the last of eight-block windows takes is after the end.
			if want := (float64(len(file)) - 8*64) / 100e3; r.Completed != 3 || r.Times.Quantile(0) < 0.99*want {
				t.Errorf("%v, done after %g s, want %g", r.Failures, r.Times.Quantile(0), want)
			}
		}},
		{"half of the clients acknowledge late", func(c *Config) {
			c.Clients = 4
			c.Loops = 1
			c.Slow = Slow{Share: 0.5, AckDelay: 20 * time.Millisecond}
		}, func(t *testing.T, r *Report, _ *fake) {
			if r.Completed != 4 || r.Times.Quantile(1) < 14*0.0199 {
				t.Errorf("%v, the last done after %g s", r.Failures, r.Times.Quantile(1))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := newFake(t, file, faults{})
			cfg := config(server.addr(), file)
			c.change(&cfg)
			c.check(t, load(t, cfg), server)
		})
	}
}

// What a slow client did not read yet is no silence of the server's.
func TestSlowIsNoSilence(t *testing.T) {
	t.Parallel()
	server := newFake(t, Pattern(8*64+10), faults{})
	cfg := config(server.addr(), server.file)
	cfg.Loops = 1
	cfg.Slow = Slow{Share: 1, Rate: 8 * 64 / 2.5} // a window takes longer than the retries
	cfg.Transfer.Retry = tftpc.Retry{First: 2 * time.Second}
	if r := load(t, cfg); r.Completed != 3 {
		t.Errorf("%v", r.Failures)
	}
}
