package netdev

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

// Two lines of a real table each, as a little-endian machine prints them.
const (
	udpTable = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  123: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000   105        0 35423 2 0000000000000000 0
  124: 0A0200C0:0045 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 35424 2 0000000000000000 7
`
	udp6Table = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  321: B80D0120000000000000000001000000:0043 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 0
`
)

func TestParseUDP(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("needs a little-endian machine: the tables are one's")
	}
	got, err := parseUDP(strings.NewReader(udpTable), 67)
	want := Holder{Addr: netip.MustParseAddrPort("0.0.0.0:67"), Inode: 35423, UID: 105}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("port 67: %v, %v", got, err)
	}
	got, err = parseUDP(strings.NewReader(udpTable), 69)
	if err != nil || len(got) != 1 || got[0].Addr != netip.MustParseAddrPort("192.0.2.10:69") {
		t.Errorf("port 69: %v, %v", got, err)
	}
	got, err = parseUDP(strings.NewReader(udp6Table), 67)
	if err != nil || len(got) != 1 || got[0].Addr != netip.MustParseAddrPort("[2001:db8::1]:67") {
		t.Errorf("IPv6: %v, %v", got, err)
	}
	if got, err := parseUDP(strings.NewReader(udpTable), 68); err != nil || len(got) != 0 {
		t.Errorf("port 68: %v, %v", got, err)
	}
	for _, bad := range []string{
		"1: 00000000 0 07 0 0 0 0 0 1 2", "1: 0000000:0043 0 07 0 0 0 0 0 1 2", "1: 00000000:10043 0 07 0 0 0 0 0 1 2",
		"1: 00000000:0043 0 07 0 0 0 x 0 1 2", "1: 00000000:0043 0 07 0 0 0 0 0 x 2", "1: 0000:0043 0 07 0 0 0 0 0 1 2",
		"1: :0043 0 07 0 0 0 0 0 1 2",
	} {
		if got, err := parseUDP(strings.NewReader(bad), 67); err == nil {
			t.Errorf("%q: no error, %v", bad, got)
		}
	}
}
