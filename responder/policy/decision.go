package policy

import (
	"time"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// Style is the form in which a client family takes its boot file.
type Style uint8

const (
	StyleUEFI Style = iota // no option 43; the file on UDP 4011 (edk2 8cdd559be6)
	StyleBIOS              // option 43 6=8, 10; the file in the OFFER
	StyleIPXE              // script or URL in the file field, no option 43
	StyleHTTP              // vendor class HTTPClient and a URL, no 4011
)

// Decision is the answer to "does this machine boot from us, and what?".
type Decision struct {
	Reason  packet.Reason // Answered, or why there is silence
	Style   Style
	Arch    Arch   // the architecture of the request that the file was chosen for
	File    string // path below the root with forward slashes, or a URL
	Rule    string // name of the rule that matched; empty: the default
	Profile string
	// Deployment is the id of the one that Profile is of, Detail a word that says
	// more than Reason, both if there is one.
	Deployment string
	Detail     string
	// Track: what is known of the machine counts in the rule. That it asked is to be recorded.
	Track bool
	// Cacheable and TTL say whether the same request may be answered the same
	// way without asking again, and how long (0: until the configuration changes).
	Cacheable bool
	TTL       time.Duration
}
