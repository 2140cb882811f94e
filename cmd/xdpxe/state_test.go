package main

import (
	"testing"

	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/tftp"
)

// What the file server counts is what status and metrics show, each under its own name.
func TestTFTPTotals(t *testing.T) {
	sum := tftp.Stats{Active: 1, Requests: 2, Bytes: 3, Retransmits: 4, SendErrors: 5, Dropped: 6}
	sum.Outcomes[tftp.Complete] = 7
	got := tftpTotals(sum)
	if len(got.Outcomes) != 1 || got.Outcomes[0] != (control.TFTPOutcome{Outcome: tftp.Complete.String(), Count: 7}) {
		t.Errorf("outcomes %+v", got.Outcomes)
	}
	numbers := [...]uint64{uint64(got.Active), got.Requests, got.BytesSent, got.Retransmissions, got.SendErrors, got.Dropped}
	if want := [...]uint64{1, 2, 3, 4, 5, 6}; numbers != want {
		t.Errorf("%+v", got)
	}
}
