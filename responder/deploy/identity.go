package deploy

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
)

// Identity is what a machine calls itself on the wire: a hardware address or a
// UUID. The zero Identity is nobody's.
type Identity struct {
	uuid bool
	n    uint8
	b    [16]byte
}

// HardwareIdentity is that of chaddr[:hlen]. 16 bytes are the GUID that edk2
// sends as a hardware address (PxeBcDhcp4CallBack), so a UUID.
func HardwareIdentity(mac []byte) (id Identity) {
	if len(mac) == 0 || len(mac) > len(id.b) {
		return Identity{}
	}
	if len(mac) == len(id.b) {
		return UUIDIdentity(mac)
	}
	id.n = uint8(copy(id.b[:], mac))
	return id
}

// UUIDIdentity is that of the 16 bytes of option 97. Placeholders, which a
// vendor left in all of its machines, are nobody's.
func UUIDIdentity(uuid []byte) (id Identity) {
	if len(uuid) != len(id.b) {
		return Identity{}
	}
	id.uuid, id.n = true, uint8(copy(id.b[:], uuid))
	if id.placeholder() {
		return Identity{}
	}
	return id
}

// ParseIdentity reads a hardware address, as in 52:54:00:12:34:56, or a UUID.
func ParseIdentity(text string) (Identity, error) {
	digits := strings.NewReplacer(":", "", "-", "", ".", "", "{", "", "}", "").Replace(text)
	var raw [16]byte
	n, err := hex.Decode(raw[:], []byte(digits[:min(len(digits), 2*len(raw))]))
	switch {
	case err != nil || len(digits) != 2*n || n == 0:
		return Identity{}, fmt.Errorf("%q is no hardware address (as in 52:54:00:12:34:56) and no UUID (as in 4c4c4544-0044-4810-8031-b4c04f4a4e31)", clip(text))
	case n == len(raw):
		id := UUIDIdentity(raw[:])
		if id.IsZero() {
			return Identity{}, fmt.Errorf("UUID %s is a placeholder that many machines have: name the machine by its hardware address", text)
		}
		return id, nil
	}
	return HardwareIdentity(raw[:n]), nil
}

// IsZero reports that id is nobody's.
func (id Identity) IsZero() bool { return id.n == 0 }

// IsUUID reports that id is a UUID, not a hardware address.
func (id Identity) IsUUID() bool { return id.uuid }

// Bytes returns the bytes in the order of the wire.
func (id Identity) Bytes() []byte { return append([]byte(nil), id.b[:id.n]...) }

// Copy is Bytes into dst, which has room for 16. It returns how many they are.
func (id *Identity) Copy(dst []byte) int { return copy(dst, id.b[:id.n]) }

// Key is the identity that everything about a machine is filed under: both
// spellings of a UUID have one.
func (id Identity) Key() Identity { return id.key() }

// String writes lower-case digits: 52:54:00:12:34:56, or a UUID with its dashes.
func (id Identity) String() string {
	raw := hex.EncodeToString(id.b[:id.n])
	if id.uuid {
		return raw[:8] + "-" + raw[8:12] + "-" + raw[12:16] + "-" + raw[16:20] + "-" + raw[20:]
	}
	var s strings.Builder
	for i := 0; i < len(raw); i += 2 {
		if i > 0 {
			s.WriteByte(':')
		}
		s.WriteString(raw[i : i+2])
	}
	return s.String()
}

// MarshalText writes String's form.
func (id Identity) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what ParseIdentity does; empty text is the zero Identity.
func (id *Identity) UnmarshalText(text []byte) (err error) {
	*id = Identity{}
	if len(text) > 0 {
		*id, err = ParseIdentity(string(text))
	}
	return err
}

// key is the identity as the catalogue files it. A UUID has two spellings, as
// SMBIOS keeps its first three fields in little-endian order and not everybody
// swaps them: both have one key.
func (id Identity) key() Identity {
	if !id.uuid {
		return id
	}
	swapped := id
	s := &swapped.b
	s[0], s[1], s[2], s[3] = s[3], s[2], s[1], s[0]
	s[4], s[5], s[6], s[7] = s[5], s[4], s[7], s[6]
	if bytes.Compare(s[:], id.b[:]) < 0 {
		return swapped
	}
	return id
}

// Same reports that both are one machine's identity, in either spelling of a UUID.
func (id Identity) Same(other Identity) bool { return id.key() == other.key() }

// placeholders are UUIDs that are found in machines of many owners, beside
// those of one repeated byte. 03000200-… is American Megatrends' default.
var placeholders = [...][16]byte{
	{0x03, 0x00, 0x02, 0x00, 0x04, 0x00, 0x05, 0x00, 0x00, 0x06, 0x00, 0x07, 0x00, 0x08, 0x00, 0x09},
	{0x00, 0x02, 0x00, 0x03, 0x00, 0x04, 0x00, 0x05, 0x00, 0x06, 0x00, 0x07, 0x00, 0x08, 0x00, 0x09}, // the same, swapped
	{0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f},
	{0x03, 0x02, 0x01, 0x00, 0x05, 0x04, 0x07, 0x06, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f},
}

func (id Identity) placeholder() bool {
	for i := range placeholders {
		if id.b == placeholders[i] {
			return true
		}
	}
	for _, c := range id.b[1:] {
		if c != id.b[0] {
			return false
		}
	}
	return true
}

// Client is who asks, as its request says. The slices are borrowed.
type Client struct {
	MAC  []byte // chaddr[:hlen]
	UUID []byte // option 97 without its type byte; nil if there is none
}

// Identities returns how the client is known: by hardware address, UUID, or both.
func (c Client) Identities() (mac, uuid Identity) {
	mac, uuid = HardwareIdentity(c.MAC), UUIDIdentity(c.UUID)
	if mac.uuid {
		if uuid.IsZero() {
			uuid = mac
		}
		mac = Identity{}
	}
	return mac, uuid
}

// ID is the identity that a machine is recorded under: its hardware address,
// or its UUID if it shows no other.
func (c Client) ID() Identity {
	mac, uuid := c.Identities()
	if mac.IsZero() {
		return uuid
	}
	return mac
}

// clip shortens what a stranger wrote, for a message.
func clip(text string) string {
	if len(text) > 64 {
		return text[:61] + "..."
	}
	return text
}
