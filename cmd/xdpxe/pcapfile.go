package main

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

// maxFrames bounds what is read of a capture into memory.
const maxFrames = 1 << 20

// captured is one frame of a capture, as Ethernet.
type captured struct {
	gopacket.CaptureInfo
	data []byte
}

// readCapture reads a pcap or pcapng file; "-" is in.
func readCapture(path string, in io.Reader) ([]captured, error) {
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
		return nil, fmt.Errorf("capture %s: %w", path, err)
	}
	return frames, nil
}

func readFrames(in io.Reader) ([]captured, error) {
	next, err := frameReader(bufio.NewReader(in))
	if err != nil {
		return nil, err
	}
	var frames []captured
	for {
		c, link, err := next()
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) && len(frames) > 0 {
			return frames, nil // a capture that was cut off, as by kill -9
		}
		if err != nil {
			return nil, fmt.Errorf("frame %d: %w", len(frames)+1, err)
		}
		if len(frames) == maxFrames {
			return nil, fmt.Errorf("more than %d frames; cut it with editcap -c or filter it with `udp port 67 or udp port 4011`", maxFrames)
		}
		// Frames of other links are kept too: their numbers are those that Wireshark shows.
		c.data = toEthernet(link, c.data)
		frames = append(frames, c)
	}
}

// frameReader tells the two formats apart by their first bytes.
func frameReader(in *bufio.Reader) (func() (captured, layers.LinkType, error), error) {
	magic, err := in.Peek(4)
	if err != nil {
		return nil, errors.New("not a pcap or pcapng file: too short")
	}
	if binary.LittleEndian.Uint32(magic) == 0x0a0d0d0a { // pcapng's section header block
		r, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		if err != nil {
			return nil, err
		}
		return func() (c captured, link layers.LinkType, err error) {
			c.data, c.CaptureInfo, err = r.ReadPacketData()
			if err == nil {
				var i pcapgo.NgInterface
				if i, err = r.Interface(c.InterfaceIndex); err == nil {
					link = i.LinkType
				}
			}
			return c, link, err
		}, nil
	}
	r, err := pcapgo.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("not a pcap or pcapng file: %w", err)
	}
	return func() (c captured, link layers.LinkType, err error) {
		c.data, c.CaptureInfo, err = r.ReadPacketData()
		return c, r.LinkType(), err
	}, nil
}

// toEthernet makes an Ethernet frame of what other links show, with addresses
// of zero where they show none; nil for links that cannot carry our clients.
func toEthernet(link layers.LinkType, data []byte) []byte {
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
