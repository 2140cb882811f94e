package tftp

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

// rrq makes a read request: name, mode, option names and values.
func rrq(fields ...string) []byte {
	return append([]byte{0, opRRQ}, strings.Join(fields, "\x00")+"\x00"...)
}

func TestParseRequest(t *testing.T) {
	long := strings.Repeat("n", maxRequest)
	for _, c := range []struct {
		what    string
		packet  []byte
		outcome Outcome
		want    request
	}{
		{"plain", rrq("f", "octet"), running, request{name: []byte("f")}},
		{"mode in any case", rrq("f", "OcTet"), running, request{name: []byte("f")}},
		{"all options", rrq("f", "octet", "tsize", "0", "blksize", "1468", "windowsize", "4", "timeout", "5"), running,
			request{name: []byte("f"), asked: optTsize | optBlksize | optWindowsize | optTimeout, blksize: 1468, window: 4, timeout: 5}},
		{"names in any case", rrq("f", "octet", "TSize", "12345", "BLKSIZE", "512"), running,
			request{name: []byte("f"), asked: optTsize | optBlksize, blksize: 512}},
		{"the first instance counts", rrq("f", "octet", "blksize", "1024", "blksize", "512"), running,
			request{name: []byte("f"), asked: optBlksize, blksize: 1024}},
		{"the first instance counts, bad as it is", rrq("f", "octet", "blksize", "x", "BlkSize", "512"), running,
			request{name: []byte("f")}},
		{"unknown option", rrq("f", "octet", "msftwindow", "31416", "windowsize", "8"), running,
			request{name: []byte("f"), asked: optWindowsize, window: 8}},
		{"option without value", rrq("f", "octet", "windowsize", "8", "blksize"), running,
			request{name: []byte("f"), asked: optWindowsize, window: 8}},
		{"value without NUL", bytes.TrimSuffix(rrq("f", "octet", "tsize", "0", "blksize", "1468"), []byte{0}), running,
			request{name: []byte("f"), asked: optTsize}},
		{"longest", rrq(long[:maxRequest-9], "octet"), running, request{name: []byte(long[:maxRequest-9])}},

		{"too long", rrq(long[:maxRequest-8], "octet"), Malformed, request{}},
		{"no name", rrq("", "octet"), Malformed, request{}},
		{"name without NUL", []byte("\x00\x01name"), Malformed, request{}},
		{"no mode", []byte("\x00\x01name\x00"), Malformed, request{}},
		{"mode without NUL", []byte("\x00\x01name\x00octet"), Malformed, request{}},
		{"nothing", []byte{0, opRRQ}, Malformed, request{}},
		{"netascii", rrq("f", "netascii"), BadMode, request{}},
		{"mail", rrq("f", "mail"), BadMode, request{}},
		{"empty mode", rrq("f", ""), BadMode, request{}},
		{"write", []byte("\x00\x02f\x00octet\x00"), WriteRefused, request{}},
		{"data", []byte{0, opDATA, 0, 1}, NotRequest, request{}},
		{"ack", []byte{0, opACK, 0, 1}, NotRequest, request{}},
		{"error", []byte{0, opERROR, 0, 1, 0}, NotRequest, request{}},
		{"oack", []byte{0, opOACK}, NotRequest, request{}},
		{"opcode 0", []byte("\x00\x00f\x00octet\x00"), NotRequest, request{}},
		{"opcode 7", []byte("\x00\x07f\x00octet\x00"), NotRequest, request{}},
		{"opcode 257", []byte("\x01\x01f\x00octet\x00"), NotRequest, request{}},
		{"one byte", []byte{0}, NotRequest, request{}},
		{"empty", nil, NotRequest, request{}},
	} {
		got, outcome := parseRequest(c.packet)
		if outcome != c.outcome {
			t.Errorf("%s: %v, want %v", c.what, outcome, c.outcome)
			continue
		}
		if outcome == running && (!bytes.Equal(got.name, c.want.name) || got.asked != c.want.asked ||
			got.blksize != c.want.blksize || got.window != c.want.window || got.timeout != c.want.timeout) {
			t.Errorf("%s: %+v, want %+v", c.what, got, c.want)
		}
	}
}

// TestGrant has what is granted for options, as it stands in the OACK.
func TestGrant(t *testing.T) {
	for _, c := range []struct {
		options []string
		want    string // OACK without opcode; "": none
	}{
		{nil, ""},
		{[]string{"blksize", "8"}, "blksize\x008\x00"},
		{[]string{"blksize", "65464"}, "blksize\x001468\x00"},
		{[]string{"blksize", "7"}, ""},
		{[]string{"blksize", "65465"}, ""},
		{[]string{"blksize", "abc"}, ""},
		{[]string{"blksize", ""}, ""},
		{[]string{"blksize", "-512"}, ""},
		{[]string{"blksize", "+512"}, ""},
		{[]string{"blksize", "512 "}, ""},
		{[]string{"blksize", "0x200"}, ""},
		{[]string{"blksize", "18446744073709552128"}, ""},
		{[]string{"windowsize", "0"}, ""},
		{[]string{"windowsize", "1"}, "windowsize\x001\x00"},
		{[]string{"windowsize", "65535"}, "windowsize\x0064\x00"},
		{[]string{"windowsize", "65536"}, ""},
		{[]string{"windowsize", "x"}, ""},
		{[]string{"timeout", "0"}, ""},
		{[]string{"timeout", "1"}, "timeout\x001\x00"},
		{[]string{"timeout", "5"}, "timeout\x005\x00"},
		{[]string{"timeout", "255"}, ""}, // left out, see the package comment
		{[]string{"timeout", "256"}, ""},
		{[]string{"tsize", "12345"}, "tsize\x001000\x00"},
		{[]string{"tsize", ""}, "tsize\x001000\x00"},
		{[]string{"TSIZE", "0", "WindowSize", "4", "BlkSize", "1468"}, "tsize\x001000\x00blksize\x001468\x00windowsize\x004\x00"},
		{[]string{"multicast", ""}, ""},
	} {
		req, how := parseRequest(rrq(append([]string{"f", "octet"}, c.options...)...))
		if how != running {
			t.Fatalf("%q: %v", c.options, how)
		}
		g := req.grant(limits{blksize: 1468, window: 64})
		got := ""
		if g.options != 0 {
			got = string(g.appendOACK(nil, 1000)[2:])
		}
		if got != c.want {
			t.Errorf("%q: OACK %q, want %q", c.options, got, c.want)
		}
	}
}

func TestFrameBlksize(t *testing.T) {
	for _, c := range []struct {
		mtu  int
		v6   bool
		want int
	}{
		{1500, false, 1468}, {1500, true, 1448}, {9000, false, 8968}, {0, false, 1468}, {0, true, 1448},
		{65536, false, maxBlksize}, {65536, true, maxBlksize}, {68, false, 36}, {20, true, minBlksize},
	} {
		if got := frameBlksize(c.mtu, c.v6); got != c.want {
			t.Errorf("frameBlksize(%d, %v) = %d, want %d", c.mtu, c.v6, got, c.want)
		}
	}
}

// TestErrorPackets is about every ERROR that can be sent.
func TestErrorPackets(t *testing.T) {
	statement(t, "G21", "code 0 to 8, NUL-terminated ASCII text", func(t *testing.T) {
		for o := range NumOutcomes {
			code, text, ok := refusal(o)
			if !ok {
				continue
			}
			p := appendError(nil, code, text)
			if code > 8 || text == "" || p[len(p)-1] != 0 || bytes.IndexByte(p[4:], 0) != len(p)-5 {
				t.Errorf("%v: %q", o, p)
			}
			for _, c := range text {
				if c < ' ' || c > '~' {
					t.Errorf("%v: text %q is not ASCII", o, text)
				}
			}
			if o.Silent() {
				t.Errorf("%v is said to be silent and has an ERROR", o)
			}
		}
	})
}

func TestOutcomeNames(t *testing.T) {
	seen := map[string]bool{}
	for o := range NumOutcomes {
		if name := o.String(); name == "" || seen[name] {
			t.Errorf("outcome %d has the name %q", o, name)
		}
		seen[o.String()] = true
	}
}

func FuzzRequest(f *testing.F) {
	for _, p := range [][]byte{
		rrq("f", "octet"), rrq(`\Boot\BCD`, "OCTET", "tsize", "0", "blksize", "1456", "windowsize", "4", "msftwindow", "31416"),
		rrq("f", "octet", "blksize"), rrq("", ""), []byte("\x00\x02f\x00octet\x00"), []byte("\x00\x01f\x00octet"), {0, 1}, {},
		rrq("f", "octet", "blksize", "999999999999999999999", "timeout", "-1", "tsize", "\xff"),
	} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		req, how := parseRequest(p)
		if how != running {
			if code, _, ok := refusal(how); ok && code == codeNotFound {
				t.Fatalf("%q: %v before any look-up", p, how)
			}
			return
		}
		if len(req.name) == 0 || bytes.IndexByte(req.name, 0) >= 0 || len(p) > maxRequest {
			t.Fatalf("name %q of %q", req.name, p)
		}
		l := limits{blksize: 1468, window: 64}
		g := req.grant(l)
		if g.blksize < minBlksize || int(g.blksize) > l.blksize || g.window < 1 || int(g.window) > l.window || g.timeout > maxTimeoutOption {
			t.Fatalf("%q: granted %+v", p, g)
		}
		if req.asked&optBlksize != 0 && int(g.blksize) > req.blksize || req.asked&optWindowsize != 0 && int(g.window) > req.window {
			t.Fatalf("%q: granted %+v, more than %+v", p, g, req)
		}
		if oack := g.appendOACK(nil, 1<<62); len(oack) > maxOACK {
			t.Fatalf("OACK of %d bytes", len(oack))
		}
	})
}
