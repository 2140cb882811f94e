package tftpc

import (
	"encoding/binary"
	"testing"
	"time"
)

// Whatever a server sends, the file comes in order, answers are well-formed and
// only to what may be answered, and an end is an end.
func FuzzTake(f *testing.F) {
	for _, rules := range []uint8{0, 0x15, 0x2a, 0xff} {
		f.Add(rules, agreed.in, data(1, 16, 16), data(3, 16, 16), data(2, 16, 4))
		f.Add(rules, data(1, 512, 512), data(2, 512, 3), errorPacket(1, "x"), oack("tsize", "1"))
		f.Add(rules, oack("TSIZE", "100", "blksize", "16"), ack(3), []byte{0, 5, 0}, []byte{})
	}
	f.Fuzz(func(t *testing.T, rules uint8, a, b, c, d []byte) {
		cfg := four()
		cfg.Rules = Rules{Gap: Gap(rules & 3 % 3), Duplicate: Duplicate(rules >> 2 & 3 % 3), OACK: OACK(rules >> 4 & 3 % 3), NeedTsize: rules&64 != 0, ExactNames: rules&128 != 0}
		cfg.Probe = rules == 0x55
		cfg.Size = -1
		next := int64(0)
		cfg.Check = func(offset int64, p []byte) bool {
			if offset != next {
				t.Fatalf("offset %d after %d", offset, next)
			}
			next += int64(len(p))
			return true
		}
		var client Client
		client.Start(0, &cfg)
		for i, p := range [][]byte{a, b, c, d, d, c, b, a} {
			before, stats := client.Outcome(), *client.Stats()
			out := client.Take(time.Duration(i), tid+uint16(i&1*int(rules>>7)), p)
			if before != Running && (out != nil || client.Outcome() != before || *client.Stats() != stats) {
				t.Fatalf("an ended transfer took %q", p)
			}
			if out == nil {
				continue
			}
			if len(out) < 4 || len(p) < 4 {
				t.Fatalf("%q was answered by %q", p, out)
			}
			switch op := binary.BigEndian.Uint16(out); op {
			case opACK:
				if len(out) != 4 || binary.BigEndian.Uint16(p) != opDATA && binary.BigEndian.Uint16(p) != opOACK {
					t.Fatalf("%q was acknowledged by %q", p, out)
				}
			case opERROR:
				if client.Outcome() == Running || out[len(out)-1] != 0 {
					t.Fatalf("%q in state %v", out, client.Outcome())
				}
			default:
				t.Fatalf("opcode %d", op)
			}
		}
		if client.Stats().Bytes > next {
			t.Fatalf("%d bytes counted, %d checked", client.Stats().Bytes, next)
		}
		for range 10 {
			if client.Outcome() == Running {
				client.Expire(client.Deadline())
			}
		}
		if client.Outcome() == Running {
			t.Fatal("it waits for ever")
		}
		_ = client.Reason()
	})
}
