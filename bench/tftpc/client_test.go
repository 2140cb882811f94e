package tftpc

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const (
	tid   = 40000
	wrong = 40001
)

func rrq(fields ...string) []byte {
	return append([]byte{0, 1}, strings.Join(fields, "\x00")+"\x00"...)
}

func oack(fields ...string) []byte {
	return append([]byte{0, 6}, strings.Join(fields, "\x00")+"\x00"...)
}

func ack(block int) []byte { return []byte{0, 4, byte(block >> 8), byte(block)} }

func errorPacket(code int, text string) []byte {
	return append([]byte{0, 5, byte(code >> 8), byte(code)}, text+"\x00"...)
}

// file is what the tests transfer; no two blocks of it are alike.
var file = func() []byte {
	b := make([]byte, 1<<12)
	for i := range b {
		b[i] = byte(i>>3 ^ i*7)
	}
	return b
}()

// data is a block of file, of so many bytes, at a block size.
func data(block, blksize, n int) []byte {
	return append([]byte{0, 3, byte(block >> 8), byte(block)}, file[(block-1)*blksize:][:n]...)
}

// step is a packet from the server and the answer to it.
type step struct {
	in   []byte
	out  []byte // nil: none
	from uint16 // 0: tid
}

// four asks for windows of four blocks of 16 bytes, and for the size.
func four() Config {
	return Config{
		Request: Request{Name: "f", Tsize: true, Blksize: 16, Window: 4},
		Retry:   EDK2Retry(), Size: 100, Check: Against(file[:100]),
	}
}

var agreed = step{in: oack("tsize", "100", "blksize", "16", "windowsize", "4"), out: ack(0)}

func TestTransfer(t *testing.T) {
	last := step{in: data(7, 16, 4), out: ack(7)}
	rest := []step{{in: data(5, 16, 16)}, {in: data(6, 16, 16)}, last}
	for _, c := range []struct {
		name    string
		change  func(c *Config)
		steps   []step
		outcome Outcome
		stats   Stats // those that are not 0 are compared, with the bytes
	}{
		{name: "windows", steps: append([]step{agreed, {in: data(1, 16, 16)}, {in: data(2, 16, 16)}, {in: data(3, 16, 16)}, {in: data(4, 16, 16), out: ack(4)}}, rest...),
			outcome: Done, stats: Stats{Blocks: 7, Bytes: 100, Acks: 3, Requests: 1}},
		{name: "edk2 answers each packet beyond a gap, and the window counts from there",
			steps: append([]step{agreed, {in: data(1, 16, 16)}, {in: data(3, 16, 16), out: ack(1)}, {in: data(4, 16, 16), out: ack(1)},
				{in: data(2, 16, 16)}, {in: data(3, 16, 16)}, {in: data(4, 16, 16)}, {in: data(5, 16, 16), out: ack(5)}}, rest[1:]...),
			outcome: Done, stats: Stats{Blocks: 7, Bytes: 100, Beyond: 2, DuplicateBytes: 32, Acks: 5}},
		{name: "U-Boot answers a gap once", change: func(c *Config) { c.Rules.Gap = GapOnce },
			steps: append([]step{agreed, {in: data(1, 16, 16)}, {in: data(3, 16, 16), out: ack(1)}, {in: data(4, 16, 16)},
				{in: data(2, 16, 16)}, {in: data(4, 16, 16), out: ack(2)}, {in: data(3, 16, 16)}, {in: data(4, 16, 16)}}, step{in: data(5, 16, 16)}, step{in: data(6, 16, 16), out: ack(6)}, last),
			outcome: Done, stats: Stats{Blocks: 7, Bytes: 100, Beyond: 3}},
		{name: "GRUB ignores a gap", change: func(c *Config) { c.Rules.Gap = GapIgnore },
			steps: []step{agreed, {in: data(1, 16, 16)}, {in: data(3, 16, 16)}, {in: data(4, 16, 16)}}, outcome: Running, stats: Stats{Blocks: 1, Bytes: 16, Beyond: 2}},
		{name: "edk2 acknowledges a duplicate by what it has",
			steps: []step{agreed, {in: data(1, 16, 16)}, {in: data(2, 16, 16)}, {in: data(1, 16, 16), out: ack(2)}}, outcome: Running, stats: Stats{Blocks: 2, Bytes: 32, Duplicates: 1, DuplicateBytes: 16}},
		{name: "GRUB acknowledges the duplicate", change: func(c *Config) { c.Rules.Duplicate = DuplicateAckThat },
			steps: []step{agreed, {in: data(1, 16, 16)}, {in: data(2, 16, 16)}, {in: data(1, 16, 16), out: ack(1)}}, outcome: Running, stats: Stats{Blocks: 2, Bytes: 32, Duplicates: 1}},
		{name: "U-Boot ignores a duplicate", change: func(c *Config) { c.Rules.Duplicate = DuplicateIgnore },
			steps: []step{agreed, {in: data(1, 16, 16)}, {in: data(1, 16, 16)}}, outcome: Running, stats: Stats{Blocks: 1, Bytes: 16, Duplicates: 1}},
		{name: "a repeated OACK is acknowledged again until DATA comes",
			steps: []step{agreed, agreed, {in: data(1, 16, 16)}, {in: agreed.in}}, outcome: Running, stats: Stats{Blocks: 1, Bytes: 16, Acks: 2, Ignored: 1}},
		{name: "no options granted: DATA 1 at once, in lock-step", change: func(c *Config) { c.Size = 600; c.Check = Against(file[:600]) },
			steps: []step{{in: data(1, 512, 512), out: ack(1)}, {in: data(2, 512, 88), out: ack(2)}}, outcome: Done, stats: Stats{Blocks: 2, Bytes: 600}},
		{name: "iPXE in lock-step acknowledges duplicates", change: func(c *Config) { c.Request.Window = 0 },
			steps: []step{{in: oack("blksize", "16"), out: ack(0)}, {in: data(1, 16, 16), out: ack(1)}, {in: data(1, 16, 16), out: ack(1)}}, outcome: Running, stats: Stats{Blocks: 1, Bytes: 16, Duplicates: 1, Acks: 3}},
		{name: "a file of whole blocks ends with an empty one", change: func(c *Config) { c.Size = 32 },
			steps:   []step{{in: oack("tsize", "32", "blksize", "16"), out: ack(0)}, {in: data(1, 16, 16), out: ack(1)}, {in: data(2, 16, 16), out: ack(2)}, {in: data(3, 16, 0), out: ack(3)}},
			outcome: Done, stats: Stats{Blocks: 3, Bytes: 32}},
		{name: "an empty file", change: func(c *Config) { c.Size = 0 },
			steps: []step{{in: oack("tsize", "0"), out: ack(0)}, {in: data(1, 16, 0), out: ack(1)}}, outcome: Done, stats: Stats{Blocks: 1}},
		{name: "other ports are ignored",
			steps:   []step{agreed, {in: data(1, 16, 16), from: wrong}, {in: errorPacket(1, "x"), from: wrong}, {in: agreed.in, from: wrong}, {in: data(1, 16, 16)}},
			outcome: Running, stats: Stats{Blocks: 1, Bytes: 16, Ignored: 3}},
		{name: "what is no answer is ignored",
			steps:   []step{{in: []byte{0, 3, 0}}, {in: []byte{}}, {in: ack(1)}, {in: rrq("a", "b")}, {in: data(2, 16, 16)}, {in: []byte{0, 9, 0, 0}}, agreed, {in: data(1, 16, 17)}},
			outcome: Running, stats: Stats{Ignored: 7, Acks: 1}},
		{name: "ERROR", steps: []step{{in: errorPacket(1, "File not found")}}, outcome: Refused, stats: Stats{Requests: 1}},
		{name: "ERROR in the middle", steps: []step{agreed, {in: data(1, 16, 16)}, {in: errorPacket(0, "gone")}, {in: data(2, 16, 16)}}, outcome: Refused, stats: Stats{Blocks: 1, Bytes: 16}},
		{name: "edk2's probe", change: func(c *Config) { c.Probe = true },
			steps: []step{{in: agreed.in, out: errorPacket(8, "User aborted the transfer")}, {in: agreed.in}}, outcome: Done, stats: Stats{Requests: 1}},
		{name: "edk2's probe wants no DATA", change: func(c *Config) { c.Probe = true },
			steps: []step{{in: data(1, 512, 512), out: errorPacket(4, "OACK expected")}}, outcome: NoOptions},
		{name: "no tsize where one is needed", change: func(c *Config) { c.Rules.NeedTsize = true },
			steps: []step{{in: oack("blksize", "16"), out: errorPacket(8, "User aborted the transfer")}}, outcome: NoTsize},
		{name: "TSIZE where lower case is needed", change: func(c *Config) { c.Rules.NeedTsize, c.Rules.ExactNames = true, true },
			steps: []step{{in: oack("TSIZE", "100"), out: errorPacket(8, "User aborted the transfer")}}, outcome: NoTsize},
		{name: "bad OACK", steps: []step{{in: oack("blksize", "17"), out: errorPacket(4, "Malformatted OACK packet")}}, outcome: BadOACK},
		{name: "PXELINUX on a bad OACK", change: func(c *Config) { c.Rules.OACK = OACKNothing },
			steps: []step{{in: oack("fruit", "17"), out: errorPacket(8, "Malformatted OACK packet")}}, outcome: BadOACK},
		{name: "a wrong byte", steps: []step{agreed, {in: append(data(1, 16, 15), 0xff), out: errorPacket(0, "wrong bytes")}, {in: data(1, 16, 16)}}, outcome: WrongBytes},
		{name: "too short", steps: []step{agreed, {in: data(1, 16, 15), out: errorPacket(0, "wrong size")}}, outcome: WrongSize, stats: Stats{Blocks: 1, Bytes: 15}},
		{name: "too long", change: func(c *Config) { c.Size, c.Check = -1, nil },
			steps: []step{{in: oack("tsize", "20", "blksize", "16"), out: ack(0)}, {in: data(1, 16, 16), out: ack(1)}, {in: data(2, 16, 16), out: errorPacket(0, "wrong size")}}, outcome: WrongSize, stats: Stats{Blocks: 2, Bytes: 32}},
		{name: "another size than expected", steps: []step{{in: oack("tsize", "99"), out: errorPacket(8, "User aborted the transfer")}}, outcome: WrongSize},
		{name: "nothing is known of the file", change: func(c *Config) { c.Size, c.Check, c.Request.Tsize = -1, nil, false },
			steps: []step{{in: oack("blksize", "16"), out: ack(0)}, {in: data(1, 16, 16), out: ack(1)}, {in: data(2, 16, 3), out: ack(2)}}, outcome: Done, stats: Stats{Blocks: 2, Bytes: 19}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := four()
			if c.change != nil {
				c.change(&cfg)
			}
			var client Client
			client.Start(0, &cfg)
			for i, s := range c.steps {
				from := uint16(tid)
				if s.from != 0 {
					from = s.from
				}
				if out := client.Take(time.Millisecond, from, s.in); !bytes.Equal(out, s.out) {
					t.Fatalf("step %d, %q: answer %q, want %q", i, s.in, out, s.out)
				}
			}
			if client.Outcome() != c.outcome {
				t.Errorf("%v (%s), want %v", client.Outcome(), client.Reason(), c.outcome)
			}
			got, want := client.Stats(), c.stats
			if got.Blocks != want.Blocks || got.Bytes != want.Bytes || got.Duplicates != want.Duplicates || got.Beyond != want.Beyond || got.Ignored != want.Ignored ||
				want.Acks != 0 && got.Acks != want.Acks || want.DuplicateBytes != 0 && got.DuplicateBytes != want.DuplicateBytes || got.Requests != 1 {
				t.Errorf("%+v, want %+v", got, want)
			}
			ended := c.outcome != Running
			if (got.Ended != 0) != ended || (client.Deadline() == Never) != ended {
				t.Errorf("ended %v, deadline %v", got.Ended, client.Deadline())
			}
		})
	}
}

func TestFirstByteAndTID(t *testing.T) {
	cfg := four()
	var c Client
	if p := c.Start(time.Second, &cfg); !bytes.Equal(p, rrq("f", "octet", "tsize", "0", "blksize", "16", "windowsize", "4")) || c.TID() != 0 {
		t.Errorf("%q to %d", p, c.TID())
	}
	c.Take(2*time.Second, tid, agreed.in)
	if b, w := c.Granted(); b != 16 || w != 4 || c.TID() != tid || c.Tsize() != 100 {
		t.Errorf("blksize %d, window %d, TID %d, tsize %d", b, w, c.TID(), c.Tsize())
	}
	c.Take(3*time.Second, tid, data(1, 16, 16))
	c.Take(4*time.Second, tid, data(2, 16, 16))
	if s := c.Stats(); s.Started != time.Second || s.FirstByte != 3*time.Second {
		t.Errorf("%+v", s)
	}
	c.Unreachable(5 * time.Second)
	c.Unreachable(6 * time.Second)
	if c.Outcome() != Unreachable || c.Stats().Ended != 5*time.Second || c.Reason() != "ICMP unreachable" {
		t.Errorf("%v at %v", c.Outcome(), c.Stats().Ended)
	}
	c.Start(0, &cfg)
	if p := c.Abort(1, 0, "stop"); p != nil || c.Outcome() != Aborted {
		t.Errorf("nobody is told %q, %v", p, c.Outcome())
	}
	c.Start(0, &cfg)
	c.Take(0, tid, agreed.in)
	if p := c.Abort(1, 0, "stop"); !bytes.Equal(p, errorPacket(0, "stop")) || c.Outcome() != Aborted || c.Abort(2, 0, "stop") != nil {
		t.Errorf("%q, %v", p, c.Outcome())
	}
	c.Start(0, &cfg)
	c.Take(1, tid, errorPacket(2, "no\x1b[31m\xff way"))
	if want := "ERROR 2 no?[31m? way"; c.Reason() != want {
		t.Errorf("%q, want %q", c.Reason(), want)
	}
}

// Behind 65535 comes 0, also where a window and a gap span it.
func TestRollover(t *testing.T) {
	const blocks = 140000
	size := int64(blocks*8 + 3)
	next := int64(0)
	cfg := Config{Request: Request{Name: "f", Blksize: 8, Window: 5}, Retry: EDK2Retry(), Size: size, Check: func(offset int64, b []byte) bool {
		ok := offset == next
		next += int64(len(b))
		return ok && (len(b) < 8 || binary.BigEndian.Uint64(b) == uint64(offset))
	}}
	var c Client
	c.Start(0, &cfg)
	c.Take(0, tid, oack("blksize", "8", "windowsize", "5"))
	packet := func(block int64) []byte {
		p := []byte{0, 3, byte(block >> 8), byte(block), 0, 0, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint64(p[4:], uint64((block-1)*8))
		if block == blocks+1 {
			p = p[:7]
		}
		return p
	}
	for block := int64(1); block <= blocks+1; block++ {
		if block == 65536 || block == 131073 {
			if out := c.Take(0, tid, packet(block+1)); !bytes.Equal(out, ack(int(block-1))) {
				t.Fatalf("gap before %d: %q", block, out)
			}
		}
		c.Take(0, tid, packet(block))
	}
	if c.Outcome() != Done || c.Stats().Bytes != size || c.Stats().Beyond != 2 {
		t.Errorf("%s, %+v", c.Reason(), c.Stats())
	}
}

// A buffer of UDP_GRO is what its datagrams are one by one.
func TestBurst(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		cfg := four()
		cfg.Rules.Gap, cfg.Rules.Duplicate = Gap(random.IntN(3)), Duplicate(random.IntN(3))
		var one, all Client
		for _, c := range []*Client{&one, &all} {
			c.Start(0, &cfg)
			c.Take(0, tid, agreed.in)
		}
		next := 1
		for range 12 {
			var buffer []byte
			var single [][]byte
			for k := random.IntN(6); k >= 0; k-- {
				block := min(max(next+[]int{0, 0, 0, 0, 1, -1}[random.IntN(6)], 1), 7)
				p := data(block, 16, 16)
				if block == 7 {
					p, k = p[:8], 0
				}
				next = block + 1
				buffer = append(buffer, p...)
				if out := one.Take(0, tid, p); out != nil {
					single = append(single, bytes.Clone(out))
				}
			}
			var together [][]byte
			for rest := buffer; len(rest) > 0; {
				var out []byte
				if rest, out = all.Burst(0, tid, rest, 20); out != nil {
					together = append(together, bytes.Clone(out))
				}
			}
			if !bytes.Equal(bytes.Join(single, nil), bytes.Join(together, nil)) || one.stats != all.stats || one.outcome != all.outcome {
				t.Fatalf("one by one %q %+v, together %q %+v", single, one.stats, together, all.stats)
			}
		}
	}
	var c Client
	cfg := four()
	c.Start(0, &cfg)
	if rest, out := c.Burst(0, tid, agreed.in, 0); len(rest) != 0 || !bytes.Equal(out, ack(0)) {
		t.Errorf("a lone datagram without a segment size: rest %q, %q", rest, out)
	}
}

func TestNoAllocation(t *testing.T) {
	cfg := four()
	cfg.Size, cfg.Check, cfg.Request.Tsize = -1, Against(file), false
	granted := oack("blksize", "16", "windowsize", "4")
	var packets [][]byte
	for block := 1; block <= 200; block++ {
		if block%9 == 0 {
			packets = append(packets, data(block+1, 16, 16))
		}
		packets = append(packets, data(block, 16, 16), data(block, 16, 16))
	}
	var c Client
	c.Start(0, &cfg)
	if n := testing.AllocsPerRun(20, func() {
		c.Start(0, &cfg)
		c.Take(0, tid, granted)
		for _, p := range packets {
			c.Take(0, tid, p)
		}
		c.Expire(c.Deadline())
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
	if c.Stats().Blocks != 200 {
		t.Errorf("%s, %+v", c.Reason(), c.Stats())
	}
}
