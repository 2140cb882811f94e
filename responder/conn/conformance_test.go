package conn

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// TestConformance runs every behaviour on every implementation.
func TestConformance(t *testing.T) {
	for _, impl := range rigs {
		t.Run(impl.name, func(t *testing.T) {
			for _, b := range behaviours {
				t.Run(b.name, func(t *testing.T) { b.run(t, impl.make(t)) })
			}
		})
	}
}

var behaviours = []struct {
	name string
	run  func(*testing.T, *rig)
}{
	{"requests arrive whole and in order", requestsArrive},
	{"tagged requests are answered with the same tags", tagsStay},
	{"replies are broadcast", repliesAreBroadcast},
	{"replies are sent to an address and port", repliesAreUnicast},
	{"a payload built elsewhere is copied", foreignPayload},
	{"the longest payload", longestPayload},
	{"a batch leaves whole", batchLeaves},
	{"one bad reply does not stop the others", badReplies},
	{"hardware addresses left open are filled in", openAddresses},
	{"what is no request is skipped and counted", junkIsSkipped},
	{"Recv does not wait longer than told", recvTimes},
	{"Wake", wakes},
	{"Close ends a Recv that waits", closeEndsRecv},
	{"Close spares what is held", closeSparesHeld},
	{"nothing works after Close", closed},
	{"reply buffers run out and come back", allocExhaustion},
	{"request buffers run out and come back", recvExhaustion},
	{"giving back twice does no harm", doubleRelease},
	{"totals", totals},
	{"no allocation per packet", noAllocation},
}

func requestsArrive(t *testing.T, r *rig) {
	for i := range 40 {
		r.inject(t, makeFrame(requestMeta(), payload(i, 240+20*i)))
	}
	got := r.recv(t, 40)
	for i := range got {
		want := requestMeta()
		want.IfIndex = r.ifindex
		if !r.layer2 {
			want.SrcMAC, want.DstMAC = [6]byte{}, [6]byte{}
		}
		if got[i].Meta != want {
			t.Errorf("request %d: %+v, want %+v", i, got[i].Meta, want)
		}
		if string(got[i].Payload) != string(payload(i, 240+20*i)) {
			t.Errorf("request %d carries %x", i, got[i].Payload)
		}
		if cap(got[i].Payload) > 2048 {
			t.Errorf("request %d has capacity %d: beyond its buffer", i, cap(got[i].Payload))
		}
	}
	r.conn.Release(got)
}

func tagsStay(t *testing.T, r *rig) {
	if !r.layer2 {
		return // a socket of one VLAN device has no tags to keep
	}
	for _, tags := range [][]packet.VLAN{
		{{TPID: 0x8100, TCI: 0xa000 | 100}},
		{{TPID: 0x88a8, TCI: 200}, {TPID: 0x8100, TCI: 100}},
	} {
		r.inject(t, makeFrame(requestMeta(tags...), payload(1, 300)))
		got := r.recv(t, 1)
		want := requestMeta(tags...)
		want.IfIndex = r.ifindex
		if got[0].Meta != want {
			t.Errorf("request: %+v, want %+v", got[0].Meta, want)
		}
		r.conn.Release(got)
		m := r.broadcast(tags...)
		r.reply(t, m, payload(2, 310))
		r.wantReply(t, m, payload(2, 310))
	}
}

func repliesAreBroadcast(t *testing.T, r *rig) {
	r.reply(t, r.broadcast(), payload(3, 300))
	r.wantReply(t, r.broadcast(), payload(3, 300))
}

func repliesAreUnicast(t *testing.T, r *rig) {
	m := r.broadcast()
	m.DstMAC, m.Dst = clientMAC, netip.AddrPortFrom(clientAddr, 5011)
	r.reply(t, m, payload(4, 301))
	r.wantReply(t, m, payload(4, 301))
}

func foreignPayload(t *testing.T, r *rig) {
	p := r.alloc(t)
	p.Meta, p.Payload = r.broadcast(), payload(5, 299)
	if n, err := r.conn.Send([]packet.Packet{p}); n != 1 || err != nil {
		t.Fatalf("sent %d: %v", n, err)
	}
	clear(p.Payload) // the Conn has what it needs
	if err := r.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	r.wantReply(t, r.broadcast(), payload(5, 299))
}

func longestPayload(t *testing.T, r *rig) {
	p := r.alloc(t)
	if len(p.Payload) != 0 || cap(p.Payload) < MaxPayload {
		t.Fatalf("reply buffer has len %d cap %d", len(p.Payload), cap(p.Payload))
	}
	r.conn.Release([]packet.Packet{p})
	r.reply(t, r.broadcast(), payload(6, MaxPayload))
	r.wantReply(t, r.broadcast(), payload(6, MaxPayload))
}

func batchLeaves(t *testing.T, r *rig) {
	out := make([]packet.Packet, 90)
	if n := r.conn.Alloc(out); n != len(out) {
		t.Fatalf("allocated %d", n)
	}
	for i := range out {
		out[i].Meta, out[i].Payload = r.broadcast(), append(out[i].Payload, payload(i, 240+i)...)
	}
	for _, part := range [][]packet.Packet{out[:10], out[10:]} {
		if n, err := r.conn.Send(part); n != len(part) || err != nil {
			t.Fatalf("sent %d of %d: %v", n, len(part), err)
		}
	}
	if err := r.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	for i := range out {
		r.wantReply(t, r.broadcast(), payload(i, 240+i))
	}
}

func badReplies(t *testing.T, r *rig) {
	out := make([]packet.Packet, 8)
	r.conn.Alloc(out)
	for i := range out {
		out[i].Meta, out[i].Payload = r.broadcast(), append(out[i].Payload, payload(i, 300)...)
	}
	out[0].Src = netip.AddrPort{}
	out[3].Dst = netip.MustParseAddrPort("[2001:db8::1]:68")
	out[4].Payload = make([]byte, 4000)
	out[7].Token = 0 // not from Alloc
	if n, err := r.conn.Send(out); n != len(out) || err != nil {
		t.Fatalf("sent %d of %d: %v", n, len(out), err)
	}
	if err := r.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{1, 2, 5, 6} {
		r.wantReply(t, r.broadcast(), payload(i, 300))
	}
	if st := r.conn.Stats(); st.Sent != 4 || st.SendErrors != 4 {
		t.Errorf("stats %+v", st)
	}
}

func openAddresses(t *testing.T, r *rig) {
	if r.memory {
		return
	}
	m := r.broadcast()
	m.SrcMAC, m.DstMAC = [6]byte{}, [6]byte{}
	r.reply(t, m, payload(8, 300))
	r.wantReply(t, r.broadcast(), payload(8, 300))
}

func junkIsSkipped(t *testing.T, r *rig) {
	if r.junk == nil {
		return // the IP stack lets none through
	}
	for range 5 {
		r.junk(t)
	}
	r.inject(t, makeFrame(requestMeta(), payload(9, 300)))
	got := r.recv(t, 1)
	if string(got[0].Payload) != string(payload(9, 300)) {
		t.Errorf("received %x", got[0].Payload)
	}
	r.conn.Release(got)
	if st := r.conn.Stats(); st.BadFrames != 5 || st.Received != 6 {
		t.Errorf("stats %+v", st)
	}
	r.junk(t)
	if n, err := r.conn.Recv(make([]packet.Packet, 1), time.Millisecond); n != 0 || err != nil {
		t.Errorf("junk alone: %d, %v", n, err)
	}
}

func recvTimes(t *testing.T, r *rig) {
	for _, wait := range []time.Duration{0, time.Nanosecond, 3 * time.Millisecond} {
		if n, err := r.conn.Recv(make([]packet.Packet, 4), wait); n != 0 || err != nil {
			t.Errorf("waiting %v for nothing: %d, %v", wait, n, err)
		}
	}
	if n, err := r.conn.Recv(nil, 0); n != 0 || err != nil {
		t.Errorf("receiving into nothing: %d, %v", n, err)
	}
}

func wakes(t *testing.T, r *rig) {
	buf := make([]packet.Packet, 4)
	r.conn.Wake()
	if n, err := r.conn.Recv(buf, -1); n != 0 || err != nil {
		t.Errorf("woken before: %d, %v", n, err)
	}
	result := make(chan error)
	go func() {
		n, err := r.conn.Recv(buf, -1)
		if n != 0 {
			err = errors.New("received something that nobody sent")
		}
		result <- err
	}()
	r.conn.Wake()
	if err := <-result; err != nil {
		t.Errorf("woken: %v", err)
	}
}

func closeEndsRecv(t *testing.T, r *rig) {
	result := make(chan error)
	go func() {
		_, err := r.conn.Recv(make([]packet.Packet, 4), -1)
		result <- err
	}()
	if err := r.conn.Close(); err != nil {
		t.Error(err)
	}
	if err := <-result; !errors.Is(err, ErrClosed) {
		t.Errorf("Recv: %v", err)
	}
}

func closeSparesHeld(t *testing.T, r *rig) {
	r.inject(t, makeFrame(requestMeta(), payload(1, 300)))
	got := r.recv(t, 1)
	out := r.alloc(t)
	closed := make(chan struct{})
	go func() { r.conn.Close(); close(closed) }()
	<-closed
	if string(got[0].Payload) != string(payload(1, 300)) {
		t.Error("the request that is held changed")
	}
	_ = append(out.Payload, payload(2, MaxPayload)...)
	if n, err := r.conn.Send([]packet.Packet{out}); n != 0 || !errors.Is(err, ErrClosed) {
		t.Errorf("Send: %d, %v", n, err)
	}
	r.conn.Release([]packet.Packet{out})
	r.conn.Release(got)
}

func closed(t *testing.T, r *rig) {
	r.conn.Close()
	if err := r.conn.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	buf := make([]packet.Packet, 2)
	if n, err := r.conn.Recv(buf, -1); n != 0 || !errors.Is(err, ErrClosed) {
		t.Errorf("Recv: %d, %v", n, err)
	}
	if n := r.conn.Alloc(buf); n != 0 {
		t.Errorf("Alloc: %d", n)
	}
	if n, err := r.conn.Send(buf); n != 0 || !errors.Is(err, ErrClosed) {
		t.Errorf("Send: %d, %v", n, err)
	}
	if err := r.conn.Flush(); !errors.Is(err, ErrClosed) {
		t.Errorf("Flush: %v", err)
	}
	r.conn.Release(buf)
	r.conn.Wake()
	r.conn.Stats()
}

func allocExhaustion(t *testing.T, r *rig) {
	all := make([]packet.Packet, 1000)
	n := r.conn.Alloc(all)
	if n != r.buffers {
		t.Fatalf("allocated %d, want %d", n, r.buffers)
	}
	if more := r.conn.Alloc(all[n:]); more != 0 {
		t.Fatalf("allocated %d more", more)
	}
	r.conn.Release(all[:n])
	// Sent buffers come back as well.
	for i := range 4 {
		k := r.conn.Alloc(all)
		if k != n {
			t.Fatalf("round %d: allocated %d of %d", i, k, n)
		}
		all[0].Meta, all[0].Payload = r.broadcast(), append(all[0].Payload, payload(i, 300)...)
		if sent, err := r.conn.Send(all[:1]); sent != 1 || err != nil {
			t.Fatalf("round %d: sent %d: %v", i, sent, err)
		}
		r.conn.Release(all[1:k])
		if err := r.conn.Flush(); err != nil {
			t.Fatal(err)
		}
		r.wantReply(t, r.broadcast(), payload(i, 300))
	}
}

func recvExhaustion(t *testing.T, r *rig) {
	// As many as a Conn can lend, and some that have to wait or are lost.
	lent := r.buffers
	for i := range lent {
		r.inject(t, makeFrame(requestMeta(), payload(i, 300)))
	}
	held := r.recv(t, lent)
	r.inject(t, makeFrame(requestMeta(), payload(lent, 300)))
	if n, err := r.conn.Recv(make([]packet.Packet, 4), time.Millisecond); n != 0 || err != nil {
		t.Fatalf("received %d with all buffers lent: %v", n, err)
	}
	for i := range held {
		if string(held[i].Payload) != string(payload(i, 300)) {
			t.Fatalf("request %d changed while it was held", i)
		}
	}
	r.conn.Release(held)
	r.inject(t, makeFrame(requestMeta(), payload(5000, 300)))
	for last := -1; last != 5000; {
		got := r.recv(t, 1)
		last = int(got[0].Payload[2])<<8 | int(got[0].Payload[3])
		r.conn.Release(got)
	}
}

func doubleRelease(t *testing.T, r *rig) {
	p := r.alloc(t)
	p.Meta, p.Payload = r.broadcast(), append(p.Payload, payload(1, 300)...)
	r.conn.Send([]packet.Packet{p})
	r.conn.Release([]packet.Packet{p, p}) // sent: no longer the caller's
	q := r.alloc(t)
	if &q.Payload[:1][0] == &p.Payload[0] {
		t.Error("a reply under way was lent again")
	}
	r.conn.Flush()
	r.wantReply(t, r.broadcast(), payload(1, 300))
	r.conn.Release([]packet.Packet{q, q, {}, {Token: 1 << 40}, {Token: ^uint64(0)}})
	all := make([]packet.Packet, 1000)
	n := r.conn.Alloc(all)
	seen := make(map[uint64]bool)
	for _, p := range all[:n] {
		if seen[p.Token] {
			t.Fatal("one buffer was lent twice")
		}
		seen[p.Token] = true
	}
	if n != r.buffers {
		t.Errorf("%d buffers, want %d", n, r.buffers)
	}
	r.conn.Release(all[:n])
}

func totals(t *testing.T, r *rig) {
	for i := range 3 {
		r.inject(t, makeFrame(requestMeta(), payload(i, 300)))
	}
	r.conn.Release(r.recv(t, 3))
	r.reply(t, r.broadcast(), payload(1, 300))
	r.wantReply(t, r.broadcast(), payload(1, 300))
	want := Stats{Received: 3, Sent: 1}
	if st := r.conn.Stats(); st != want {
		t.Errorf("stats %+v, want %+v", st, want)
	}
	r.conn.Close()
	if st := r.conn.Stats(); st != want {
		t.Errorf("stats after Close %+v, want %+v", st, want)
	}
}

func noAllocation(t *testing.T, r *rig) {
	if raceEnabled || r.memory {
		return // cannot be counted; the fake copies replies for its test
	}
	const batch = 8
	in, out := make([]packet.Packet, batch), make([]packet.Packet, batch)
	request, answer, meta := makeFrame(requestMeta(), payload(1, 389)), payload(2, 347), r.broadcast()
	if c, ok := r.conn.(*Ring); ok { // makes its records of ready memory
		reader, ready := c.reader.(*records), makeRecord(monotonic()+uint64(time.Hour), request)
		r.inject = func(testing.TB, []byte) { reader.ch <- ready }
	}
	turn := func() {
		for range batch {
			r.inject(t, request)
		}
		for left := batch; left > 0; {
			n, err := r.conn.Recv(in[:left], -1)
			if err != nil {
				t.Fatal(err)
			}
			k := r.conn.Alloc(out[:n])
			for i := range out[:k] {
				out[i].Meta, out[i].Payload = meta, append(out[i].Payload, answer...)
			}
			if sent, err := r.conn.Send(out[:k]); sent != n || err != nil {
				t.Fatalf("sent %d of %d: %v", sent, n, err)
			}
			r.conn.Release(in[:n])
			left -= n
		}
		if err := r.conn.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if allocs := testing.AllocsPerRun(100, turn); allocs != 0 {
		t.Errorf("%v allocations for %d requests and replies", allocs, batch)
	}
	if st := r.conn.Stats(); st.SendErrors != 0 || st.Sent != st.Received {
		t.Errorf("stats %+v", st)
	}
}
