package gun

import (
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// BenchmarkPacket is what the gun itself takes for one request and its reply,
// without the kernel.
func BenchmarkPacket(b *testing.B) {
	g, w := fakeGun(b, Load{}, nil)
	g.makeTable(Fixed(300_000, time.Second))
	worker := g.workers[0]
	worker.reset(100)
	r := &run{schedule: Fixed(1, time.Second), start: w.clock.t}
	buf := make([]byte, 0, port.FrameRoom)
	var p packet.Packet
	worker.plan.make(&worker.req, 0, g.firstXID)
	if packet.Parse(worker.req.sort.template.Frame(buf, &worker.req.meta, &worker.req.vars), &p) != packet.Answered {
		b.Fatal("no request")
	}
	answer := answerTo(b, &p).frame()
	b.Run("request", func(b *testing.B) {
		for i := range b.N {
			worker.plan.make(&worker.req, uint32(i), g.firstXID+uint32(i))
			worker.req.sort.template.Frame(buf, &worker.req.meta, &worker.req.vars)
			g.table.put(g.firstXID+uint32(i), 0)
		}
	})
	b.Run("reply", func(b *testing.B) {
		for range b.N {
			g.table.put(g.firstXID, 0)
			worker.judgeFrame(r, answer, 0)
		}
		if worker.tally.answered == 0 {
			b.Error("no valid reply")
		}
	})
}
