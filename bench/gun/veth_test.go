package gun

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// respond answers what arrives at p, every tenth request (by its xid) not,
// until ctx ends.
func respond(ctx context.Context, t *testing.T, p port.Port, firstXID uint32) {
	var in, out [32]port.Frame
	var m packet.Packet
	for ctx.Err() == nil {
		n, err := p.Recv(in[:], 20*time.Millisecond)
		if err != nil {
			t.Error(err)
			return
		}
		for i := range in[:n] {
			if packet.Parse(in[i].Data, &m) != packet.Answered || len(m.Payload) < 240 {
				continue
			}
			xid := uint32(m.Payload[4])<<24 | uint32(m.Payload[5])<<16 | uint32(m.Payload[6])<<8 | uint32(m.Payload[7])
			if (xid-firstXID)%10 == 9 || p.Alloc(out[:1]) == 0 {
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

// Each sender loads a responder across a cable: DISCOVERs through a relay, and
// boot server requests from addresses; the responder's kernel says where it is.
func TestOnACable(t *testing.T) {
	for _, kind := range []port.Kind{port.XDP, port.Packet} {
		t.Run(kind.String(), func(t *testing.T) {
			xsktest.Namespace(t)
			near, far := xsktest.Veth(t, 1)
			far.Address(t, netip.PrefixFrom(server, 24))
			mine, err := port.Open(port.Options{Interface: near.Name, Kind: kind})
			if err != nil {
				t.Fatal(err)
			}
			defer mine.Close()
			theirs, err := port.Open(port.Options{Interface: far.Name, Kind: port.Packet})
			if err != nil {
				t.Fatal(err)
			}
			load := Load{What: Both, Server: server, Relay: netip.MustParseAddr("192.0.2.1"), Clients: netip.MustParsePrefix("192.0.2.128/25"),
				Machines: 50, Late: 2 * time.Second}
			g, err := New(t.Context(), load, []port.Port{mine})
			if err != nil {
				t.Fatal(err)
			}
			if g.load.ServerMAC != far.MAC {
				t.Errorf("server at %x, want %x", g.load.ServerMAC, far.MAC)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { respond(ctx, t, theirs, g.firstXID); close(done) }()
			defer func() { stop(); <-done; theirs.Close() }()

			o := mustRun(t, g, Fixed(1000, 300*time.Millisecond))
			if o.Sent != 300 || o.Answered+o.Late != 270 || o.Lost != 30 || o.Duplicates != 0 {
				t.Errorf("%+v", o)
			}
			if o.Latency.Count() != int64(o.Answered) || o.Limit().By != result.ByServer {
				t.Errorf("%d latencies, limit %+v", o.Latency.Count(), o.Limit())
			}
		})
	}
}
