package dhcp

import (
	"net/netip"

	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// examine reads a request and decides on all that does not need the policy's
// rules. On Answered the request is one of ours and w.machine is filled.
func (w *Worker) examine(link *Link, in *packet.Packet, res *Result) packet.Reason {
	if in.Dst.Port() == packet.PortBINL {
		res.Stage = StageBootServer
	}
	if in.SrcMAC[0]&1 != 0 {
		return packet.BadFrame // a group address is nobody's source: the answer would go to all of them
	}
	msg := in.Payload
	if len(msg) < headerLen {
		return packet.Truncated
	}
	res.identify(msg)
	if msg[0] != opRequest {
		return packet.NotRequest
	}
	if msg[offHLen] > maxHardwareLen || msg[offHType] == 0 && msg[offHLen] != 0 {
		return packet.BadHardware
	}
	v := &w.view
	if reason := v.Parse(msg); reason != packet.Answered {
		return reason
	}
	if v.noEnd {
		res.Notes |= NoteNoEnd
	}
	uuid := v.UUID()
	if uuid != nil {
		res.HasUUID = true
		copy(res.UUID[:], uuid)
	}
	kind, ok := v.Type()
	if !ok {
		return packet.BOOTP
	}
	res.Type = kind
	class := v.Option(optVendorClass)
	if class == nil {
		return packet.NotPXE
	}
	http, ok := w.r.policy.VendorClass(class)
	if !ok {
		return packet.NotPXE
	}
	if kind == TypeRequest {
		res.Address = w.claimed(in.Src.Addr(), res.Stage)
	}
	if reason := w.forUs(link, in.Dst.Port(), kind, http, res); reason != packet.Answered {
		return reason
	}
	var peer netip.Addr
	if res.Stage == StageDiscover {
		peer = link.local()
		if res.Relay.IsValid() {
			peer = res.Relay
			if !link.relay(peer) {
				return packet.BadRelay
			}
		}
	} else {
		peer = in.Src.Addr()
		if in.Src.Port() == 0 || !link.answerable(peer) {
			return packet.NoSource
		}
	}
	if !w.r.policy.Allowed(peer) {
		return packet.ClientNotAllowed
	}

	m := &w.machine
	*m = policy.Machine{MAC: v.HardwareAddr(), UUID: uuid, HTTP: http, VendorClass: class}
	m.NumArches = v.Arches(&m.Arches)
	m.UserClass, m.IPXE = v.UserClass()
	w.locate(link, in, res)
	return packet.Answered
}

// claimed returns what a DHCPREQUEST says is the client's address.
func (w *Worker) claimed(source netip.Addr, stage Stage) netip.Addr {
	a := optionAddr(w.view.Option(optRequestedAddr))
	if stage == StageBootServer {
		if a = w.view.ClientIP(); a.IsUnspecified() {
			a = source
		}
	}
	if !a.Is4() || a.IsUnspecified() || a.IsMulticast() || a == broadcastAddr {
		return netip.Addr{}
	}
	return a
}

// forUs decides by port, message type and the server that the message names.
func (w *Worker) forUs(link *Link, port uint16, kind MessageType, http bool, res *Result) packet.Reason {
	server := w.view.Option(optServerID)
	named, ours := false, false
	if len(server) > 0 {
		res.Other = optionAddr(server)
		// 0.0.0.0 names nobody; anything that is not an address does not name us.
		named = res.Other.IsValid() || len(server) != 4
		ours = link != nil && res.Other == link.Addr
		if ours {
			res.Other = netip.Addr{}
		}
	}
	switch {
	case port == packet.PortDHCPServer && kind == TypeDiscover:
		res.Stage = StageDiscover
	case port == packet.PortDHCPServer && kind == TypeRequest:
		switch {
		case named && !ours:
			return packet.OtherServer
		case w.asksBootItem():
			return packet.BootItem
		}
		return packet.LeaseRequest
	case port != packet.PortBINL || kind != TypeRequest:
		return packet.WrongType
	case http:
		return packet.HTTPOn4011
	}
	if link == nil || !link.Addr.Is4() || link.Addr.IsUnspecified() {
		return packet.NoAddress
	}
	if named && !ours {
		if res.Stage == StageBootServer {
			res.Notes |= NoteOtherServer4011
		}
		return packet.OtherServer
	}
	if res.Stage == StageBootServer && w.asksBootItem() {
		return packet.BootItem
	}
	return packet.Answered
}

func (w *Worker) asksBootItem() bool {
	return subOption(w.view.Option(optVendorSpecific), pxeBootItem) != nil
}

// locate fills in where the machine is: what the relay says of it, and an
// address on its network (RFC 3527, RFC 3011, giaddr, its own, ours).
func (w *Worker) locate(link *Link, in *packet.Packet, res *Result) {
	v, m := &w.view, &w.machine
	m.Relay = res.Relay
	var info RelayInfo
	if data := v.Option(optRelayInfo); data != nil {
		var ok bool
		if info, ok = ParseRelayInfo(data); !ok {
			res.Notes |= NoteBadRelayInfo
		}
	}
	m.CircuitID, m.RemoteID = info.CircuitID, info.RemoteID
	if info.ServerIDOverride.IsValid() {
		res.Notes |= NoteServerIDOverride
		res.Other = info.ServerIDOverride
	}
	if info.SourcePort && res.Stage == StageDiscover && res.Relay.IsValid() {
		res.Notes |= NoteRelayPort
	}
	selected := optionAddr(v.Option(optSubnetSelection))
	switch {
	case info.LinkSelection.IsValid():
		m.Subnet = info.LinkSelection
	case selected.IsValid():
		m.Subnet = selected
	case res.Relay.IsValid():
		m.Subnet = res.Relay
	case res.Stage == StageBootServer && !v.ClientIP().IsUnspecified():
		m.Subnet = v.ClientIP()
	case res.Stage == StageBootServer:
		m.Subnet = in.Src.Addr()
	default:
		m.Subnet = link.local()
	}
}
