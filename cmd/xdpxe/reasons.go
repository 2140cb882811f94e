package main

import (
	"fmt"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// reasonTexts say in words what a packet.Reason means to an operator.
var reasonTexts = [packet.NumReasons]string{
	packet.Answered:         "answered",
	packet.BadFrame:         "not a whole IPv4/UDP datagram, or one with IP options, fragmented, or from a group address",
	packet.Truncated:        "the message is shorter than a DHCP message, or an option runs over its end",
	packet.BadMagic:         "no DHCP message: the magic cookie is missing",
	packet.NotRequest:       "a server's reply, not a request",
	packet.BadHardware:      "hardware type or address length that no reply can carry",
	packet.BadRelay:         "giaddr is no address that a reply can be sent to",
	packet.NoSource:         "the sender has no address that a reply can be sent to",
	packet.NotPXE:           "not a network boot client: the vendor class (option 60) is none of those served",
	packet.BOOTP:            "BOOTP: no message type (option 53)",
	packet.WrongType:        "a message type that is not answered on this port",
	packet.LeaseRequest:     "the client asks for its lease: that is the DHCP server's business",
	packet.OtherServer:      "meant for another server (option 54)",
	packet.HTTPOn4011:       "HTTP clients have no boot server step",
	packet.BootItem:         "asks for an item of a boot menu, and menus are not served",
	packet.ClientNotAllowed: "outside of the networks under clients:",
	packet.NoAddress:        "the server has no address on that network to answer from",
	packet.RuleIgnore:       "a rule says ignore",
	packet.DefaultIgnore:    "no rule names this client, and the default is ignore",
	packet.UnknownArch:      "the client names no architecture",
	packet.NoFileForArch:    "the profile has no boot file for this architecture",
	packet.ReplyTooLong:     "the answer does not fit the client's maximal message size (option 57)",
	packet.NothingDeployed:  "nothing is deployed to this client",
	packet.LocalBoot:        "the client is to boot from its disk, and does when it is not answered",
	packet.MachineIgnored:   "on the ignore list",
	packet.MachineHeld:      "nobody has named this client: it waits for an operator's approval",
	packet.Delayed:          "the rule answers clients that have asked for longer",
	packet.OtherOwner:       "another boot server of the fleet answers this client",
	packet.WebhookWaits:     "the webhook has not answered yet",
	packet.WebhookFailed:    "the webhook could not be asked, and is to fail closed",
	packet.NoBuffer:         "no free buffer to answer from",
	packet.SendError:        "the kernel refused to send the answer",
}

// reasonText says in words what a reason of the daemon's means; empty: a newer
// daemon's.
func reasonText(name string) string {
	for r, text := range reasonTexts {
		if packet.Reason(r).String() == name {
			return text
		}
	}
	return ""
}

// leftToKernel reports whether the XDP program already passes such requests
// on, so that on the AF_XDP and ring buffer datapaths the daemon never sees
// them. It does not look beyond the vendor class (bpf/doc.go).
func leftToKernel(r packet.Reason) bool {
	switch r {
	case packet.BadFrame, packet.Truncated, packet.BadMagic, packet.NotRequest, packet.NotPXE:
		return true
	}
	return false
}

// leftByXDP says what keeps the XDP program from taking a frame whose message
// the daemon would answer: of some oddities it has the stricter view
// (bpf/doc.go). Empty: nothing.
func leftByXDP(frame []byte, m *dhcp.View, served func(class []byte) (http, ok bool)) string {
	count := 0
	var class []byte
	for code, data := range m.Options() {
		if code == 60 && class == nil {
			class = data
		}
		count++
	}
	_, known := served(class)
	switch {
	case len(frame) > bpf.MaxFrame:
		return fmt.Sprintf("the frame has more than %d bytes", bpf.MaxFrame)
	case m.OddOverload():
		return "option 52 is not one byte of 1, 2 or 3"
	case count > bpf.MaxOptions:
		return fmt.Sprintf("there are more than %d options", bpf.MaxOptions)
	case !known:
		return "the first piece of the vendor class (option 60) is none of those served"
	}
	return ""
}
