package xsktest

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds what a test waits for a frame that must come.
const patience = 10 * time.Second

// Tap is a packet socket at a device.
type Tap struct {
	fd  int
	buf [65536]byte
	oob [256]byte
}

// OpenTap opens a packet socket that sends by the device and receives what arrives at it.
func OpenTap(t testing.TB, dev End) *Tap {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("packet socket: %v", err)
	}
	p := &Tap{fd: fd}
	t.Cleanup(p.Close)
	for _, option := range []int{unix.PACKET_IGNORE_OUTGOING, unix.PACKET_AUXDATA} {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, option, 1); err != nil {
			t.Fatalf("packet socket option %d: %v", option, err)
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20); err != nil {
		t.Fatalf("SO_RCVBUFFORCE: %v", err)
	}
	const all = unix.ETH_P_ALL
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all<<8 | all>>8, Ifindex: dev.Index}); err != nil {
		t.Fatalf("packet socket: bind to %s: %v", dev.Name, err)
	}
	return p
}

// Close closes the socket; the end of the test does, too.
func (p *Tap) Close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
	}
	p.fd = -1
}

// Send sends a frame.
func (p *Tap) Send(t testing.TB, frame []byte) {
	t.Helper()
	if _, err := unix.Write(p.fd, frame); err != nil {
		t.Fatalf("send: %v", err)
	}
}

// Next returns a copy of the next frame that keep wants, with its VLAN tags in
// place, and fails the test when none comes.
func (p *Tap) Next(t testing.TB, keep func(frame []byte) bool) []byte {
	t.Helper()
	end := time.Now().Add(patience)
	for {
		set := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
		left := time.Until(end)
		if left <= 0 {
			t.Fatalf("no frame within %v", patience)
		}
		if _, err := unix.Poll(set, int(left.Milliseconds())+1); err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatalf("poll: %v", err)
		}
		if frame := p.read(t); frame != nil && keep(frame) {
			return frame
		}
	}
}

// Pending returns how many frames that keep wants have arrived, and drops all that have.
func (p *Tap) Pending(t testing.TB, keep func(frame []byte) bool) (n int) {
	t.Helper()
	for {
		frame := p.read(t)
		if frame == nil {
			return n
		}
		if keep(frame) {
			n++
		}
	}
}

// read returns the next frame, nil if there is none.
func (p *Tap) read(t testing.TB) []byte {
	t.Helper()
	n, oobn, _, _, err := unix.Recvmsg(p.fd, p.buf[:], p.oob[:], unix.MSG_DONTWAIT)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENETDOWN) {
		return nil
	}
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return retag(t, p.buf[:n], p.oob[:oobn])
}

// retag copies frame and puts the outer VLAN tag back, which the kernel moved into the metadata.
func retag(t testing.TB, frame, oob []byte) []byte {
	t.Helper()
	out := append([]byte(nil), frame...)
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		t.Fatalf("control message: %v", err)
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA {
			continue
		}
		// struct tpacket_auxdata: status, two lengths, two offsets, TCI, TPID.
		host := binary.NativeEndian
		if host.Uint32(m.Data)&unix.TP_STATUS_VLAN_VALID == 0 {
			continue
		}
		tag := binary.BigEndian.AppendUint16(nil, host.Uint16(m.Data[18:]))
		tag = binary.BigEndian.AppendUint16(tag, host.Uint16(m.Data[16:]))
		out = append(append(append([]byte(nil), frame[:12]...), tag...), frame[12:]...)
	}
	return out
}
