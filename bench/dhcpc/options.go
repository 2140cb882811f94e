package dhcpc

import "github.com/xdpxe/xdpxe/responder/dhcp"

// form is what edk2 demands of an option's data (Dhcp4Option.c DhcpOptionFormats).
type form uint8

const (
	free    form = iota // not checked
	address             // one IPv4 address
	addresses
	pairs // of addresses
	word
	words
	double
	octet
	flag     // 0 or 1
	overload // 1 to 3
	text     // at least one byte
	atLeast2
	atLeast5
)

// forms are those of the options that edk2 checks.
var forms = [256]form{
	1: address, 54: address,
	3: addresses, 4: addresses, 5: addresses, 6: addresses, 7: addresses, 8: addresses, 9: addresses, 10: addresses, 11: addresses,
	16: addresses, 28: addresses, 32: addresses, 41: addresses, 42: addresses, 44: addresses, 45: addresses, 48: addresses,
	49: addresses, 50: addresses, 65: addresses, 68: addresses, 69: addresses, 70: addresses, 71: addresses, 72: addresses,
	73: addresses, 74: addresses, 75: addresses, 76: addresses,
	21: pairs, 33: pairs,
	13: word, 22: word, 26: word, 57: word, 25: words,
	2: double, 24: double, 35: double, 38: double, 51: double, 58: double, 59: double,
	23: octet, 37: octet, 46: octet, 53: octet,
	19: flag, 20: flag, 27: flag, 29: flag, 30: flag, 31: flag, 34: flag, 36: flag, 39: flag,
	52: overload,
	12: text, 14: text, 15: text, 17: text, 18: text, 40: text, 43: text, 47: text, 55: text, 56: text, 60: text, 64: text,
	66: text, 67: text,
	61: atLeast2, 121: atLeast5,
}

// ok says whether data, all pieces of the option joined, has the form.
func (f form) ok(data []byte) bool {
	n := len(data)
	switch f {
	case address, double:
		return n == 4
	case addresses:
		return n >= 4 && n%4 == 0
	case pairs:
		return n >= 8 && n%8 == 0
	case word:
		return n == 2
	case words:
		return n >= 2 && n%2 == 0
	case octet:
		return n == 1
	case flag:
		return n == 1 && data[0] <= 1
	case overload:
		return n == 1 && data[0] >= 1 && data[0] <= 3
	case text:
		return n >= 1
	case atLeast2:
		return n >= 2
	case atLeast5:
		return n >= 5
	}
	return true
}

// examine walks the options of a message that v is a view of, and returns the
// code of the last one. ok is false if edk2 would not take one of them, or where
// a header field holds options that END does not end.
func examine(v *dhcp.View, msg []byte) (last uint8, ok bool) {
	// Options in the options field; those of overloaded fields come behind it.
	for at := headerLen; at < len(msg); {
		code := msg[at]
		if code == optEnd {
			break
		}
		if code == 0 {
			at++
			continue
		}
		last = code
		// View.Parse found that it ends within the message. edk2 leaves options
		// without data out of its account.
		if data := v.Option(code); len(data) > 0 && !forms[code].ok(data) {
			return last, false
		}
		at += 2 + int(msg[at+1])
	}
	fields := v.Option(optOverload)
	if fields == nil {
		return last, true
	}
	return last, len(fields) == 1 &&
		(fields[0]&1 == 0 || ended(v, msg[offFile:offMagic])) && (fields[0]&2 == 0 || ended(v, msg[offSName:offFile]))
}

// ended says whether a header field holds options that edk2 takes and END.
func ended(v *dhcp.View, field []byte) bool {
	for at := 0; at < len(field); {
		switch code := field[at]; code {
		case optEnd:
			return true
		case 0:
			at++
		default:
			if at+1 >= len(field) {
				return false
			}
			if data := v.Option(code); len(data) > 0 && !forms[code].ok(data) {
				return false
			}
			at += 2 + int(field[at+1])
		}
	}
	return false
}
