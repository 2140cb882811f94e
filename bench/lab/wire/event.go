package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Ports of a network boot.
const (
	portDHCPServer = 67
	portDHCPClient = 68
	portTFTP       = 69
	portBINL       = 4011
)

// Event is what a datagram means in a network boot.
type Event struct {
	Datagram
	DHCP *dhcpv4.DHCPv4 // nil for TFTP
	File string         // what a TFTP request asks for
	Text string         // one line for people
}

// About says whether the event concerns the machine with this hardware
// address: switches flood what is meant for others.
func (e *Event) About(mac net.HardwareAddr) bool {
	if e.DHCP != nil {
		return bytes.Equal(e.DHCP.ClientHWAddr, mac)
	}
	return bytes.Equal(e.SrcMAC, mac)
}

// Describe explains a DHCP message or a TFTP request; ok is false for all other datagrams.
func Describe(d Datagram) (e Event, ok bool) {
	switch {
	case isDHCP(d.Dst.Port()) || isDHCP(d.Src.Port()) && d.Src.Port() != portDHCPClient:
		m, err := dhcpv4.FromBytes(d.Payload)
		if err != nil {
			return e, false
		}
		return Event{Datagram: d, DHCP: m, Text: describeDHCP(d, m)}, true
	case d.Dst.Port() == portTFTP:
		file, text, ok := describeTFTP(d)
		return Event{Datagram: d, File: file, Text: text}, ok
	}
	return e, false
}

func isDHCP(port uint16) bool {
	return port == portDHCPServer || port == portDHCPClient || port == portBINL
}

func describeDHCP(d Datagram, m *dhcpv4.DHCPv4) string {
	var b strings.Builder
	if m.OpCode == dhcpv4.OpcodeBootRequest {
		describeRequest(&b, d, m)
	} else {
		describeReply(&b, d, m)
	}
	if relay := m.GatewayIPAddr; relay != nil && !relay.IsUnspecified() {
		fmt.Fprintf(&b, ", relayed by %s", relay)
	}
	for _, id := range d.VLANs {
		fmt.Fprintf(&b, ", VLAN %d", id)
	}
	return b.String()
}

func describeRequest(b *strings.Builder, d Datagram, m *dhcpv4.DHCPv4) {
	if d.Dst.Port() == portBINL {
		fmt.Fprintf(b, "REQUEST to boot server %s", d.Dst)
		return
	}
	fmt.Fprintf(b, "%s", m.MessageType())
	if id := m.ServerIdentifier(); id != nil {
		fmt.Fprintf(b, " for server %s", id)
	}
	if class := m.ClassIdentifier(); class != "" {
		fmt.Fprintf(b, ", %s", class)
	}
	if user := bytes.TrimLeft(m.GetOneOption(dhcpv4.OptionUserClassInformation), "\x04"); len(user) > 0 {
		fmt.Fprintf(b, ", user class %s", user)
	}
}

func describeReply(b *strings.Builder, d Datagram, m *dhcpv4.DHCPv4) {
	fmt.Fprintf(b, "%s from %s", m.MessageType(), m.ServerIdentifier())
	if m.YourIPAddr != nil && !m.YourIPAddr.IsUnspecified() {
		fmt.Fprintf(b, ": address %s", m.YourIPAddr)
		return
	}
	if d.Src.Port() != portBINL {
		b.WriteString(": boot server only")
	}
	if m.BootFileName != "" {
		fmt.Fprintf(b, ", boot file %s", m.BootFileName)
	}
}

// describeTFTP explains a read request (RFC 1350 §5).
func describeTFTP(d Datagram) (file, text string, ok bool) {
	const opRRQ = 1
	if len(d.Payload) < 4 || binary.BigEndian.Uint16(d.Payload) != opRRQ {
		return "", "", false
	}
	fields := strings.Split(string(d.Payload[2:]), "\x00")
	text = fmt.Sprintf("TFTP reads %s from %s", fields[0], d.Dst.Addr())
	for i := 2; i+1 < len(fields); i += 2 {
		text += fmt.Sprintf(", %s %s", fields[i], fields[i+1])
	}
	return fields[0], text, true
}
