package storm

import (
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// frameOf serializes layers with right lengths and checksums.
func frameOf(t testing.TB, all ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var (
	serverMAC = net.HardwareAddr{2, 0xff, 0, 0, 0, 1}
	someMAC   = net.HardwareAddr{2, 0xff, 0, 0, 0, 2}
)

func arpFrame(t testing.TB, op uint16, senderMAC net.HardwareAddr, sender, target netip.Addr) []byte {
	return frameOf(t, &layers.Ethernet{SrcMAC: senderMAC, DstMAC: net.HardwareAddr{255, 255, 255, 255, 255, 255}, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: op,
			SourceHwAddress: senderMAC, SourceProtAddress: sender.AsSlice(), DstHwAddress: make([]byte, 6), DstProtAddress: target.AsSlice()})
}

// icmpFrame is a host's error about a datagram that came from an address and port.
func icmpFrame(t testing.TB, code uint8, from netip.AddrPort) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.Addr().AsSlice(), DstIP: bootServer.AsSlice()}
	udp := &layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: 69}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	quoted := frameOf(t, ip, udp)
	return frameOf(t, &layers.Ethernet{SrcMAC: serverMAC, DstMAC: someMAC, EthernetType: layers.EthernetTypeIPv4},
		&layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolICMPv4, SrcIP: bootServer.AsSlice(), DstIP: from.Addr().AsSlice()},
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, code)}, gopacket.Payload(quoted))
}

func TestARP(t *testing.T) {
	a, ok := parseARP(arpFrame(t, layers.ARPRequest, serverMAC, bootServer, leased))
	want := arpMessage{op: arpRequest, senderMAC: [6]byte(serverMAC), senderIP: bootServer, targetIP: leased}
	if !ok || a != want {
		t.Errorf("%+v, %v", a, ok)
	}
	reply := arpMessage{op: arpReply, senderMAC: [6]byte(someMAC), senderIP: leased, targetMAC: [6]byte(serverMAC), targetIP: bootServer, frameDst: [6]byte(serverMAC)}
	frame := reply.append(nil)
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	eth, arp := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet), p.Layer(layers.LayerTypeARP).(*layers.ARP)
	if len(frame) != minFrame || eth.DstMAC.String() != serverMAC.String() || eth.SrcMAC.String() != someMAC.String() ||
		arp.Operation != layers.ARPReply || net.IP(arp.SourceProtAddress).String() != leased.String() || net.IP(arp.DstProtAddress).String() != bootServer.String() ||
		net.HardwareAddr(arp.SourceHwAddress).String() != someMAC.String() || net.HardwareAddr(arp.DstHwAddress).String() != serverMAC.String() {
		t.Errorf("%v", p)
	}
	for n := range etherLen + arpLen {
		if _, ok := parseARP(frame[:n]); ok {
			t.Errorf("%d bytes were taken", n)
		}
	}
	frame[etherLen+4] = 8 // length of a hardware address
	if _, ok := parseARP(frame); ok {
		t.Error("another kind of hardware was taken")
	}
}

func TestUnreachableFrames(t *testing.T) {
	from := netip.AddrPortFrom(leased, 50000)
	for code, want := range map[uint8]bool{layers.ICMPv4CodePort: true, layers.ICMPv4CodeHost: true, layers.ICMPv4CodeFragmentationNeeded: false} {
		if got, ok := parseUnreachable(icmpFrame(t, code, from)); ok != want || ok && got != from {
			t.Errorf("code %d: %v %v", code, got, ok)
		}
	}
	frame := icmpFrame(t, layers.ICMPv4CodePort, from)
	least := etherLen + ipLen + icmpHeaderLen + ipLen + 4
	for n := range frame {
		if _, ok := parseUnreachable(frame[:n]); ok != (n >= least) {
			t.Errorf("%d bytes of %d: %v", n, len(frame), ok)
		}
	}
	frame[etherLen+ipLen] = 11 // time exceeded
	if _, ok := parseUnreachable(frame); ok {
		t.Error("another type was taken")
	}
}

// FuzzARP: what is taken, gopacket reads alike.
func FuzzARP(f *testing.F) {
	f.Add(arpFrame(f, layers.ARPRequest, serverMAC, bootServer, leased))
	f.Fuzz(func(t *testing.T, frame []byte) {
		a, ok := parseARP(frame)
		if !ok {
			return
		}
		arp, _ := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy).Layer(layers.LayerTypeARP).(*layers.ARP)
		if arp == nil || arp.Operation != a.op || [4]byte(arp.SourceProtAddress) != a.senderIP.As4() || [4]byte(arp.DstProtAddress) != a.targetIP.As4() ||
			[6]byte(arp.SourceHwAddress) != a.senderMAC {
			t.Fatalf("%+v of %x, gopacket says %v", a, frame, arp)
		}
	})
}

// FuzzUnreachable: what is taken is ICMP about UDP, as gopacket sees it.
func FuzzUnreachable(f *testing.F) {
	f.Add(icmpFrame(f, layers.ICMPv4CodePort, netip.AddrPortFrom(leased, 50000)))
	f.Fuzz(func(t *testing.T, frame []byte) {
		from, ok := parseUnreachable(frame)
		if !ok {
			return
		}
		icmp, _ := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy).Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		if icmp == nil {
			return // an outer header that gopacket is stricter with
		}
		if icmp.TypeCode.Type() != layers.ICMPv4TypeDestinationUnreachable || len(icmp.Payload) < 24 || [4]byte(icmp.Payload[12:]) != from.Addr().As4() {
			t.Fatalf("%v of %x", from, frame)
		}
	})
}

// FuzzMachine: whatever answers a machine, it neither panics nor waits for ever.
func FuzzMachine(f *testing.F) {
	names := []string{"edk2", "edk2-2016", "bios", "ipxe", "http", "raspberry-pi", "windows"}
	all, err := LoadProfiles("")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(0), []byte{0xff}, []byte{53, 1, 5, 54, 4, 1, 2, 3, 4, 255}, []byte{0, 6})
	f.Add(uint8(3), []byte{53, 1, 2, 54, 4, 192, 0, 2, 2, 60, 9, 'P', 'X', 'E', 'C', 'l', 'i', 'e', 'n', 't', 43, 3, 6, 1, 8, 255}, []byte{53, 1, 5, 54, 4, 192, 0, 2, 2, 255}, []byte("\x00\x05\x00\x01\x00"))
	f.Fuzz(func(t *testing.T, which uint8, offer, ack, tftp []byte) {
		m := NewMachine(7, all[names[int(which)%len(names)]])
		var s Step
		s.Begin(0)
		m.PowerOn(&s)
		for range 2000 {
			if m.Done() {
				return
			}
			now, port := s.Now, uint16(68)
			payload := tftp
			if m.state != loading {
				payload = make([]byte, 240, 600)
				payload[0], payload[1], payload[2] = 2, 1, 6
				payload[4], payload[5], payload[6], payload[7] = byte(m.xid>>24), byte(m.xid>>16), byte(m.xid>>8), byte(m.xid)
				copy(payload[28:], m.MAC[:])
				copy(payload[236:], []byte{99, 130, 83, 99})
				copy(payload[16:24], offer) // yiaddr and siaddr
				copy(payload[108:], tftp)   // file
				payload = append(payload, map[bool][]byte{true: offer, false: ack}[m.state == discovering]...)
			}
			if m.state == asking {
				port = m.Profile.BootServer.Port
			} else if m.state == loading {
				port = m.download.port
			}
			s.Begin(now)
			m.Receive(&s, Datagram{netip.AddrPortFrom(m.download.server, 67), netip.AddrPortFrom(m.Addr, port), payload})
			if m.Done() {
				return
			}
			if m.Due() == never || m.Due() < now {
				t.Fatalf("in state %s at %v it is due at %v", stateNames[m.state], now, m.Due())
			}
			s.Begin(m.Due())
			m.Expire(&s)
		}
		t.Fatalf("it goes on and on, in state %s", stateNames[m.state])
	})
}
