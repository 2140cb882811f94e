package dhcp

import "net/netip"

// RelayInfo is what a relay agent says in option 82 (RFC 3046). Of a
// sub-option that occurs twice the first counts.
type RelayInfo struct {
	CircuitID        []byte     // 82.1; nil if absent
	RemoteID         []byte     // 82.2; nil if absent
	LinkSelection    netip.Addr // 82.5, an address on the client's network (RFC 3527); invalid if absent
	ServerIDOverride netip.Addr // 82.11, the relay wants to be option 54 (RFC 5107); invalid if absent
	SourcePort       bool       // 82.19: answer to the relay's source port (RFC 8357)
}

// ParseRelayInfo reads the data of option 82. If a sub-option runs over the
// end, ok is false and nothing of it is believed.
func ParseRelayInfo(data []byte) (info RelayInfo, ok bool) {
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(data[1]) {
			return RelayInfo{}, false
		}
		code, n := data[0], 2+int(data[1])
		value := data[2:n:n]
		data = data[n:]
		switch code {
		case relayCircuitID:
			if info.CircuitID == nil {
				info.CircuitID = value
			}
		case relayRemoteID:
			if info.RemoteID == nil {
				info.RemoteID = value
			}
		case relayLinkSelection:
			if !info.LinkSelection.IsValid() {
				info.LinkSelection = optionAddr(value)
			}
		case relayServerIDOverride:
			if !info.ServerIDOverride.IsValid() {
				info.ServerIDOverride = optionAddr(value)
			}
		case relaySourcePort:
			info.SourcePort = true
		}
	}
	return info, true
}

// optionAddr returns the address that an option holds, the invalid Addr if it is not one or is 0.0.0.0.
func optionAddr(data []byte) netip.Addr {
	if len(data) != 4 {
		return netip.Addr{}
	}
	if a := addr4(data); !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}
