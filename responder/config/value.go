package config

import (
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/xdpxe/xdpxe/responder/policy"
)

// setter reads one value of the file.
type setter = func(n ast.Node, path string)

// Each method below returns a setter. A key with nothing behind it keeps its default.

func (r *reader) section(known map[string]setter) setter {
	return func(n ast.Node, path string) { r.keys(n, path, known) }
}

// value makes a setter of a function that reads text and says what is wrong with it.
func (r *reader) value(set func(s string) (problem, hint string)) setter {
	return func(n ast.Node, path string) {
		if isEmpty(r.resolve(n)) {
			return
		}
		s, ok := r.text(n, path)
		if !ok {
			return
		}
		if problem, hint := set(s); problem != "" {
			r.fail(r.places.find(path), hint, "%s: %s", path, problem)
		}
	}
}

func (r *reader) list(set func(s string) (problem, hint string)) setter {
	return func(n ast.Node, path string) { r.items(n, path, r.value(set)) }
}

func (r *reader) texts(dst *[]string) setter {
	return r.list(func(s string) (string, string) {
		*dst = append(*dst, s)
		return "", ""
	})
}

func (r *reader) oneOf(dst *string, words ...string) setter {
	return r.value(func(s string) (string, string) {
		if !slices.Contains(words, s) {
			hint := "one of " + strings.Join(words, ", ")
			if near := policy.Suggest(strings.ToLower(s), words); near != "" {
				hint = "did you mean " + near + "?"
			}
			return "unknown value " + strconv.Quote(s), hint
		}
		*dst = s
		return "", ""
	})
}

func (r *reader) number(dst *int, low, high int) setter {
	return func(n ast.Node, path string) {
		v := r.resolve(n)
		if isEmpty(v) {
			return
		}
		hint := strconv.Itoa(low) + " to " + strconv.Itoa(high)
		i, isNumber := v.(*ast.IntegerNode)
		if !isNumber {
			s, _ := scalar(v)
			r.fail(placeOf(v), hint, "%s: must be a number, not %s", path, orKind(s, v))
			return
		}
		got, err := strconv.ParseInt(i.GetToken().Value, 0, 64)
		if err != nil || got < int64(low) || got > int64(high) {
			r.fail(placeOf(v), hint, "%s: %s is out of bounds", path, i.GetToken().Value)
			return
		}
		*dst = int(got)
	}
}

// orKind quotes a text, or says what there is instead.
func orKind(s string, n ast.Node) string {
	if s == "" {
		return kind(n)
	}
	return strconv.Quote(s)
}

func (r *reader) boolean(dst *bool) setter {
	return func(n ast.Node, path string) {
		v := r.resolve(n)
		if isEmpty(v) {
			return
		}
		b, ok := v.(*ast.BoolNode)
		if !ok {
			s, _ := scalar(v)
			r.fail(placeOf(v), "", "%s: must be true or false, not %s", path, orKind(s, v))
			return
		}
		*dst = b.Value
	}
}

func (r *reader) duration(dst *time.Duration, low, high time.Duration) setter {
	return r.value(func(s string) (string, string) {
		d, err := time.ParseDuration(s)
		switch {
		case err != nil:
			return "bad duration " + strconv.Quote(s), "with a unit, as in 2s or 500ms"
		case d < low || d > high:
			return s + " is out of bounds", low.String() + " to " + high.String()
		}
		*dst = d
		return "", ""
	})
}

// prefixes reads networks; an address alone is a network of one.
func (r *reader) prefixes(dst *[]netip.Prefix, ipv4Only bool) setter {
	return r.list(func(s string) (string, string) {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, err := netip.ParseAddr(s)
			if err != nil || a.Zone() != "" {
				return "bad network " + strconv.Quote(s), "as in 198.51.100.0/24 or 198.51.100.7"
			}
			a = a.Unmap()
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if ipv4Only && !p.Addr().Is4() {
			return s + " is not IPv4", "clients are matched by their IPv4 network"
		}
		*dst = append(*dst, p)
		return "", ""
	})
}

func (r *reader) address(dst *netip.Addr) setter {
	return r.value(func(s string) (string, string) {
		a, err := netip.ParseAddr(s)
		switch {
		case err != nil:
			return "bad address " + strconv.Quote(s), "as in 203.0.113.2"
		case !a.Is4():
			return s + " is not an IPv4 address", "DHCP replies carry an IPv4 address"
		case a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			return s + " is no address of a host", ""
		}
		*dst = a
		return "", ""
	})
}

// maxInterfaceName is IFNAMSIZ less the NUL.
const maxInterfaceName = 15

func checkInterface(name string) (problem, hint string) {
	if name == "" || len(name) > maxInterfaceName || name == "." || name == ".." || strings.ContainsAny(name, "/: \t\n") {
		return "bad interface name " + strconv.Quote(name), ""
	}
	return "", ""
}

func (r *reader) interfaces(c *Config) setter {
	return func(n ast.Node, path string) {
		r.list(func(s string) (string, string) {
			if problem, hint := checkInterface(s); problem != "" {
				return problem, hint
			}
			if slices.Contains(c.Interfaces, s) || c.Auto && s == "auto" {
				return s + " is listed twice", ""
			}
			if s == "auto" {
				c.Auto = true
			} else {
				c.Interfaces = append(c.Interfaces, s)
			}
			if c.Auto && len(c.Interfaces) > 0 {
				return "auto stands alone", "auto, or a list of interfaces"
			}
			return "", ""
		})(n, path)
	}
}

// directory reads a path; a relative one starts where the file is.
func (r *reader) directory(dst *string) setter {
	return r.path(dst, func(s string) string {
		if filepath.IsAbs(s) {
			return filepath.Clean(s)
		}
		return filepath.Join(filepath.Dir(r.file), s)
	})
}

func (r *reader) absolute(dst *string) setter { return r.path(dst, filepath.Clean) }

// optionalPath reads an absolute path, or "" for none.
func (r *reader) optionalPath(dst *string) setter {
	path := r.absolute(dst)
	return func(n ast.Node, at string) {
		if s, ok := scalar(r.resolve(n)); ok && s == "" {
			*dst = ""
			return
		}
		path(n, at)
	}
}

func (r *reader) path(dst *string, clean func(string) string) setter {
	return r.value(func(s string) (string, string) {
		if s == "" || strings.ContainsRune(s, 0) {
			return "bad path " + strconv.Quote(s), ""
		}
		*dst = clean(s)
		return "", ""
	})
}

func (r *reader) listen(dst *string) setter {
	return r.value(func(s string) (string, string) {
		if s == "" {
			*dst = ""
			return "", ""
		}
		_, port, err := net.SplitHostPort(s)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return "bad address " + strconv.Quote(s), `as in 127.0.0.1:9469, or "" for none`
		}
		*dst = s
		return "", ""
	})
}

// autoNumber reads a number, or auto as 0.
func (r *reader) autoNumber(dst *int, low, high int) setter {
	number := r.number(dst, low, high)
	return func(n ast.Node, path string) {
		if s, ok := scalar(r.resolve(n)); ok && s == "auto" {
			*dst = 0
			return
		}
		number(n, path)
	}
}

// bandwidth reads bits a second, as tc(8) and the makers of switches write
// them, into bytes a second. 0 is no bound.
func (r *reader) bandwidth(dst *int64) setter {
	return r.value(func(s string) (string, string) {
		if s == "0" {
			*dst = 0
			return "", ""
		}
		const hint = "as in 800Mbit or 2.5Gbit, or 0 for no bound"
		digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/ ")
		bits, err := strconv.ParseFloat(digits, 64)
		factor, known := map[string]float64{"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}[strings.ToLower(strings.TrimSpace(s[len(digits):]))]
		if err != nil || !known {
			return "bad bandwidth " + strconv.Quote(s), hint
		}
		if b := bits * factor / 8; b >= minBandwidth && b <= maxBandwidth {
			*dst = int64(b)
			return "", ""
		}
		return s + " is out of bounds", "100kbit to 1000Gbit, or 0 for no bound"
	})
}

func (r *reader) portRange(dst *[2]uint16) setter {
	return r.value(func(s string) (string, string) {
		if s == "" {
			return "", ""
		}
		const hint = `as in "50000-50015"`
		low, high, ok := strings.Cut(s, "-")
		from, err1 := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
		to, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
		if !ok || err1 != nil || err2 != nil || from == 0 {
			return "bad port range " + strconv.Quote(s), hint
		}
		if from > to {
			return s + " ends before it starts", hint
		}
		*dst = [2]uint16{uint16(from), uint16(to)}
		return "", ""
	})
}
