package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// option is one DHCP option for people and for JSON.
type option struct {
	Code  uint8  `json:"code"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// kind says how the data of an option is to be read.
type kind uint8

const (
	kindHex kind = iota
	kindText
	kindAddrs
	kindNumber
	kindMessageType
	kindArches
	kindUUID
	kindPXE   // sub-options of 43
	kindRelay // sub-options of 82
	kindClass // user class, both encodings
)

// known are the options that boot clients and servers exchange (RFC 2132, RFC
// 3004, RFC 3046, RFC 4578, PXE 2.1 table 2-1).
var known = map[uint8]struct {
	name string
	kind kind
}{
	1: {"subnet mask", kindAddrs}, 3: {"routers", kindAddrs}, 6: {"name servers", kindAddrs},
	12: {"host name", kindText}, 13: {"boot file size", kindNumber}, 15: {"domain name", kindText},
	43: {"PXE options", kindPXE}, 50: {"requested address", kindAddrs}, 51: {"lease time", kindNumber},
	52: {"overload", kindNumber}, 53: {"message type", kindMessageType}, 54: {"server identifier", kindAddrs},
	55: {"requested options", kindHex}, 56: {"message", kindText}, 57: {"maximal message size", kindNumber},
	60: {"vendor class", kindText}, 61: {"client identifier", kindHex}, 66: {"TFTP server name", kindText},
	67: {"boot file name", kindText}, 77: {"user class", kindClass}, 82: {"relay information", kindRelay},
	93: {"client architecture", kindArches}, 94: {"network interface", kindHex}, 97: {"client UUID", kindUUID},
	118: {"subnet selection", kindAddrs}, 175: {"iPXE options", kindHex},
}

var pxeOptions = map[uint8]string{
	6: "discovery control", 7: "multicast address", 8: "boot servers", 9: "boot menu", 10: "menu prompt", 71: "boot item",
}

var relayOptions = map[uint8]string{
	1: "circuit-id", 2: "remote-id", 5: "link selection", 10: "flags", 11: "server-id override", 19: "source port",
}

// describe makes an option of its code and data. It trusts neither.
func describe(code uint8, data []byte) option {
	k, ok := known[code]
	if !ok {
		k.name = "option " + strconv.Itoa(int(code))
	}
	return option{Code: code, Name: k.name, Value: k.kind.text(data)}
}

func (k kind) text(data []byte) string {
	s := ""
	switch k {
	case kindText:
		return quote(strings.TrimRight(string(data), "\x00"))
	case kindAddrs:
		s = addrsText(data)
	case kindNumber:
		s = numberText(data)
	case kindMessageType:
		if len(data) == 1 {
			s = dhcp.MessageType(data[0]).String()
		}
	case kindArches:
		s = archesText(data)
	case kindUUID:
		if len(data) == 17 && data[0] == 0 {
			s = uuidText(data[1:])
		}
	case kindPXE:
		s = subOptionsText(data, pxeOptions)
	case kindRelay:
		s = subOptionsText(data, relayOptions)
	case kindClass:
		return classText(data)
	}
	if s == "" { // not of its own form
		s = hexText(data)
	}
	return s
}

func addrsText(data []byte) string {
	if len(data) == 0 || len(data)%4 != 0 {
		return ""
	}
	var list []string
	for ; len(data) > 0; data = data[4:] {
		list = append(list, netip.AddrFrom4([4]byte(data)).String())
	}
	return strings.Join(list, ", ")
}

func numberText(data []byte) string {
	switch len(data) {
	case 1, 2, 4:
		n := uint64(0)
		for _, b := range data {
			n = n<<8 | uint64(b)
		}
		return strconv.FormatUint(n, 10)
	}
	return ""
}

func archesText(data []byte) string {
	if len(data) == 0 || len(data)%2 != 0 {
		return ""
	}
	var list []string
	for ; len(data) > 0; data = data[2:] {
		list = append(list, policy.Arch(binary.BigEndian.Uint16(data)).String())
	}
	return strings.Join(list, ", ")
}

// subOptionsText reads encapsulated options; empty if they are malformed.
func subOptionsText(data []byte, names map[uint8]string) string {
	var list []string
	for len(data) > 0 && data[0] != 255 {
		if data[0] == 0 {
			data = data[1:]
			continue
		}
		if len(data) < 2 || len(data) < 2+int(data[1]) {
			return ""
		}
		code, n := data[0], 2+int(data[1])
		name := names[code]
		if name == "" {
			name = "sub-option " + strconv.Itoa(int(code))
		}
		list = append(list, fmt.Sprintf("%s (%d) %s", name, code, printable(data[2:n])))
		data = data[n:]
	}
	return strings.Join(list, ", ")
}

// classText reads option 77: bare text, as iPXE sends it, or the list of RFC 3004.
func classText(data []byte) string {
	var list []string
	for rest := data; len(rest) > 0; rest = rest[1+int(rest[0]):] {
		if rest[0] == 0 || int(rest[0]) >= len(rest) {
			return quote(string(data))
		}
		list = append(list, quote(string(rest[1:1+int(rest[0])])))
	}
	return strings.Join(list, ", ")
}

// printable shows bytes as text if they are that, else in hexadecimal.
func printable(data []byte) string {
	for _, b := range data {
		if b < ' ' || b > '~' {
			return hexText(data)
		}
	}
	if len(data) < 3 {
		return hexText(data)
	}
	return quote(string(data))
}

func quote(s string) string { return strconv.Quote(s) }

func hexText(data []byte) string {
	if len(data) == 0 {
		return "empty"
	}
	return hex.EncodeToString(data)
}

// uuidText writes 16 bytes in the order of the wire.
func uuidText(u []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

func hardwareText(b []byte) string {
	if len(b) == 0 {
		return "no hardware address"
	}
	return net.HardwareAddr(b).String()
}

// options lists what a message carries, in its order, pieces of a long option apart.
func options(v *dhcp.View) []option {
	var list []option
	for code, data := range v.Options() {
		list = append(list, describe(code, data))
	}
	return list
}

// xidText is a transaction id as logs and Wireshark write it, without 0x.
func xidText(xid uint32) string { return fmt.Sprintf("%08x", xid) }
