package policy

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func mac(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMACPatterns(t *testing.T) {
	const guid = "4c4c4544004448108031b4c04f4a4e31"
	for _, tc := range []struct {
		pattern string
		yes, no []string
	}{
		{"52:54:00:12:34:56", []string{"52:54:00:12:34:56"}, []string{"52:54:00:12:34:57", "52:54:00:12:34:56:00:00", ""}},
		{"52-54-00-12-34-AB", []string{"52:54:00:12:34:ab"}, nil},
		{"5254.0012.34ab", []string{"52:54:00:12:34:ab"}, nil},
		{"5254001234aB", []string{"52:54:00:12:34:ab"}, nil},
		{"52:54:00:*", []string{"52:54:00:12:34:56", "52:54:00"}, []string{"52:54:01:00:00:00", "52:54"}},
		{"525400*", []string{"52:54:00:12:34:56"}, []string{"52:54:01:00:00:00"}},
		{"52:54:00:1?:*", []string{"52:54:00:1f:34:56"}, []string{"52:54:00:2f:34:56"}},
		{"*:01", []string{"52:54:00:12:34:01"}, []string{"52:54:00:12:34:10", ""}},
		{"52:??:00:*:01", []string{"52:ff:00:12:34:01"}, []string{"52:ff:01:12:34:01"}},
		{"*", []string{"52:54:00:12:34:01", guid, ""}, nil},
		{guid, []string{guid}, []string{"4c:4c:45:44:00:44"}},
		{"4c4c4544*", []string{guid}, nil},
		{"00:11:22:33:44:55:66:77", []string{"00:11:22:33:44:55:66:77"}, []string{"00:11:22:33:44:55"}},
	} {
		s := compile(t, Spec{Rules: []Rule{{Match: Match{MAC: []string{tc.pattern}}, Boot: Ignore}}})
		for _, text := range tc.yes {
			if d := s.Decide(&Machine{MAC: mac(t, text)}); d.Rule != "rule-1" {
				t.Errorf("%q does not match %s", tc.pattern, text)
			}
		}
		for _, text := range tc.no {
			if d := s.Decide(&Machine{MAC: mac(t, text)}); d.Rule != "" {
				t.Errorf("%q matches %s", tc.pattern, text)
			}
		}
	}
	for _, bad := range []string{"", "52:54:00", "5:4:0:1:2:3", "52::54:*", "52:5:*", "zz:*", "52:54:00:12:34", "52:54:00:12:34:5", "52 54 00 12 34 56",
		"52:54:00:12:34:56:", ":52:54:00:12:34:56", "0x525400123456"} {
		if _, _, err := parseMAC(bad); err == nil {
			t.Errorf("parseMAC(%q): no error", bad)
		}
	}
}

// TestUUIDOrder: one machine, named by what dmidecode or its firmware's screen
// shows, sending option 97 in either order.
func TestUUIDOrder(t *testing.T) {
	const text = "4C4C4544-0044-4810-8031-b4c04f4a4e31"
	network, smbios := mac(t, "4c4c4544004448108031b4c04f4a4e31"), mac(t, "44454c4c440010488031b4c04f4a4e31")
	other := mac(t, "44454c4c004448108031b4c04f4a4e31") // only the first field swapped
	for _, written := range []string{text, "{" + text + "}", strings.ReplaceAll(text, "-", "")} {
		s := compile(t, Spec{Rules: []Rule{{Match: Match{UUID: []string{written}}, Boot: Ignore}}})
		for _, wire := range [][]byte{network, smbios} {
			if s.Decide(&Machine{UUID: wire}).Rule == "" {
				t.Errorf("%s does not match %x", written, wire)
			}
			if s.Decide(&Machine{MAC: wire}).Rule == "" {
				t.Errorf("%s does not match %x as a hardware address", written, wire)
			}
		}
		for _, m := range []Machine{{UUID: other}, {UUID: network[:15]}, {}, {UUID: other, MAC: network}} {
			if s.Decide(&m).Rule != "" {
				t.Errorf("%s matches %+v", written, m)
			}
		}
	}
	for _, bad := range []string{"", "4c4c4544", text + "00", text[:35], "4c4c45440-044-4810-8031-b4c04f4a4e31", "xc4c4544-0044-4810-8031-b4c04f4a4e31"} {
		if _, _, err := parseUUID(bad); err == nil {
			t.Errorf("parseUUID(%q): no error", bad)
		}
	}
}

func TestBytePatterns(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		value   []byte
		want    bool
	}{
		{"0x000400", []byte{0, 4, 0}, true},
		{"0x00:04:00", []byte{0, 4, 0}, true},
		{"0x0004*", []byte{0, 4, '*', 9}, true},
		{"0x0004?1", nil, false}, // half a byte
		{"0x00?02", []byte{0, 7, 2}, true},
		{"0x2a", []byte("*"), true},
		{"0x2a", []byte("x"), false},
		{"0xAbCd", []byte{0xab, 0xcd}, true},
		{`\0x00`, []byte("0x00"), true},
		{"Eth*", []byte("Ethernet1/7"), true},
		{"Eth", []byte("Ethernet1/7"), false},
	} {
		g, err := parseBytes(tc.pattern)
		if tc.value == nil {
			if err == nil {
				t.Errorf("parseBytes(%q): no error", tc.pattern)
			}
			continue
		}
		if err != nil || g.matches(tc.value) != tc.want {
			t.Errorf("%q matches %x: %v, %v, want %v", tc.pattern, tc.value, g.matches(tc.value), err, tc.want)
		}
	}
	if g, err := parseBytes("0x"); err != nil || g.matches([]byte{0}) {
		t.Error("an empty pattern matches a byte")
	}
	if !bytes.Equal(mac(t, "00:ff"), []byte{0, 0xff}) {
		t.Fatal("the tests' own address parser is wrong")
	}
}
