package dhcp

import (
	"bytes"
	"encoding/binary"

	"github.com/xdpxe/xdpxe/responder/policy"
)

var (
	ipxeClass  = []byte("iPXE")
	archMarker = []byte(":Arch:")
)

// archDigits is how many decimal digits follow ":Arch:" in option 60 (PXE 2.1 table 2-1).
const archDigits = 5

// UserClass returns the first user class of the message (option 77) and
// whether it comes from iPXE. Two encodings are in use: RFC 3004, a list of
// classes with a length byte each, and the bare text that iPXE sends.
func (v *View) UserClass() (class []byte, ipxe bool) {
	// iPXE built with another user class still sends its encapsulated options.
	ipxe = v.seen.has(optIPXEEncapsulated)
	data := v.Option(optUserClass)
	if !isClassList(data) {
		return data, ipxe || bytes.Equal(data, ipxeClass)
	}
	class = data[1 : 1+data[0]]
	for len(data) > 0 {
		n := 1 + int(data[0])
		ipxe = ipxe || bytes.Equal(data[1:n], ipxeClass)
		data = data[n:]
	}
	return class, ipxe
}

// isClassList reports whether data is a list of RFC 3004 §4: no empty class, nothing left over.
func isClassList(data []byte) bool {
	if len(data) == 0 {
		return false
	}
	for len(data) > 0 {
		n := int(data[0])
		if n == 0 || n >= len(data) {
			return false
		}
		data = data[1+n:]
	}
	return true
}

// UUID returns the 16 bytes of option 97 as they stand there, nil if it is
// absent or not of type 0 and 17 bytes (RFC 4578 §2.3).
func (v *View) UUID() []byte {
	if data := v.Option(optClientUUID); len(data) == 17 && data[0] == 0 {
		return data[1:]
	}
	return nil
}

// Arches puts the client's architectures into dst in its order of preference
// and returns how many there are: option 93, else the digits of option 60. None
// is never silently BIOS: firmware with a broken option 93 is rarely that.
func (v *View) Arches(dst *[policy.MaxArches]policy.Arch) (n int) {
	if list := v.Option(optClientArch); len(list) >= 2 && len(list)%2 == 0 {
		for ; len(list) > 0 && n < len(dst); list = list[2:] {
			if a := policy.Arch(binary.BigEndian.Uint16(list)); a != policy.ArchUnknown {
				dst[n] = a
				n++
			}
		}
		return n
	}
	if a := archInClass(v.Option(optVendorClass)); a != policy.ArchUnknown {
		dst[0] = a
		return 1
	}
	return 0
}

// archInClass reads "PXEClient:Arch:00007:UNDI:003016".
func archInClass(class []byte) policy.Arch {
	i := bytes.Index(class, archMarker)
	if i < 0 {
		return policy.ArchUnknown
	}
	digits := class[i+len(archMarker):]
	if len(digits) < archDigits || len(digits) > archDigits && digits[archDigits] != ':' {
		return policy.ArchUnknown
	}
	code := 0
	for _, d := range digits[:archDigits] {
		if d < '0' || d > '9' {
			return policy.ArchUnknown
		}
		code = code*10 + int(d-'0')
	}
	if code >= int(policy.ArchUnknown) {
		return policy.ArchUnknown
	}
	return policy.Arch(code)
}
