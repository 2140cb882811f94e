package responder

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// WatchReplies diagnoses the DHCP replies of other servers that it reads from
// r (conn.Snoop: one IPv4 packet a Read), until r is closed.
func (s *Server) WatchReplies(r io.Reader, iface string) error {
	buf := make([]byte, 2048)
	for {
		n, err := r.Read(buf)
		switch {
		case errors.Is(err, os.ErrClosed):
			return nil
		case errors.Is(err, syscall.ENETDOWN):
			continue // said once for each time the interface goes down (packet(7)); it may come up again
		case err != nil:
			return fmt.Errorf("%s: other servers' replies: %w", iface, err)
		}
		if payload := udpPayload(buf[:n]); payload != nil {
			s.diagnoses.InspectReply(time.Now(), iface, payload)
		}
	}
}

// udpPayload returns what follows the UDP header of an IPv4 packet, nil if there is none.
func udpPayload(ip []byte) []byte {
	if len(ip) < 1 {
		return nil
	}
	head := int(ip[0]&0x0f)*4 + 8
	if head < 28 || len(ip) < head {
		return nil
	}
	return ip[head:]
}
