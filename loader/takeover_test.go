package loader

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
)

// ignoring is a template for what discover makes, whatever its xid, that
// answers with silence or with a message of its own.
func ignoring(d *Datapath, reply []byte) *Template {
	message := discover(0).frame()[42:]
	mask := bytes.Repeat([]byte{0xff}, len(message))
	clear(mask[4:10])  // xid, secs
	clear(mask[28:44]) // chaddr
	return &Template{
		Generation: d.Generation(), Port: 67, Dst: [4]byte{255, 255, 255, 255}, Request: message, Mask: mask, Reply: reply,
		SrcMAC: [6]byte{2, 0, 0, 0, 0, 1}, Broadcast: true, SrcIP: ourIP.As4(), DstIP: [4]byte{255, 255, 255, 255}, SrcPort: 67, DstPort: 68,
	}
}

// What the kernel answers by templates it answers through any number of
// take-overs, each request once, until the new daemon says that it decides now.
func TestTemplatesThroughTakeOver(t *testing.T) {
	r := newRig(t, 1)
	// A veth takes XDP_TX only where its other end polls.
	poll, err := link.AttachXDP(link.XDPOptions{Program: foreign(t, "poll"), Interface: r.far.Index, Flags: link.XDPDriverMode})
	if err != nil {
		t.Fatal(err)
	}
	defer poll.Close()
	o := Options{Datapath: Native, Deliver: Steal, PinDir: bpffs(t), RunDir: t.TempDir()}
	d := r.open(t, o)
	reply := bytes.Clone(discover(0).frame()[42:][:300])
	reply[0] = 2 // BOOTREPLY
	if err := errors.Join(d.SetAnswer(true, false), d.Publish(ignoring(d, reply))); err != nil {
		t.Fatal(err)
	}
	const requests, lives = 1000, 5
	ask := func(first uint32) {
		for xid := first; xid < first+requests/lives; xid++ {
			r.client.Send(t, discover(xid).frame())
			r.client.Next(t, func(f []byte) bool {
				got, ok := xidOf(f)
				return ok && got == xid && f[42] == 2
			})
		}
	}
	for life := range uint32(lives) {
		done := make(chan struct{})
		go func() { defer close(done); ask(1 + life*requests/lives) }()
		if err := d.HandOver(); err != nil {
			t.Fatal(err)
		}
		d = r.open(t, o)
		<-done
	}
	c := counts(t, d)
	if c["answered"] != requests || c["redirected"]+c["no_socket"] != 0 {
		t.Errorf("counters %v of %d requests", c, requests)
	}
	r.hidden(t, 1)

	if err := d.EndFormer(); err != nil {
		t.Fatal(err)
	}
	r.redirected(t, d, discover(1<<20))
	if i, err := d.Templates(); err != nil || i.Answer67 {
		t.Errorf("%+v, %v", i, err)
	}
	if err := d.Publish(ignoring(d, nil)); err != nil {
		t.Fatal(err)
	}
	r.client.Send(t, discover(1<<20+1).frame())
	r.client.Send(t, discover(1<<20+2).frame())
	for end := time.Now().Add(patience); counts(t, d)["ignored"] != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("counters %v", counts(t, d))
		}
	}
}
