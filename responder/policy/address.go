package policy

import (
	"encoding/hex"
	"strings"
)

// maxHardware is the size of chaddr, the longest hardware address (RFC 2131 §2).
const maxHardware = 16

// macKey is a hardware address as the key of a map.
type macKey struct {
	addr [maxHardware]byte
	n    uint8
}

func keyOf(mac []byte) (k macKey, ok bool) {
	if len(mac) > maxHardware {
		return macKey{}, false
	}
	copy(k.addr[:], mac)
	k.n = uint8(len(mac))
	return k, true
}

// parseMAC compiles a mac pattern: to one address if it has no wildcard, else
// to a glob over the lower-case digits of an address.
func parseMAC(text string) (exact []byte, g glob, err *ValueError) {
	const hint = `as in "52:54:00:12:34:56" or "52:54:00:*"`
	tokens, group, wild, groupWild, separators := []uint16(nil), 0, false, false, 0
	endGroup := func() bool { return groupWild || group > 0 && group%2 == 0 }
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '*' || c == '?':
			wild, groupWild = true, true
			if c == '*' {
				tokens = append(tokens, anyRun)
			} else {
				tokens = append(tokens, anyByte)
			}
		case c == ':' || c == '-' || c == '.':
			if !endGroup() {
				return nil, glob{}, invalid("each byte is two digits, "+hint, "bad hardware address %q", text)
			}
			group, groupWild = 0, false
			separators++
		default:
			d := hexDigit(c)
			if d == 0 {
				return nil, glob{}, invalid(hint, "bad hardware address %q", text)
			}
			tokens = append(tokens, uint16(d))
			group++
		}
	}
	if !endGroup() {
		return nil, glob{}, invalid("each byte is two digits, "+hint, "bad hardware address %q", text)
	}
	if wild {
		return nil, newGlob(text, tokens), nil
	}
	digits := make([]byte, len(tokens))
	for i, t := range tokens {
		digits[i] = byte(t)
	}
	switch len(digits) / 2 {
	case 6, 8, 16: // Ethernet, InfiniBand, GUID
	default:
		return nil, glob{}, invalid("6, 8 or 16 bytes; a part of one needs a *, "+hint, "bad hardware address %q: %d bytes", text, len(digits)/2)
	}
	exact = make([]byte, len(digits)/2)
	if _, err := hex.Decode(exact, digits); err != nil {
		return nil, glob{}, invalid(hint, "bad hardware address %q", text)
	}
	return exact, glob{}, nil
}

// hexDigit returns the lower-case form of a hexadecimal digit, 0 if c is none.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9', 'a' <= c && c <= 'f':
		return c
	case 'A' <= c && c <= 'F':
		return c + 'a' - 'A'
	}
	return 0
}

// hardwareDigits are the lower-case hexadecimal digits of an address: what mac
// patterns are compared with.
type hardwareDigits struct {
	text [2 * maxHardware]byte
	n    int
}

func (h *hardwareDigits) set(mac []byte) {
	h.n = 2 * min(len(mac), maxHardware)
	hex.Encode(h.text[:], mac[:h.n/2])
}

func (h *hardwareDigits) bytes() []byte { return h.text[:h.n] }

// parseUUID returns both byte orders of a textual UUID: as written, and with
// the first three fields swapped, as SMBIOS stores them (DSP0134 §7.2.1).
func parseUUID(text string) (asWritten, swapped [16]byte, err *ValueError) {
	const hint = `as in "4c4c4544-0044-4810-8031-b4c04f4a4e31"`
	digits := strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}")
	if len(digits) == 36 && digits[8] == '-' && digits[13] == '-' && digits[18] == '-' && digits[23] == '-' {
		digits = strings.ReplaceAll(digits, "-", "")
	}
	if n, e := hex.Decode(asWritten[:], []byte(digits[:min(len(digits), 32)])); e != nil || n != 16 || len(digits) != 32 {
		return asWritten, swapped, invalid(hint, "bad UUID %q", text)
	}
	swapped = asWritten
	for _, field := range [...][]byte{swapped[0:4], swapped[4:6], swapped[6:8]} {
		for i, j := 0, len(field)-1; i < j; i, j = i+1, j-1 {
			field[i], field[j] = field[j], field[i]
		}
	}
	return asWritten, swapped, nil
}

// parseBytes compiles a pattern on bytes: text, or hexadecimal after "0x",
// where ? is one byte and - : . may separate.
func parseBytes(text string) (glob, *ValueError) {
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok {
		return textGlob(text), nil
	}
	const hint = `as in "0x0004003c*"`
	var tokens []uint16
	for i := 0; i < len(digits); i++ {
		switch c := digits[i]; c {
		case '*':
			tokens = append(tokens, anyRun)
		case '?':
			tokens = append(tokens, anyByte)
		case ':', '-', '.':
		default:
			var b [1]byte
			if i+2 > len(digits) {
				return glob{}, invalid(hint, "bad bytes %q: each byte is two hexadecimal digits", text)
			}
			if _, err := hex.Decode(b[:], []byte(digits[i:i+2])); err != nil {
				return glob{}, invalid(hint, "bad bytes %q: each byte is two hexadecimal digits", text)
			}
			tokens = append(tokens, uint16(b[0]))
			i++
		}
	}
	return newGlob(text, tokens), nil
}
