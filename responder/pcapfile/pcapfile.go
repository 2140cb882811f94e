// Package pcapfile reads captures, pcap and pcapng, as Ethernet frames.
//
// Files are taken for hostile: what is read is bounded, and every error names
// the file and the frame, counted from 1 as Wireshark does.
package pcapfile

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Bounds of what is read of a capture into memory.
const (
	maxFrames  = 1 << 20
	maxSnaplen = 256 << 10 // tcpdump's MAXIMUM_SNAPLEN
	maxBytes   = 1 << 30   // of all frames
)

// Frame is one frame of a capture, as Ethernet. Data is nil for what cannot
// carry DHCP clients; it keeps its place, so that the index tells the number
// of each frame.
type Frame struct {
	gopacket.CaptureInfo
	Data []byte
}

// ErrCut says that a capture ends within a frame, as after kill -9. The frames
// before that come with it.
var ErrCut = errors.New("the capture is cut off here")

// Read reads a file; "-" is in.
func Read(path string, in io.Reader) ([]Frame, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("capture: %w", err)
		}
		defer f.Close()
		in = f
	}
	frames, err := readFrames(in)
	if err != nil {
		err = fmt.Errorf("capture %s: %w", path, err)
	}
	return frames, err
}

func readFrames(in io.Reader) (frames []Frame, err error) {
	next, err := frameReader(bufio.NewReader(in))
	if err != nil {
		return nil, err
	}
	bytes := 0
	for {
		f, link, err := next()
		number := len(frames) + 1
		switch {
		case errors.Is(err, io.EOF):
			return frames, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return frames, fmt.Errorf("frame %d: %w", number, ErrCut)
		case err != nil:
			return nil, fmt.Errorf("frame %d: %w", number, err)
		case number > maxFrames:
			return nil, fmt.Errorf("more than %d frames; cut it with editcap -c or filter it with `udp port 67 or udp port 4011`", maxFrames)
		}
		if bytes += len(f.Data); bytes > maxBytes {
			return nil, fmt.Errorf("frame %d: more than %d MiB; filter the capture with `udp port 67 or udp port 4011`", number, maxBytes>>20)
		}
		f.Data = Ethernet(link, f.Data)
		frames = append(frames, f)
	}
}

// frameReader tells the two formats apart by their first bytes.
func frameReader(in *bufio.Reader) (func() (Frame, layers.LinkType, error), error) {
	magic, err := in.Peek(4)
	if err != nil {
		return nil, errors.New("not a pcap or pcapng file: too short")
	}
	if binary.LittleEndian.Uint32(magic) == 0x0a0d0d0a { // pcapng's section header block
		r, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		if err != nil {
			return nil, err
		}
		return func() (f Frame, link layers.LinkType, err error) {
			f.Data, f.CaptureInfo, err = r.ReadPacketData()
			if err == nil {
				var i pcapgo.NgInterface
				if i, err = r.Interface(f.InterfaceIndex); err == nil {
					link = i.LinkType
				}
			}
			return f, link, err
		}, nil
	}
	r, err := pcapgo.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("not a pcap or pcapng file: %w", err)
	}
	// What a file says of its longest frame is no reason to believe it.
	r.SetSnaplen(min(r.Snaplen(), maxSnaplen))
	return func() (f Frame, link layers.LinkType, err error) {
		f.Data, f.CaptureInfo, err = r.ReadPacketData()
		return f, r.LinkType(), err
	}, nil
}

// Ethernet makes an Ethernet frame of what other links show, with addresses
// of zero where they show none; nil for links that cannot carry our clients.
func Ethernet(link layers.LinkType, data []byte) []byte {
	const sll, sll2 = 16, 20 // header lengths of `tcpdump -i any`
	head := make([]byte, 14, 14+len(data))
	switch {
	case link == layers.LinkTypeEthernet:
		return data
	case link == layers.LinkTypeLinuxSLL && len(data) >= sll:
		copy(head[6:12], data[6:12])
		copy(head[12:], data[14:16])
		return append(head, data[sll:]...)
	case link == layers.LinkTypeLinuxSLL2 && len(data) >= sll2:
		copy(head[6:12], data[12:18])
		copy(head[12:], data[0:2])
		return append(head, data[sll2:]...)
	case (link == layers.LinkTypeRaw || link == layers.LinkTypeIPv4) && len(data) > 0:
		head[12] = 0x08
		return append(head, data...)
	}
	return nil
}
