package keeper

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want message
	}{
		{"", message{name: "stored"}},
		{"FDSTORE=1\nFDPOLL=0\nFDNAME=tftp-data-7", message{store: true, name: "tftp-data-7"}},
		{"FDSTORE=1", message{store: true, name: "stored"}},
		{"FDSTORE=0\nFDNAME=x", message{name: "x"}},
		{"FDSTORE=1\nFDNAME=a:b", message{store: true, name: "stored"}},
		{"FDSTORE=1\nFDNAME=a\x7fb", message{store: true, name: "stored"}},
		{"FDSTORE=1\nFDNAME=" + strings.Repeat("x", 256), message{store: true, name: "stored"}},
		{"FDSTOREREMOVE=1\nFDNAME=x", message{remove: true, name: "x"}},
		{"READY=1\nSTATUS=serving", message{name: "stored", ready: true, pass: "READY=1\nSTATUS=serving"}},
		{"READY=0", message{name: "stored", pass: "READY=0"}},
		{"STOPPING=1", message{name: "stored", stopping: true}},
		{"RELOADING=1\nMONOTONIC_USEC=5\n", message{name: "stored", pass: "RELOADING=1\nMONOTONIC_USEC=5"}},
		{"MAINPID=1\nrubbish\nWATCHDOG=1", message{name: "stored", pass: "WATCHDOG=1"}},
	} {
		if got := parse(c.text); got != c.want {
			t.Errorf("parse(%q) = %+v, want %+v", c.text, got, c.want)
		}
	}
}
