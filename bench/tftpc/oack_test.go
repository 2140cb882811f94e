package tftpc

import (
	"bytes"
	"testing"
)

func TestRequest(t *testing.T) {
	for _, c := range []struct {
		r    Request
		want []byte
	}{
		{Request{Name: "f"}, rrq("f", "octet")},
		{Request{Name: `\boot\BCD`, Mode: "netascii", Timeout: 5, Extra: []string{"msftwindow", "31416"}}, rrq(`\boot\BCD`, "netascii", "timeout", "5", "msftwindow", "31416")},
		{Request{Name: "f", Tsize: true, Blksize: 1468, Window: 4}, rrq("f", "octet", "tsize", "0", "blksize", "1468", "windowsize", "4")},
		{Request{Name: "f", Extra: []string{"tsize", "12345"}}, rrq("f", "octet", "tsize", "12345")}, // as U-Boot may
	} {
		if got := c.r.Append([]byte("x")); !bytes.Equal(got[1:], c.want) || got[0] != 'x' {
			t.Errorf("%+v: %q, want %q", c.r, got, c.want)
		}
	}
}

func TestOACK(t *testing.T) {
	asked := Request{Name: "f", Tsize: true, Blksize: 1468, Timeout: 5, Window: 16, Extra: []string{"msftwindow", "31416"}}
	bare := Request{Name: "f", Tsize: true}
	all := granted{blksize: 1024, window: 8, tsize: 7}
	none := granted{blksize: 512, window: 1, tsize: -1}
	for _, c := range []struct {
		name  string
		asked Request
		rules Rules
		p     []byte
		want  granted
		bad   string
	}{
		{"all", asked, Rules{}, oack("tsize", "7", "blksize", "1024", "timeout", "5", "windowsize", "8"), all, ""},
		{"in any case", asked, Rules{}, oack("TSIZE", "7", "BlkSize", "1024", "WINDOWSIZE", "8"), all, ""},
		{"nothing", asked, Rules{}, []byte{0, 6, 0}, none, "an option without a value"},
		{"without options", asked, Rules{}, []byte{0, 6}, none, "no NUL at the end"},
		{"no NUL", asked, Rules{}, []byte("\x00\x06tsize\x007"), none, "no NUL at the end"},
		{"no value", asked, Rules{}, []byte("\x00\x06tsize\x00"), none, "an option without a value"},
		{"more than asked: blksize", asked, Rules{}, oack("blksize", "1469"), none, "blksize=1469"},
		{"blksize too small", asked, Rules{}, oack("blksize", "7"), none, "blksize=7"},
		{"blksize no number", asked, Rules{}, oack("blksize", "x\n"), none, "blksize=x?"},
		{"blksize beyond int64", asked, Rules{}, oack("blksize", "99999999999999999999"), none, "blksize=99999999999999999999"},
		{"more than asked: windowsize", asked, Rules{}, oack("windowsize", "17"), none, "windowsize=17"},
		{"windowsize 0", asked, Rules{}, oack("windowsize", "0"), none, "windowsize=0"},
		{"another timeout", asked, Rules{}, oack("timeout", "6"), none, "timeout=6"},
		{"negative tsize", asked, Rules{}, oack("tsize", "-1"), none, "tsize=-1"},
		{"edk2: known, not asked", bare, Rules{}, oack("windowsize", "4"), none, "windowsize was not asked for"},
		{"edk2: multicast", bare, Rules{}, oack("multicast", "1"), none, "multicast was not asked for"},
		{"edk2: unknown", bare, Rules{}, oack("fruit", "4"), none, ""},
		{"PXELINUX: unknown", bare, Rules{OACK: OACKNothing}, oack("fruit", "4"), none, "fruit was not asked for"},
		{"iPXE: not asked", bare, Rules{OACK: OACKAny}, oack("windowsize", "4", "blksize", "9999"), none, ""},
		{"an extra", asked, Rules{OACK: OACKNothing}, oack("msftwindow", "27182"), none, ""},
		{"exact names", asked, Rules{ExactNames: true, OACK: OACKAny}, oack("Blksize", "1024"), none, ""},
	} {
		got, bad := parseOACK(c.p[2:], &c.asked, &c.rules)
		if bad != c.bad || bad == "" && got != c.want {
			t.Errorf("%s: %+v %q, want %+v %q", c.name, got, bad, c.want, c.bad)
		}
	}
}

func TestRuleNames(t *testing.T) {
	var r Rules
	for _, c := range []struct {
		set  interface{ UnmarshalText([]byte) error }
		name string
		got  func() string
	}{
		{&r.Gap, "once", func() string { return r.Gap.String() }}, {&r.Gap, "ignore", func() string { return r.Gap.String() }},
		{&r.Duplicate, "ack-that", func() string { return r.Duplicate.String() }}, {&r.OACK, "any", func() string { return r.OACK.String() }},
	} {
		if err := c.set.UnmarshalText([]byte(c.name)); err != nil || c.got() != c.name {
			t.Errorf("%s: %v, %v", c.name, c.got(), err)
		}
		if err := c.set.UnmarshalText([]byte("nonsense")); err == nil {
			t.Errorf("nonsense became %v", c.got())
		}
	}
}
