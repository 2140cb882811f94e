package gun

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// respond answers what arrives at p until ctx ends.
func respond(ctx context.Context, t *testing.T, p port.Port) {
	var in, out [32]port.Frame
	var m packet.Packet
	for ctx.Err() == nil {
		n, err := p.Recv(in[:], 20*time.Millisecond)
		if err != nil {
			t.Error(err)
			return
		}
		for i := range in[:n] {
			if packet.Parse(in[i].Data, &m) != packet.Answered || len(m.Payload) < 240 || p.Alloc(out[:1]) == 0 {
				continue
			}
			out[0].Data = append(out[0].Data, answerTo(t, &m).frame()...)
			if err := send(p, out[:1]); err != nil {
				t.Error(err)
			}
		}
		p.Release(in[:n])
	}
}

// Each sender loads a responder across a cable, with one thread and with two,
// whose replies come to whichever: DISCOVERs through a relay, and boot server
// requests from addresses. The responder's kernel says where it is.
func TestOnACable(t *testing.T) {
	for _, kind := range []port.Kind{port.XDP, port.Packet} {
		for _, queues := range []int{1, 2} {
			t.Run(fmt.Sprintf("%v by %d", kind, queues), func(t *testing.T) { onACable(t, kind, queues) })
		}
	}
}

func onACable(t *testing.T, kind port.Kind, queues int) {
	xsktest.Namespace(t)
	near, far := xsktest.Veth(t, queues)
	far.Address(t, netip.PrefixFrom(server, 24))
	mine, err := port.OpenQueues(port.Options{Interface: near.Name, Kind: kind}, queues)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range mine {
		defer p.Close()
	}
	theirs, err := port.Open(port.Options{Interface: far.Name, Kind: port.Packet})
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	// With all answered a run ends by itself; until then it may take what time it needs.
	load := Load{What: Both, Server: server, Relay: netip.MustParseAddr("192.0.2.1"), Clients: netip.MustParsePrefix("192.0.2.128/25"),
		Machines: 50, Late: time.Minute}
	g, err := New(t.Context(), load, mine)
	if err != nil {
		t.Fatal(err)
	}
	if g.load.ServerMAC != far.MAC {
		t.Errorf("server at %x, want %x", g.load.ServerMAC, far.MAC)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { respond(ctx, t, theirs); close(done) }()
	defer func() { stop(); <-done }()

	for range 2 {
		// A machine that is busy with other things may keep the gun from sending all.
		o := mustRun(t, g, Schedule{From: 1500, To: 500, For: 300 * time.Millisecond})
		if o.Sent == 0 || o.Answered != o.Sent || o.Duplicates+o.Stale != 0 || o.Latency.Count() != int64(o.Sent) {
			t.Errorf("%v; %d latencies", o, o.Latency.Count())
		}
		if want := map[bool]string{true: result.ByGenerator, false: result.ByRequest}[o.Behind()]; o.Limit().By != want {
			t.Errorf("limit %+v, want the %s", o.Limit(), want)
		}
	}
}
