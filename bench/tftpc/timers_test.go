package tftpc

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// expiries lets a client wait until it gives up and returns when it sent what again.
func expiries(c *Client, now time.Duration) (at []time.Duration, packets [][]byte) {
	for c.Outcome() == Running {
		deadline := c.Deadline()
		if c.Expire(deadline-1) != nil {
			panic("before its time")
		}
		if p := c.Expire(deadline); p != nil {
			at = append(at, deadline-now)
			packets = append(packets, bytes.Clone(p))
		}
	}
	return at, packets
}

func TestRetry(t *testing.T) {
	for _, c := range []struct {
		name  string
		retry Retry
		at    []float64
		end   float64
	}{
		{"edk2", EDK2Retry(), []float64{4, 8, 12, 16, 20}, 24},
		{"doubling, bounded", Retry{First: seconds(0.25), Factor: 2, Max: seconds(1), Retries: 4}, []float64{0.25, 0.75, 1.75, 2.75}, 3.75},
		{"not at all", Retry{First: seconds(1)}, nil, 1},
	} {
		cfg := four()
		cfg.Retry = c.retry
		var want []time.Duration
		for _, s := range c.at {
			want = append(want, seconds(s))
		}
		for _, answered := range []bool{false, true} {
			var client Client
			start := seconds(100)
			packet := bytes.Clone(client.Start(start, &cfg))
			if answered {
				start = seconds(103)
				client.Take(start, tid, agreed.in)
				packet = ack(0)
			}
			at, packets := expiries(&client, start)
			if !slices.Equal(at, want) || client.Outcome() != TimedOut || client.Stats().Ended != start+seconds(c.end) {
				t.Errorf("%s: at %v, ended at %v (%v)", c.name, at, client.Stats().Ended-start, client.Outcome())
			}
			for _, p := range packets {
				if !bytes.Equal(p, packet) {
					t.Errorf("%s: repeated %q, want %q", c.name, p, packet)
				}
			}
			s := client.Stats()
			if n := uint64(len(want)); s.Resent != n || !answered && s.Requests != 1+n || answered && (s.Acks != 1+n || s.Requests != 1) {
				t.Errorf("%s: %+v", c.name, s)
			}
		}
	}
}

// What comes in order starts the waiting anew; what does not, does not.
func TestProgressResetsRetries(t *testing.T) {
	cfg := four()
	var c Client
	c.Start(0, &cfg)
	c.Take(0, tid, agreed.in)
	c.Expire(seconds(4))
	c.Expire(seconds(8))
	c.Take(seconds(9), tid, data(3, 16, 16))
	if c.Deadline() != seconds(12) {
		t.Errorf("after a gap: %v", c.Deadline())
	}
	c.Take(seconds(10), tid, data(1, 16, 16))
	if at, _ := expiries(&c, 0); len(at) != 5 || at[0] != seconds(14) {
		t.Errorf("after a block: %v", at)
	}
}

// In the middle of a window edk2 repeats its last ACK; U-Boot says what it has.
func TestTimeoutInWindow(t *testing.T) {
	for _, c := range []struct {
		progress bool
		want     []byte
	}{{false, ack(0)}, {true, ack(2)}} {
		cfg := four()
		cfg.Rules.Progress = c.progress
		cfg.Rules.Duplicate = DuplicateAckThat
		var client Client
		client.Start(0, &cfg)
		client.Take(0, tid, agreed.in)
		client.Take(0, tid, data(1, 16, 16))
		client.Take(0, tid, data(2, 16, 16))
		client.Take(0, tid, data(1, 16, 16)) // its ACK 1 is not what is repeated
		if p := client.Expire(seconds(4)); !bytes.Equal(p, c.want) {
			t.Errorf("progress %v: %q, want %q", c.progress, p, c.want)
		}
	}
}
