package bpf

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// reference is what the program has to decide, said once more in Go from the
// package's doc comment: headers as slices, options as a list. It knows the
// addresses that loadKernel puts into addrs_map, a fresh heartbeat, and tees.
func reference(b []byte) Reason {
	rest := b[12:]
	next := func(n int) []byte {
		if len(rest) < n {
			return nil
		}
		head := rest[:n]
		rest = rest[n:]
		return head
	}
	be := binary.BigEndian
	etherType := be.Uint16(next(2))
	var vids []uint16
	for tags := 0; etherType == 0x8100 || etherType == 0x88a8; tags++ {
		if tags == 2 {
			return VLANDepth
		}
		tag := next(4)
		if tag == nil {
			return ShortFrame
		}
		if vid := be.Uint16(tag) % 4096; vid != 0 {
			vids = append(vids, vid)
		}
		etherType = be.Uint16(tag[2:])
	}
	if etherType != 0x0800 {
		return NotIPv4
	}
	datagram := rest
	ip := next(20)
	switch {
	case ip == nil:
		return ShortFrame
	case ip[0]>>4 != 4:
		return NotIPv4
	case ip[9] != 17:
		return NotUDP
	case ip[0]&15 != 5:
		return IPOptions
	case be.Uint16(ip[6:])&0x3fff != 0:
		return Fragment
	}
	udp := next(8)
	if udp == nil {
		return ShortFrame
	}
	if port := be.Uint16(udp[2:]); port != 67 && port != 4011 {
		return OtherPort
	}
	if !referenceForUs([6]byte(b), [4]byte(ip[16:]), vids) {
		return NotForUs
	}
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(be.Uint16(ip[i:]))
	}
	if sum%0xffff != 0 {
		return BadChecksum
	}
	if len(b) > 1536 {
		return TooLong
	}
	ipLen, udpLen := int(be.Uint16(ip[2:])), int(be.Uint16(udp[4:]))
	if udpLen < 8 || udpLen > ipLen-20 || ipLen > len(datagram) {
		return BadLength
	}
	return referenceMessage(rest[:udpLen-8])
}

func referenceForUs(mac [6]byte, ip [4]byte, vids []uint16) bool {
	untagged := len(vids) == 0
	switch ip {
	case [4]byte{255, 255, 255, 255}:
		return mac == broadcastMAC
	case ourIP:
		return mac == ourMAC && untagged
	case [4]byte{192, 0, 2, 255}:
		return mac == broadcastMAC && untagged
	case [4]byte{198, 51, 100, 1}:
		return mac == ourMAC && slices.Equal(vids, []uint16{7})
	case [4]byte{198, 51, 100, 2}:
		return mac == ourMAC && slices.Equal(vids, []uint16{5, 6})
	case [4]byte{192, 0, 2, 99}:
		return mac == ourMAC
	}
	return false
}

type option struct {
	code  byte
	value []byte
}

// referenceField reads the options of one field and adds them to list.
func referenceField(b []byte, list []option) ([]option, Reason) {
	for len(b) > 0 && b[0] != 255 {
		if b[0] == 0 {
			b = b[1:]
			continue
		}
		if len(list) == 64 {
			return list, TooManyOptions
		}
		if len(b) < 2 {
			return list, Malformed
		}
		size := 2 + int(b[1])
		if len(b) < size {
			return list, Malformed
		}
		list, b = append(list, option{b[0], b[2:size]}), b[size:]
	}
	return list, NumReasons
}

func referenceMessage(m []byte) Reason {
	switch {
	case len(m) < 240:
		return ShortMessage
	case m[0] != 1:
		return NotRequest
	case !bytes.Equal(m[236:240], []byte{0x63, 0x82, 0x53, 0x63}):
		return BadMagic
	}
	list, bad := referenceField(m[240:], nil)
	// The first thing wrong counts, and a wrong overload stands before the rest.
	var overload byte
	for _, o := range list {
		if o.code == 52 {
			if len(o.value) != 1 || o.value[0] < 1 || o.value[0] > 3 {
				return Malformed
			}
			overload = o.value[0]
		}
	}
	if bad == NumReasons && overload&1 != 0 {
		list, bad = referenceField(m[108:236], list)
	}
	if bad == NumReasons && overload&2 != 0 {
		list, bad = referenceField(m[44:108], list)
	}
	if bad != NumReasons {
		return bad
	}
	for _, o := range list {
		if o.code != 60 {
			continue
		}
		if bytes.HasPrefix(o.value, []byte("PXEClient")) || bytes.HasPrefix(o.value, []byte("HTTPClient")) {
			return Teed
		}
		return OtherClass
	}
	return NoClass
}

// randomFrame makes a request that is likely to be nearly right.
func randomFrame(rng *rand.Rand) []byte {
	f := discover()
	if rng.IntN(2) == 0 {
		f = bootServerRequest()
	}
	chance := func(n int) bool { return rng.IntN(n) == 0 }
	if chance(3) {
		f.DstIP[0], f.DstIP[1], f.DstIP[2], f.DstIP[3] = 198, 51, 100, byte(1+rng.IntN(2))
		f.Dst = ourMAC
	}
	for range rng.IntN(13) / 4 {
		tpid := uint32(0x8100)
		if chance(2) {
			tpid = 0x88a8
		}
		f.Tags = append(f.Tags, tpid<<16|uint32(rng.IntN(2))<<13|[]uint32{0, 5, 6, 7}[rng.IntN(4)])
	}
	if chance(2) {
		f.Tags = nil
	}
	f.Options = randomOptions(rng, 1+rng.IntN(120))
	if chance(3) {
		f.File = randomField(rng, 128)
		f.Sname = randomField(rng, 64)
	}
	if chance(6) {
		f.Slack = rng.IntN(20)
	}
	if chance(6) {
		f.Trailer = make([]byte, rng.IntN(40))
	}
	if chance(12) {
		f.UDPLenAdd = rng.IntN(9) - 4
	}
	if chance(12) {
		f.IPLenAdd = rng.IntN(9) - 4
	}
	b := f.bytes()
	if chance(4) {
		at := rng.IntN(len(b))
		if chance(2) {
			at = rng.IntN(60)
		}
		b[at] ^= 1 << rng.IntN(8)
	}
	if chance(20) {
		if chance(2) {
			b = b[:60]
		}
		b = b[:14+rng.IntN(len(b)-14)]
	}
	return b
}

func randomOptions(rng *rand.Rand, n int) []byte {
	var b []byte
	for range n {
		switch rng.IntN(12) {
		case 0:
			b = append(b, pxe...)
		case 1:
			b = append(b, opt(60, "HTTPClient")...)
		case 2:
			b = append(b, opt(60, []string{"", "PXE", "MSFT 5.0", "PXEclient"}[rng.IntN(4)])...)
		case 3:
			if rng.IntN(6) == 0 {
				b = append(b, opt(52, string(rune(1+rng.IntN(3))))...)
			}
		case 4:
			if rng.IntN(24) == 0 {
				b = append(b, opt(52, []string{"", "\x00", "\x04", "\x01\x01"}[rng.IntN(4)])...)
			}
		case 5:
			if rng.IntN(24) == 0 {
				b = append(b, end...)
			}
		case 6:
			b = append(b, make([]byte, rng.IntN(4))...)
		case 7:
			if rng.IntN(64) == 0 {
				b = append(b, byte(rng.IntN(256)), byte(rng.IntN(256)))
			}
		default:
			b = append(b, opt(byte(1+rng.IntN(254)), string(make([]byte, rng.IntN(8))))...)
		}
	}
	if rng.IntN(3) > 0 {
		b = append(b, end...)
	}
	return b
}

func randomField(rng *rand.Rand, size int) []byte {
	b := randomOptions(rng, 1+rng.IntN(10))
	return b[:min(len(b), size)]
}

// compare runs one frame through both.
func (k *kernel) compare(tb testing.TB, b []byte) Reason {
	tb.Helper()
	want := reference(b)
	if got := k.run(tb, b, nil); got != want {
		tb.Fatalf("ended in %v, the reference in %v\n%x", got, want, b)
	}
	return want
}

// TestReferenceAgreesWithRows: the reference itself is held against the table.
func TestReferenceAgreesWithRows(t *testing.T) {
	for _, r := range rows {
		if r.settings != nil || r.beat != nil || r.noBeat || r.fillRing || r.linear != 0 || r.template != nil {
			continue
		}
		if got := reference(r.bytes()); got != r.want {
			t.Errorf("%s: %v, want %v", r.name, got, r.want)
		}
	}
}

func TestDifferential(t *testing.T) {
	k := loadKernel(t, testStale, 256<<10)
	rd := k.records(t)
	k.steer(t, Settings{Deliver67: DeliverRingTee, Deliver4011: DeliverRingTee})
	rng := rand.New(rand.NewPCG(67, 4011))
	seen := map[Reason]int{}
	for i := range 10_000 {
		if i%64 == 0 {
			k.beat(t, 0)
			drain(t, rd)
		}
		seen[k.compare(t, randomFrame(rng))]++
	}
	t.Log(seen)
	for _, r := range []Reason{Teed, Malformed, TooManyOptions, NoClass, OtherClass, BadLength, BadChecksum, NotForUs, VLANDepth, ShortFrame} {
		if seen[r] < 20 {
			t.Errorf("only %d frames ended in %v: the generator does not reach it", seen[r], r)
		}
	}
}

func FuzzProgram(f *testing.F) {
	k := loadKernel(f, testStale, 256<<10)
	rd := k.records(f)
	k.steer(f, Settings{Deliver67: DeliverRingTee, Deliver4011: DeliverRingTee})
	for _, r := range rows {
		if r.settings == nil {
			f.Add(r.bytes())
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 14 || len(b) > 3000 { // what BPF_PROG_RUN takes, in one buffer
			return
		}
		k.beat(t, 0)
		k.compare(t, b)
		drain(t, rd)
	})
}
