package tftp

import (
	"net/netip"
	"testing"
)

func TestNetworks(t *testing.T) {
	prefix := netip.MustParsePrefix
	networks := []Network{
		{Prefix: prefix("127.0.0.0/8"), MaxBlksize: 1024, MaxWindow: 4},
		{Prefix: prefix("127.0.9.77/24"), MaxWindow: 2}, // host bits do not matter
		{Prefix: prefix("127.0.9.9/32"), MaxBlksize: 5000, MaxWindow: 500},
		{Prefix: prefix("::1/128"), MaxBlksize: 600},
	}
	b := serve(t, Config{MaxBlksize: 1400, Networks: networks}, map[string][]byte{"f": []byte("data")})
	ask := func(t *testing.T, client, server, blksize, window string) {
		t.Helper()
		w := newWire(t, netip.AddrPortFrom(netip.MustParseAddr(client), 0).String())
		w.send(hostPort(t, server, b.Port()), rrq("f", "octet", "blksize", "1300", "windowsize", "16"))
		w.expect(oackPacket("blksize", blksize, "windowsize", window))
		w.close()
	}
	for _, c := range []struct{ client, server, blksize, window string }{
		{"127.0.0.1", "127.0.0.1", "1024", "4"},
		{"127.0.9.1", "127.0.0.1", "1300", "2"},  // the smallest network alone counts
		{"127.0.9.9", "127.0.0.1", "1300", "16"}, // and never grants more than was asked for
		{"::1", "::1", "600", "16"},
	} {
		ask(t, c.client, c.server, c.blksize, c.window)
	}
	// Nothing beyond what holds everywhere.
	w := newWire(t, "127.0.9.9:0")
	w.send(b.addr, rrq("f", "octet", "blksize", "65464", "windowsize", "400"))
	w.expect(oackPacket("blksize", "1400", "windowsize", "64"))
	// Less than was asked for is less than that, also where it is little.
	w = newWire(t, "127.0.0.1:0")
	w.send(b.addr, rrq("f", "octet", "blksize", "512", "windowsize", "1"))
	w.expect(oackPacket("blksize", "512", "windowsize", "1"))

	if err := b.SetNetworks([]Network{{Prefix: prefix("127.0.0.0/8"), MaxBlksize: 800}}); err != nil {
		t.Fatal(err)
	}
	ask(t, "127.0.9.1", "127.0.0.1", "800", "16")
	ask(t, "::1", "::1", "1300", "16")
	for _, wrong := range [][]Network{
		{{}}, {{Prefix: prefix("10.0.0.0/8"), MaxBlksize: 7}}, {{Prefix: prefix("10.0.0.0/8"), MaxBlksize: 65465}}, {{Prefix: prefix("10.0.0.0/8"), MaxWindow: -1}},
		{{Prefix: prefix("10.0.0.0/8"), MaxWindow: 65536}}, {{Prefix: prefix("10.0.0.1/8")}, {Prefix: prefix("10.0.0.2/8")}},
	} {
		if err := b.SetNetworks(wrong); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
		if s, err := Listen(Config{Networks: wrong}, openRoot(t, b.dir)); err == nil {
			s.Close()
			t.Errorf("%+v is taken", wrong)
		}
	}
	ask(t, "127.0.9.1", "127.0.0.1", "800", "16") // what was there before holds
}
