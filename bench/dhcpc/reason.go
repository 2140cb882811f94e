package dhcpc

// Reason says what is wrong with a reply. Its text is the name in results.
type Reason uint8

// The reasons. Valid is 0: nothing is wrong.
const (
	Valid Reason = iota

	// The message.
	Malformed    // no BOOTP header, or an option runs over the end
	TooLong      // more than edk2's PXE driver takes
	NoEnd        // the options are not ended by END: edk2 drops that
	BadOption    // an option has a length or value that edk2 does not take
	NotReply     // op is not BOOTREPLY
	WrongXID     // no request has this xid
	WrongMAC     // chaddr or hlen are not the request's
	NoType       // option 53 is missing
	WrongType    // a message type that does not answer the request
	NoServerID   // option 54 is missing or 0.0.0.0
	OtherServer  // option 54 is not the server that was asked
	NotPXE       // option 60 is not the client's class, PXEClient or HTTPClient
	HasAddress   // a boot server hands out an address
	NoAddress    // a DHCP server hands out none
	OtherAddress // not the address that was asked for
	NoBootFile   // a boot server's ACK without file
	NoNextServer // a boot file, but siaddr is 0
	NoUUID       // option 97 was sent and did not come back, or changed
	WrongGIAddr  // giaddr is not the request's
	NoRelayInfo  // option 82 was sent and did not come back, or changed
	NotLast      // option 82 is not the last option (RFC 3046 §2.1)
	NoBroadcast  // a relay would send it to 0.0.0.0: no address and no broadcast flag

	// How it came.
	WrongSource // UDP source port is not the one that was asked
	WrongDest   // not sent to where such a reply goes
	WrongVLAN   // not in the request's VLAN

	Reasons // how many there are
)

var reasonTexts = [Reasons]string{
	Valid: "valid", Malformed: "malformed", TooLong: "too long", NoEnd: "no END", BadOption: "bad option", NotReply: "not a reply",
	WrongXID: "unknown xid", WrongMAC: "other chaddr", NoType: "no message type", WrongType: "wrong message type",
	NoServerID: "no server identifier", OtherServer: "other server identifier", NotPXE: "no PXE class", HasAddress: "hands out an address",
	NoAddress: "hands out no address", OtherAddress: "other address", NoBootFile: "no boot file", NoNextServer: "no next server",
	NoUUID: "UUID not echoed", WrongGIAddr: "other giaddr", NoRelayInfo: "option 82 not echoed", NotLast: "option 82 not last",
	NoBroadcast: "no broadcast flag for the relay", WrongSource: "wrong source port", WrongDest: "wrong destination", WrongVLAN: "wrong VLAN",
}

// String returns the name.
func (r Reason) String() string {
	if r < Reasons {
		return reasonTexts[r]
	}
	return "unknown"
}
