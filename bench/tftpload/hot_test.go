package tftpload

import (
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/tftpc"
)

// What comes with a window allocates nothing, through a bad network neither.
func TestNoAllocation(t *testing.T) {
	sink := listen(t)
	defer sink.Close()
	cfg := config(sink.LocalAddr().(*net.UDPAddr).AddrPort(), nil)
	cfg.Clients, cfg.Threads, cfg.Loops = 1, 1, 1
	cfg.In.Loss = 0.01
	cfg, err := cfg.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Transfer.Size, cfg.Transfer.Check = -1, nil
	w := newWorker(&cfg, 0, newAddress(cfg.Server, 0), cfg.Arrival.Times(cfg.Clients, cfg.Seed), new(atomic.Bool))
	defer w.close()
	if err := w.prepare(); err != nil {
		t.Fatal(err)
	}
	w.start = time.Now()
	c := &w.clients[0]
	w.begin(c, w.clock())
	tid := cfg.Server.Port()
	w.take(c, w.clock(), tid, []byte("\x00\x06blksize\x0064\x00windowsize\x008\x00"))

	block := uint16(1)
	buffer := make([]byte, 8*(4+64))
	window := func(arrive func()) {
		for i := range 8 {
			p := buffer[i*(4+64):]
			p[1] = 3
			binary.BigEndian.PutUint16(p[2:], block)
			block++
		}
		arrive()
		block = uint16(c.Client.Stats().Blocks) + 1
		w.settle(c, w.clock())
	}
	for name, arrive := range map[string]func(){
		"burst":    func() { w.burst(c, w.clock(), tid, buffer, 4+64) },
		"impaired": func() { w.arrive(c, w.clock(), tid, buffer, 4+64) },
	} {
		before := c.Client.Stats().Blocks
		if n := testing.AllocsPerRun(500, func() { window(arrive) }); n != 0 {
			t.Errorf("%s: %g allocations for a window", name, n)
		}
		if n := c.Client.Stats().Blocks - before; c.Outcome() != tftpc.Running || n < 3000 {
			t.Errorf("%s: %d blocks, %s", name, n, c.Reason())
		}
	}
}
