package tftp

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/tftp/tftptest"
)

// BenchmarkGoodput is all clients' file bytes per second on loopback, to clients
// in the same process that take several datagrams in one read (UDP_GRO).
func BenchmarkGoodput(b *testing.B) {
	const size = 4 << 20
	file := randomFile(size, 1)
	for _, c := range []struct{ clients, window int }{{1, 16}, {50, 16}, {500, 16}, {50, 1}} {
		b.Run(fmt.Sprintf("clients=%d/window=%d", c.clients, c.window), func(b *testing.B) {
			bed := serve(b, Config{GSO: true, Workers: 1}, map[string][]byte{"f": file})
			b.SetBytes(int64(c.clients) * size)
			for b.Loop() {
				var wg sync.WaitGroup
				for range c.clients {
					wg.Go(func() {
						if err := drain(bed, c.window); err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
			}
			st := bed.Stats()
			b.ReportMetric(float64(st.Retransmits)/float64(b.N), "retransmits/op")
		})
	}
}

// drain downloads without looking at the bytes.
func drain(bed *bed, window int) error {
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	tftptest.GrowReadBuffer(conn)
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	if err := raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_GRO, 1) }); err != nil || set != nil {
		return fmt.Errorf("UDP_GRO: %v, %v", err, set)
	}
	const blksize = 1468
	if _, err := conn.WriteToUDPAddrPort(rrq("f", "octet", "blksize", itoa(blksize), "windowsize", itoa(window)), bed.addr); err != nil {
		return err
	}
	buf, control := make([]byte, 1<<16), make([]byte, 64)
	next, inWindow := uint16(1), 0
	ack := [4]byte{0, opACK}
	for {
		n, oobn, _, tid, err := conn.ReadMsgUDPAddrPort(buf, control)
		if err != nil {
			return err
		}
		segment := n
		if level, typ, data, _, ok := nextCmsg(control[:oobn]); ok && level == unix.SOL_UDP && typ == unix.UDP_GRO {
			segment = int(binary.NativeEndian.Uint32(data))
		}
		for p := buf[:n]; len(p) > 0; p = p[min(segment, len(p)):] {
			last := len(p) < segment || segment < blksize+headerLen
			if p[1] == opDATA {
				if binary.BigEndian.Uint16(p[2:]) != next {
					continue // lost: the server's timer will tell
				}
				next++
				if inWindow++; inWindow < window && !last {
					continue
				}
			}
			inWindow = 0
			binary.BigEndian.PutUint16(ack[2:], next-1)
			if _, err := conn.WriteToUDPAddrPort(ack[:], tid); err != nil {
				return err
			}
			if p[1] == opDATA && last {
				return nil
			}
		}
	}
}
