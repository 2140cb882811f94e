package policy

import (
	"net/netip"
	"time"
)

// MaxArches bounds the architectures of one request that are looked at (RFC 4578 §2.1 allows a list).
const MaxArches = 4

// Machine is all that a decision may depend on. Slices are borrowed from the
// request and valid during Decide only.
type Machine struct {
	MAC         []byte          // chaddr[:hlen]; 16 bytes of GUID from edk2 with SendGUID
	UUID        []byte          // option 97 without its type byte: 16 bytes as on the wire; nil if absent or not well formed
	Arches      [MaxArches]Arch // in the order to try; only Arches[:NumArches]
	NumArches   int
	HTTP        bool       // vendor class HTTPClient: wants a URL
	IPXE        bool       // user class iPXE or option 175: wants its script or URL, never the iPXE binary again
	VendorClass []byte     // option 60
	UserClass   []byte     // option 77, without the RFC 3004 length byte
	Subnet      netip.Addr // an address on the client's network: 82.5, 118, giaddr, ciaddr on 4011, else the receiving interface's
	Relay       netip.Addr // giaddr; invalid without a relay
	CircuitID   []byte     // 82.1
	RemoteID    []byte     // 82.2

	Now      time.Time // when it asks
	Discover bool      // it is a DISCOVER, not the boot server's step
	Secs     uint16    // what it says of how long it has been asking; see WaitedFor
	Trial    bool      // somebody only wants to know: nothing is to come of it
}
