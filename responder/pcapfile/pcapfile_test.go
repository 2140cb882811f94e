package pcapfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/xdpxe/xdpxe/responder/packet"
)

var clientMAC = [6]byte{0x52, 0x54, 0, 0x12, 0x34, 0x56}

// frame is an Ethernet frame from a client to port 67.
func frame(t testing.TB) []byte {
	t.Helper()
	m := packet.Meta{SrcMAC: clientMAC, Src: netip.MustParseAddrPort("0.0.0.0:68"), Dst: netip.MustParseAddrPort("255.255.255.255:67")}
	b := make([]byte, 400)
	n := packet.Build(b, &m, 300)
	if n == 0 {
		t.Fatal("no frame")
	}
	return b[:n]
}

// pcap is a capture of n such frames.
func pcap(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		f := frame(t)
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(f), Length: len(f)}, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func pcapng(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		f := frame(t)
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(f), Length: len(f)}, f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFormats(t *testing.T) {
	for name, data := range map[string][]byte{"pcap": pcap(t, 3), "pcapng": pcapng(t, 3)} {
		frames, err := Read("-", bytes.NewReader(data))
		if err != nil || len(frames) != 3 {
			t.Fatalf("%s: %d frames, %v", name, len(frames), err)
		}
		if f := frames[2]; !bytes.Equal(f.Data, frame(t)) || !f.Timestamp.Equal(time.Unix(2, 0)) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// Errors name the file and the frame.
func TestHostileFiles(t *testing.T) {
	whole := pcap(t, 3)
	record := (len(whole) - 24) / 3
	// long says of the second record that it has so many bytes.
	long := func(snaplen, n uint32) []byte {
		b := slices.Clone(whole)
		binary.LittleEndian.PutUint32(b[16:], snaplen)
		binary.LittleEndian.PutUint32(b[24+record+8:], n)
		binary.LittleEndian.PutUint32(b[24+record+12:], n)
		return b
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
		kept int
	}{
		{"empty", nil, "not a pcap or pcapng file: too short", 0},
		{"garbage", bytes.Repeat([]byte("garbage "), 100), "not a pcap or pcapng file", 0},
		{"cut", whole[:len(whole)-10], "frame 3: the capture is cut off here", 2},
		{"cut header", whole[:24+record+5], "frame 2: the capture is cut off here", 1},
		{"file header only, cut", whole[:20], "not a pcap or pcapng file", 0},
		{"huge snaplen", long(0xffffffff, 0xfffffff0), "frame 2: capture length exceeds snap length", 0},
		{"huge frame", long(65535, 0x7fffffff), "frame 2: capture length exceeds snap length", 0},
		{"pcapng, cut", pcapng(t, 2)[:400], "frame 1: the capture is cut off here", 0},
	} {
		path := filepath.Join(t.TempDir(), "x.pcap")
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		frames, err := Read(path, nil)
		if err == nil || !strings.Contains(err.Error(), "capture "+path+": "+c.want) || len(frames) != c.kept {
			t.Errorf("%s: %d frames, %v; want %d and %q", c.name, len(frames), err, c.kept, c.want)
		}
		if errors.Is(err, ErrCut) != strings.Contains(c.want, "cut off") {
			t.Errorf("%s: %v is or is not ErrCut", c.name, err)
		}
	}
	if _, err := Read("/nonexistent.pcap", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// `tcpdump -i any` and tunnels have no Ethernet header of their own.
func TestOtherLinks(t *testing.T) {
	eth := frame(t)
	ip := eth[14:]
	sll := append([]byte{0, 0, 0, 1, 0, 6, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 0, 0, 8, 0}, ip...)
	sll2 := append([]byte{8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 0, 0}, ip...)
	for link, data := range map[layers.LinkType][]byte{
		layers.LinkTypeLinuxSLL: sll, layers.LinkTypeLinuxSLL2: sll2, layers.LinkTypeRaw: ip, layers.LinkTypeEthernet: eth,
	} {
		var p packet.Packet
		if got := packet.Parse(Ethernet(link, data), &p); got != packet.Answered || p.Dst.Port() != 67 {
			t.Errorf("%v: %v, %v", link, got, p.Dst)
		}
		if link != layers.LinkTypeRaw && p.SrcMAC != clientMAC {
			t.Errorf("%v: source %x", link, p.SrcMAC)
		}
		for n := range len(data) {
			Ethernet(link, data[:n]) // whatever is missing
		}
	}
	if Ethernet(layers.LinkTypePPP, eth) != nil {
		t.Error("PPP is taken for Ethernet")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(pcap(f, 2))
	f.Add(pcapng(f, 2))
	f.Fuzz(func(t *testing.T, data []byte) {
		frames, err := Read("-", bytes.NewReader(data))
		if err != nil && !strings.HasPrefix(err.Error(), "capture -: ") {
			t.Errorf("%v does not name the file", err)
		}
		if err != nil && len(frames) > 0 && !errors.Is(err, ErrCut) {
			t.Errorf("%d frames with %v", len(frames), err)
		}
	})
}
