package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/tftp"
)

// What the file server counts is what status and metrics show, each under its own name.
func TestTFTPTotals(t *testing.T) {
	sum := tftp.Stats{Active: 1, Requests: 2, Bytes: 3, Retransmits: 4, SendErrors: 5, Dropped: 6,
		Queued: 7, Repeated: 8, Waited: 9, Timeouts: 10, Capped: 11, Strangers: 12, Unconfirmed: 13, Uploads: 14, Received: 15,
		Loads: 16, Waits: 17, Faults: 18}
	sum.Outcomes[tftp.Complete] = 7
	got := tftpTotals(sum)
	if len(got.Outcomes) != 1 || got.Outcomes[0] != (control.TFTPOutcome{Outcome: tftp.Complete.String(), Kind: "finished", Count: 7}) {
		t.Errorf("outcomes %+v", got.Outcomes)
	}
	numbers := [...]uint64{uint64(got.Active), got.Requests, got.BytesSent, got.Retransmissions, got.SendErrors, got.Dropped,
		uint64(got.Queued), got.Repeated, got.Waited, got.Timeouts, got.Capped, got.Strangers, got.Unconfirmed, got.Uploads, got.BytesReceived,
		got.DiskReads, got.DiskWaits, got.LoopFaults}
	if want := [...]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}; numbers != want {
		t.Errorf("%+v", got)
	}
}

// A TFTP loop that hangs is the watchdog's business, shows in the status, and
// keeps nobody who asks for that waiting.
func TestHungFileServer(t *testing.T) {
	root, err := content.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	hangs, hold := make(chan struct{}), make(chan struct{})
	cfg := tftp.DefaultConfig()
	cfg.Port, cfg.Workers, cfg.Addrs = 0, 1, []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	cfg.Clients = func(netip.Addr) bool { close(hangs); <-hold; return false }
	server, err := tftp.Listen(cfg, root)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	defer func() {
		close(hold)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	d := &daemon{config: new(config.Config), server: responder.New(zap.NewNop()), tftp: server}

	client, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", server.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("\x00\x01file\x00octet\x00")); err != nil {
		t.Fatal(err)
	}
	<-hangs
	now := time.Now()
	if !d.alive(now) {
		t.Error("not alive as soon as a loop stands still")
	}
	if d.alive(now.Add(loopPatience + time.Millisecond)) {
		t.Error("alive with a loop that hangs")
	}
	if st := tftpStatus(server, now.Add(loopPatience+time.Millisecond)); st.Hung != 1 {
		t.Errorf("status says %d loops hang", st.Hung)
	}
	if st := d.Snapshot(); st.TFTP.Requests != 1 {
		t.Errorf("%+v", st.TFTP)
	}
}
