package dhcptest

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

var (
	server = netip.MustParseAddr("192.0.2.10")
	client = netip.MustParseAddr("192.0.2.100")
)

// offer is a proxy offer that every client takes.
func offer() *Message {
	m := &Message{Op: 2, HType: 1, HLen: 6, XID: Discover(7).XID, SIAddr: server, File: "boot.efi"}
	copy(m.CHAddr[:], MAC[:])
	return m.Add(53, 2).Add(54, server.AsSlice()...).Add(60, []byte("PXEClient")...)
}

func TestEDK2Accept(t *testing.T) {
	d := Discover(7)
	c := EDK2{XID: d.XID, CHAddr: d.CHAddr}
	if _, err := c.AcceptOffer(offer().Bytes()); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]func(m *Message){
		"BOOTP header":      func(m *Message) { m.Op = 1 },
		"another xid":       func(m *Message) { m.XID++ },
		"another chaddr":    func(m *Message) { m.CHAddr[0]++ },
		"no END":            func(m *Message) { m.NoEnd = true },
		"no 54":             func(m *Message) { m.Drop(54) },
		"54 is 0.0.0.0":     func(m *Message) { m.Set(54, 0, 0, 0, 0) },
		"54 twice":          func(m *Message) { m.Add(54, server.AsSlice()...) },
		"53 twice":          func(m *Message) { m.Add(53, 2) },
		"ACK":               func(m *Message) { m.Set(53, 5) },
		"61 of one byte":    func(m *Message) { m.Add(61, 1) },
		"13 of three bytes": func(m *Message) { m.Add(13, 1, 2, 3) },
		"switch of 2":       func(m *Message) { m.Add(19, 2) },
		"1 with two masks":  func(m *Message) { m.Add(1, 255, 255, 255, 0, 255, 255, 255, 0) },
		"overload 4":        func(m *Message) { m.Add(52, 4) },
		"file without END":  func(m *Message) { m.Add(52, 1); m.File = "\x0c\x01x" },
		"runs over the end": func(m *Message) { m.NoEnd = true; m.Options = append(m.Options, Option{12, nil}); m.Add(0) },
		"WfM 1.1a":          func(m *Message) { m.Add(43, 1, 1, 0, 2, 1, 0, 3, 1, 0, 4, 1, 0, 5, 1, 0, 255) },
		"1,473 bytes":       func(m *Message) { m.Add(224, bytes.Repeat([]byte{1}, 250)...); pad(m, 1473) },
	} {
		m := offer()
		bad(m)
		if _, err := c.AcceptOffer(m.Bytes()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// What it does not look at.
	for name, fine := range map[string]func(m *Message){
		"zero-length 61": func(m *Message) { m.Add(61) }, "82": func(m *Message) { m.Add(82) }, "97 of 3": func(m *Message) { m.Add(97, 1, 2, 3) },
		"sname as options": func(m *Message) { m.Add(52, 2); m.SName = "\x0c\x01x\xff" },
	} {
		m := offer()
		fine(m)
		if _, err := c.AcceptOffer(m.Bytes()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// pad makes m longer than n bytes.
func pad(m *Message, n int) {
	for len(m.Bytes()) < n {
		m.Add(225, make([]byte, 200)...)
	}
}

func TestEDK2Classify(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *Message)
		want   Kind
	}{
		"BINL":              {func(*Message) {}, ProxyBINL},
		"PXE 1.0":           {func(m *Message) { m.Add(43, 6, 1, 8, 255) }, ProxyPXE10},
		"43 without class":  {func(m *Message) { m.Drop(60).Add(43, 6, 1, 8, 255) }, DHCPOnly},
		"lease":             {func(m *Message) { m.Drop(60); m.YIAddr = client }, DHCPOnly},
		"lease claims PXE":  {func(m *Message) { m.YIAddr = client }, DHCPBINL},
		"lease with 43":     {func(m *Message) { m.YIAddr = client; m.Add(43, 10, 1, 0, 255) }, DHCPPXE10},
		"BOOTP with a file": {func(m *Message) { m.Drop(53) }, BOOTP},
	} {
		m := offer()
		c.change(m)
		if o, err := Classify(m.Bytes()); err != nil || o.Kind != c.want {
			t.Errorf("%s: %v %v, want %v", name, o, err, c.want)
		}
	}
	m := offer().Drop(53)
	m.File = ""
	if _, err := Classify(m.Bytes()); err == nil {
		t.Error("BOOTP without a file was kept")
	}
	// An unterminated 67 costs what stands behind it.
	o, err := Classify(offer().Add(67, 'x').Add(82, 1, 1, 'c').Bytes())
	if err != nil || o.File != "x" || bytes.Equal(o.Mode, o.Packet) || first(o.Mode, 82) != nil {
		t.Errorf("%+v, %v", o, err)
	}
	o, err = Classify(offer().Add(43, 6, 1, 8, 8, 7, 0, 0, 1, 10, 0, 0, 9, 255).Bytes())
	if err != nil || o.Server() != netip.MustParseAddr("10.0.0.9") {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestFirmware(t *testing.T) {
	none := func(netip.Addr, *Message) []byte { return nil }
	f := NewFirmware(7)
	lease := Lease(f.Discover(0), netip.MustParseAddr("192.0.2.1"), client)
	if _, err := f.Boot(none); !errors.Is(err, ErrRepeat) {
		t.Errorf("without offers: %v", err)
	}
	if err := f.Receive(offer().Bytes()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Boot(none); !errors.Is(err, ErrRepeat) {
		t.Errorf("without lease: %v", err)
	}
	f.Receive(lease.Bytes())
	if _, err := f.Boot(none); err == nil {
		t.Error("it boots without an answer on 4011")
	}
	got, err := f.Boot(func(to netip.Addr, req *Message) []byte {
		ack := offer().Set(53, 5)
		ack.XID = req.XID
		return ack.Bytes()
	})
	if err != nil || got.Name != "boot.efi" || got.Server != server || got.Lease.YourIP != client {
		t.Errorf("%+v, %v", got, err)
	}
	// Discovery options win over BINL, and without bit 3 they are a dead end.
	if err := f.Receive(offer().Add(43, 6, 1, 7, 255).Bytes()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Boot(none); err == nil || !strings.Contains(err.Error(), "PXE-E21") {
		t.Errorf("%v", err)
	}
	if err := f.Receive(offer().Drop(60).Bytes()); err == nil {
		t.Error("a proxy offer without class was kept")
	}
}

func TestOthersReject(t *testing.T) {
	d := Discover(7)
	c := IPXE{XID: d.XID, MAC: MAC}
	from := netip.AddrPortFrom(server, 67)
	o, err := c.AcceptOffer(offer().Bytes(), from)
	if err != nil || o.AskBootServer || o.PseudoID != server {
		t.Fatalf("%+v, %v", o, err)
	}
	bare := offer()
	bare.SIAddr = netip.Addr{}
	if o, err := c.AcceptOffer(bare.Bytes(), from); err != nil || !o.AskBootServer {
		t.Errorf("no siaddr: %+v, %v", o, err)
	}
	ack := offer().Set(53, 5)
	if _, err := c.AcceptBootServer(o, ack.Bytes(), from); err == nil {
		t.Error("iPXE took an answer on 4011 from port 67")
	}
	at4011 := netip.AddrPortFrom(server, 4011)
	if _, err := c.AcceptBootServer(o, ack.Set(54, 192, 0, 2, 11).Bytes(), at4011); err == nil {
		t.Error("iPXE took an answer of another server")
	}
	if _, _, err := AcceptBIOS(offer().Bytes()); err == nil {
		t.Error("a ROM booted without discovery control")
	}
	e := EDK2{XID: d.XID, CHAddr: d.CHAddr}
	for _, uri := range []string{"boot.efi", "tftp://192.0.2.10/x", "http://boot.example/x", ""} {
		m := offer().Set(60, []byte("HTTPClient")...)
		m.File = uri
		if _, err := e.AcceptHTTP(m.Bytes()); err == nil {
			t.Errorf("HTTP boot from %q", uri)
		}
	}
	m := offer()
	m.GIAddr = client
	if _, _, err := RelayForward(server, m.Bytes()); err == nil {
		t.Error("a relay forwarded a reply that is not its own")
	}
	if _, to, err := RelayForward(client, m.Bytes()); err != nil || !to.Addr().IsUnspecified() {
		t.Errorf("without the flag it goes to %v: %v", to, err)
	}
}
