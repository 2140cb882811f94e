package dhcpc

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Message types (RFC 2132 §9.6).
const (
	Discover = 1
	Offer    = 2
	Request  = 3
	ACK      = 5
	Inform   = 8
)

// Spec is one kind of message that a client sends. What differs from machine to
// machine and from message to message is in Vars.
type Spec struct {
	Type        uint8    `yaml:"type"`         // option 53
	Broadcast   bool     `yaml:"broadcast"`    // the flag that asks for broadcast replies
	VendorClass string   `yaml:"vendor-class"` // option 60; "": absent
	Arch        []uint16 `yaml:"arch"`         // option 93; empty: absent
	NII         []uint8  `yaml:"nii"`          // option 94, type, major, minor; empty: absent
	UUID        bool     `yaml:"uuid"`         // option 97, the machine's
	ClientID    bool     `yaml:"client-id"`    // option 61, hardware type and MAC
	UserClass   string   `yaml:"user-class"`   // option 77 as iPXE sends it, without RFC 3004's length; "": absent
	MaxSize     uint16   `yaml:"max-size"`     // option 57; 0: absent
	Parameters  []uint8  `yaml:"parameters"`   // option 55; empty: absent
	Extra       []Option `yaml:"extra"`        // whatever else, after the others
	MinLen      int      `yaml:"min-len"`      // pad to so many bytes; 0: DefaultMinLen
}

// Option is one DHCP option.
type Option struct {
	Code uint8 `yaml:"code"`
	Data Bytes `yaml:"data"`
}

// Bytes is written in YAML as hexadecimal digits; blanks and colons between
// them are for the reader.
type Bytes []byte

// UnmarshalText reads the digits.
func (b *Bytes) UnmarshalText(text []byte) error {
	data, err := hex.DecodeString(strings.NewReplacer(" ", "", ":", "").Replace(string(text)))
	if err != nil {
		return fmt.Errorf("%q: want hexadecimal digits: %w", text, err)
	}
	*b = data
	return nil
}

// MarshalText writes the digits.
func (b Bytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, b), nil }

// DefaultMinLen is the length that RFC 951 §3 gives a BOOTP message; relays and
// servers drop shorter ones.
const DefaultMinLen = 300

// The vendor classes of network boot clients, as replies carry them.
const (
	pxeClient  = "PXEClient"
	httpClient = "HTTPClient"
)

// edk2Parameters are what edk2 asks for in option 55 (PxeBcBuildDhcp4Options).
var edk2Parameters = []uint8{1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67, 97,
	128, 129, 130, 131, 132, 133, 134, 135}

// httpArchs are IANA's architectures that boot by HTTP ("Processor Architecture Types").
var httpArchs = [64]bool{15: true, 16: true, 17: true, 18: true, 19: true, 20: true, 23: true, 24: true, 26: true, 28: true, 30: true, 38: true, 40: true}

// HTTP says whether an architecture is one that boots by HTTP: its clients call
// themselves HTTPClient, and have no boot server step.
func HTTP(arch uint16) bool { return int(arch) < len(httpArchs) && httpArchs[arch] }

// FirmwareDiscover is the DISCOVER of UEFI firmware (edk2) of an architecture.
func FirmwareDiscover(arch uint16) Spec {
	s := firmware(Discover, arch)
	s.Broadcast = true
	return s
}

// FirmwareBootServer is edk2's request to a boot server on port 4011
// (PxeBcDhcp4Discover); its Vars need CIAddr.
func FirmwareBootServer(arch uint16) Spec { return firmware(Request, arch) }

func firmware(kind uint8, arch uint16) Spec {
	class := pxeClient
	if HTTP(arch) {
		class = httpClient
	}
	return Spec{
		Type: kind, MaxSize: 1472, Parameters: edk2Parameters, UUID: true, NII: []uint8{1, 3, 16}, Arch: []uint16{arch},
		VendorClass: fmt.Sprintf("%s:Arch:%05d:UNDI:003016", class, arch),
	}
}
