package publish

import (
	"math/rand/v2"
	"testing"

	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/packet"
)

func BenchmarkCompile(b *testing.B) {
	r, in := answers(b, files()), requests()["uefi"]
	res := r.NewWorker().Handle(start, lan(), &in, &packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)})
	c, req := NewCompiler(rand.New(rand.NewPCG(1, 2))), &Request{Generation: 1, Answers: r, Link: lan(), Packet: in, Result: res}
	for b.Loop() {
		if _, why := c.Compile(start, req); why != Published {
			b.Fatal(why)
		}
	}
}

func BenchmarkOffer(b *testing.B) {
	p := New()
	p.Attach(newKernel(), Limits{})
	o, r, in := p.Offers(), answers(b, files()), requests()["uefi"]
	res := r.NewWorker().Handle(start, lan(), &in, &packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)})
	for b.Loop() {
		o.n = 0
		o.Offer(start, 1, r, lan0, &in, &res)
		<-p.queue
	}
}
