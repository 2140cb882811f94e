package dhcp_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
)

// The byte strings of PROTOCOL.md section 1.7: the whole option area up to END.
func TestReferenceStrings(t *testing.T) {
	const uuid = "6111004c4c4544004a351080385ac04f334d32"
	s := newServer(t)
	for _, c := range []struct {
		name, want string
		got        *reply
	}{
		{"UEFI OFFER", "350102 3604c000020a 3c09505845436c69656e74 " + uuid + " ff", s.send(disc(x64))},
		{"BIOS OFFER", "350102 3604c000020a 3c09505845436c69656e74 " + uuid + " 2b0a 060108 0a0400505845 ff ff", s.send(disc(bios))},
		{"4011 ACK", "350105 3604c000020a 3c09505845436c69656e74 " + uuid + " ff", s.ask4011(binl())},
		{"HTTP OFFER", "350102 3604c000020a 3c0a48545450436c69656e74 " + uuid + " ff", s.send(dhcptest.DiscoverHTTP(x64HTTP))},
		{"relayed, with 61, 67 and 82", "350102 3604c000020a 3d03ffeedd 3c09505845436c69656e74 " + uuid +
			" 4381" + strings.Repeat("6e", 128) + "00 5203010178 ff", longNameRelayed(s)},
	} {
		want := strings.ReplaceAll(c.want, " ", "")
		area := hex.EncodeToString(c.got.answered().Payload[240:])
		if !strings.HasPrefix(area, want) || strings.Trim(area[len(want):], "0") != "" {
			t.Errorf("%s:\n got %s\nwant %s", c.name, area, want)
		}
	}
}

func longNameRelayed(s *server) *reply {
	s.rack.files[ia32] = strings.Repeat("n", 128)
	m := disc(ia32).Add(82, 1, 1, 'x').Add(61, 0xff, 0xee, 0xdd)
	m.GIAddr = R
	return s.send(m)
}
