package policy

import "time"

// WaitedFor is how long a client says that it has been asking.
//
// Some firmware fills in secs in the order of its processor: a value beyond 255
// with nothing in the low byte is taken for one that is swapped, as Kea and ISC
// dhcpd do it.
//
// iPXE puts something else there: the number of the message that it sends, from 1,
// times 4, and two bits on what it was offered so far (src/net/udp/dhcp.c,
// dhcp_tx). It waits 1, 2, 4, 8 and then 10 seconds for offers
// (src/config/dhcp.h), which says when that message is sent.
func (m *Machine) WaitedFor() time.Duration {
	secs := int(m.Secs)
	if !m.IPXE {
		if secs > 0xff && secs&0xff == 0 {
			secs >>= 8
		}
		return time.Duration(secs) * time.Second
	}
	const grows = 5 // the message after which the pause does not grow any more
	n := max(1, secs>>2)
	waited := 1<<(min(n, grows)-1) - 1 + 10*max(0, n-grows)
	return time.Duration(waited) * time.Second
}
