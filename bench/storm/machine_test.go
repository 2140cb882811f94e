package storm

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
)

// The whole way of each profile, message by message.
func TestWays(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		profile string
		setup   func(n *network)
		want    []string
		nbp     time.Duration
		url     string
	}{
		{profile: "edk2", setup: func(n *network) { n.offers, n.boot = offering(lease, binl), bootACK }, nbp: 5*time.Second + 6*ms, want: []string{
			"0s DISCOVER secs=0", "4s REQUEST secs=0", // decides when the wait is over
			"4.001s 4011 from 4011 secs=0", // and keeps the answer until then
			"5.001s RRQ nbp octet tsize 0 blksize 1468 windowsize 4",
			"5.002s ERROR 8",
			"5.002s RRQ nbp octet tsize 0 blksize 1468 windowsize 4",
		}},
		{profile: "edk2", setup: func(n *network) { n.offers = offering(lease, pxe10, binl) }, nbp: 4*time.Second + 6*ms, want: []string{
			"0s DISCOVER secs=0", "4s REQUEST secs=0",
			"4.001s RRQ nbp octet tsize 0 blksize 1468 windowsize 4", "4.002s ERROR 8",
			"4.002s RRQ nbp octet tsize 0 blksize 1468 windowsize 4",
		}},
		{profile: "edk2-2016", setup: func(n *network) { n.offers, n.boot = offering(lease, pxe10, binl), bootACK }, nbp: 5*time.Second + 14*ms, want: []string{
			"0s DISCOVER secs=0", "4s REQUEST secs=0", "4.001s 4011 from 4011 secs=0",
			"5.001s RRQ nbp octet tsize 0 blksize 1468", "5.002s ERROR 8", "5.002s RRQ nbp octet tsize 0 blksize 1468",
		}},
		{profile: "bios", setup: func(n *network) { n.offers = offering(lease, pxe10) }, nbp: 14 * ms, want: []string{
			"0s DISCOVER secs=0", "1ms REQUEST secs=0", "2ms RRQ nbp octet tsize 0 blksize 1456",
		}},
		{profile: "bios", setup: func(n *network) { n.offers, n.boot = offering(lease, binl), bootACK }, nbp: 15 * ms, want: []string{
			"0s DISCOVER secs=0", "1ms REQUEST secs=0", "2ms 4011 from 68 secs=0", "3ms RRQ nbp octet tsize 0 blksize 1456",
		}},
		// Without a boot server it waits through the first two time-outs and boots from the DHCP server's file.
		{profile: "bios", setup: func(n *network) {
			n.offers = offering(func(v *dhcp.View) *dhcptest.Message { m := named(lease(v)); m.SIAddr = bootServer; return m })
		}, nbp: 12*time.Second + 13*ms, want: []string{
			"0s DISCOVER secs=0", "4s DISCOVER secs=4", "12s REQUEST secs=0", "12.001s RRQ nbp octet tsize 0 blksize 1456",
		}},
		{profile: "ipxe", setup: func(n *network) {
			n.offers = offering(lease, func(v *dhcp.View) *dhcptest.Message { return named(binl(v)) })
			n.files["vmlinuz"], n.files["initrd.img"] = "kernel", "initrd"
		}, nbp: 15 * ms, want: []string{
			"0s DISCOVER secs=0", "1ms REQUEST secs=3", "2ms RRQ nbp octet tsize 0 blksize 1432",
			"15ms RRQ vmlinuz octet tsize 0 blksize 1432", "17ms RRQ initrd.img octet tsize 0 blksize 1432",
		}},
		{profile: "ipxe", setup: func(n *network) {
			n.offers, n.boot = offering(lease, binl), bootACK
			n.files["vmlinuz"], n.files["initrd.img"] = "kernel", "initrd"
		}, nbp: 16 * ms, want: []string{
			"0s DISCOVER secs=0", "1ms REQUEST secs=3", "2ms 4011 from 68 secs=0", "3ms RRQ nbp octet tsize 0 blksize 1432",
			"16ms RRQ vmlinuz octet tsize 0 blksize 1432", "18ms RRQ initrd.img octet tsize 0 blksize 1432",
		}},
		// It waits two seconds for a boot server, which it sees when its timer expires.
		{profile: "ipxe", setup: func(n *network) {
			n.offers = offering(func(v *dhcp.View) *dhcptest.Message { m := named(lease(v)); m.SIAddr = bootServer; return m })
			n.files["vmlinuz"], n.files["initrd.img"] = "kernel", "initrd"
		}, nbp: 3*time.Second + 14*ms, want: []string{
			"0s DISCOVER secs=0", "1s DISCOVER secs=6", "3s REQUEST secs=2", "3.001s RRQ nbp octet tsize 0 blksize 1432",
			"3.014s RRQ vmlinuz octet tsize 0 blksize 1432", "3.016s RRQ initrd.img octet tsize 0 blksize 1432",
		}},
		{profile: "http", setup: func(n *network) { n.offers = offering(lease, http) }, nbp: 4*time.Second + ms, url: "http://192.0.2.10/boot.efi",
			want: []string{"0s DISCOVER secs=0", "4s REQUEST secs=0"}},
		{profile: "raspberry-pi", setup: func(n *network) {
			n.offers = offering(lease, func(v *dhcp.View) *dhcptest.Message { return binl(v).Add(43, []byte("Raspberry Pi Boot   ")...) })
			for _, name := range []string{"bootcode.bin", "00000007/start.elf", "00000007/fixup.dat", "bcm2710-rpi-3-b.dtb", "kernel8.img"} {
				n.files[name] = name
			}
		}, nbp: 4 * ms, want: []string{
			"0s DISCOVER secs=0", "1ms REQUEST secs=0", "2ms RRQ bootcode.bin octet tsize 0 blksize 1468",
			"4ms RRQ 00000007/start.elf octet tsize 0 blksize 1468",
			"6ms RRQ 00000007/config.txt octet tsize 0 blksize 1468", "7ms RRQ config.txt octet tsize 0 blksize 1468",
			"8ms RRQ 00000007/fixup.dat octet tsize 0 blksize 1468",
			"10ms RRQ 00000007/cmdline.txt octet tsize 0 blksize 1468", "11ms RRQ cmdline.txt octet tsize 0 blksize 1468",
			"12ms RRQ 00000007/bcm2710-rpi-3-b.dtb octet tsize 0 blksize 1468", "13ms RRQ bcm2710-rpi-3-b.dtb octet tsize 0 blksize 1468",
			"15ms RRQ 00000007/kernel8.img octet tsize 0 blksize 1468", "16ms RRQ kernel8.img octet tsize 0 blksize 1468",
		}},
		{profile: "windows", setup: func(n *network) {
			n.offers, n.boot = offering(lease, binl), bootACK
			n.files[`\Boot\BCD`], n.files[`\boot\boot.sdi`], n.files[`\sources\boot.wim`] = "bcd", "sdi", "wim"
		}, nbp: 5*time.Second + 6*ms, want: []string{
			"0s DISCOVER secs=0", "4s REQUEST secs=0", "4.001s 4011 from 4011 secs=0",
			"5.001s RRQ nbp octet tsize 0 blksize 1468 windowsize 4", "5.002s ERROR 8",
			"5.002s RRQ nbp octet tsize 0 blksize 1468 windowsize 4",
			`5.006s RRQ \Boot\BCD octet tsize 0 blksize 1456 windowsize 4 msftwindow 31416`,
			`5.008s RRQ \boot\fonts\wgl4_boot.ttf octet tsize 0 blksize 1456 windowsize 4 msftwindow 31416`,
			`5.009s RRQ \boot\boot.sdi octet tsize 0 blksize 1456 windowsize 4 msftwindow 31416`,
			`5.011s RRQ \sources\boot.wim octet tsize 0 blksize 1456 windowsize 4 msftwindow 31416`,
		}},
	} {
		n := newNetwork(t, builtin(t, c.profile))
		n.files["nbp"] = strings.Repeat("x", 16000)
		c.setup(n)
		n.run()
		if n.m.Failure != "" || !slices.Equal(n.log, c.want) {
			t.Errorf("%s: %s\n%s\nwant\n%s", c.profile, n.m.Failure, strings.Join(n.log, "\n"), strings.Join(c.want, "\n"))
		}
		if n.m.NBP != c.nbp || n.m.URL != c.url {
			t.Errorf("%s: NBP after %v, want %v; URL %q", c.profile, n.m.NBP, c.nbp, n.m.URL)
		}
	}
}

// Who gets no answer asks again as the firmware does, and gives up when it does.
func TestTimersAndFailures(t *testing.T) {
	nak := func(v *dhcp.View) *dhcptest.Message { return lease(v).Set(53, 6) }
	none := func(*dhcp.View) *dhcptest.Message { return nil }
	for _, c := range []struct {
		profile string
		setup   func(n *network)
		want    []string // how the log begins
		failure string
		ended   time.Duration
		retries uint64
	}{
		{"edk2", func(*network) {}, []string{"0s DISCOVER secs=0", "4s DISCOVER secs=4", "12s DISCOVER secs=12", "28s DISCOVER secs=28"}, "no offer", time.Minute, 3},
		{"bios", func(*network) {}, []string{"0s DISCOVER secs=0", "4s DISCOVER secs=4", "12s DISCOVER secs=12", "28s DISCOVER secs=28"}, "no offer", time.Minute, 3},
		{"http", func(n *network) { n.offers = offering(lease) }, []string{"0s DISCOVER secs=0", "4s DISCOVER secs=4"}, "no boot server's offer", time.Minute, 3},
		{"ipxe", func(*network) {}, []string{"0s DISCOVER secs=0", "1s DISCOVER secs=4", "3s DISCOVER secs=8", "7s DISCOVER secs=12"}, "no offer", 15 * time.Second, 3},
		{"raspberry-pi", func(*network) {}, []string{"0s DISCOVER secs=0", "4s DISCOVER secs=4", "8s DISCOVER secs=8"}, "no offer", 44 * time.Second, 10},
		{"edk2", func(n *network) { n.offers = offering(binl) }, nil, "no address offered", time.Minute, 3},
		{"edk2", func(n *network) { n.offers = offering(lease) }, nil, "no boot server's offer", time.Minute, 3},
		{"ipxe", func(n *network) { n.offers = offering(lease) }, []string{"0s DISCOVER secs=0", "1s DISCOVER secs=6", "3s REQUEST secs=2"}, "no boot server's offer", 3001 * time.Millisecond, 1},
		// What firmware refuses, and why.
		{"edk2-2016", func(n *network) { n.offers = offering(lease, pxe10) }, nil, "offer refused: edk2: it drops ProxyPxe10", time.Minute, 3},
		{"edk2", func(n *network) {
			n.offers = offering(lease, func(v *dhcp.View) *dhcptest.Message { return binl(v).Drop(54) })
		}, nil, "offer refused: edk2: OFFER without server identifier", time.Minute, 3},
		{"edk2", func(n *network) {
			n.offers = offering(lease, func(v *dhcp.View) *dhcptest.Message { m := binl(v); m.NoEnd = true; return m })
		}, nil, "offer refused: edk2: no END option", time.Minute, 3},
		{"edk2", func(n *network) {
			n.offers = offering(lease, func(v *dhcp.View) *dhcptest.Message { return binl(v).Add(43, 6, 1, 8, 255) })
		}, nil, "PXE-E21: Remote boot cancelled", 4001 * time.Millisecond, 0},
		{"http", func(n *network) { n.offers = offering(lease, binl) }, nil, `offer refused: edk2 HTTP boot: vendor class "PXEClient"`, time.Minute, 3},
		{"raspberry-pi", func(n *network) { n.offers = offering(lease, pxe10) }, nil, `offer refused: raspberry-pi: no text "Raspberry Pi Boot" in option 43`, 44 * time.Second, 10},
		// The DHCP server.
		{"edk2", func(n *network) { n.offers, n.ack = offering(lease, binl), none },
			[]string{"0s DISCOVER secs=0", "4s REQUEST secs=0", "8s REQUEST secs=4", "16s REQUEST secs=12", "32s REQUEST secs=28"}, "no ACK", 64 * time.Second, 3},
		{"edk2", func(n *network) { n.offers, n.ack = offering(lease, binl), nak }, nil, "NAK", 4001 * time.Millisecond, 0},
		{"ipxe", func(n *network) { n.offers, n.ack = offering(lease, binl), nak },
			[]string{"0s DISCOVER secs=0", "1ms REQUEST secs=3", "2ms DISCOVER secs=0", "3ms REQUEST secs=3"}, "NAK", 18 * time.Millisecond, 8},
		// The boot server.
		{"edk2", func(n *network) { n.offers, n.boot = offering(lease, binl), none },
			[]string{"0s DISCOVER secs=0", "4s REQUEST secs=0", "4.001s 4011 from 4011 secs=0", "5.001s 4011 from 4011 secs=1", "7.001s 4011 from 4011 secs=2", "10.001s 4011 from 4011 secs=3"},
			"no answer on 4011", 14001 * time.Millisecond, 3},
		{"ipxe", func(n *network) { n.offers, n.boot = offering(lease, binl), none }, nil, "no answer on 4011", 3752 * time.Millisecond, 3},
		{"edk2", func(n *network) {
			n.offers, n.boot = offering(lease, binl), func(v *dhcp.View) *dhcptest.Message { return binl(v).Set(53, 5) }
		}, nil, "answer on 4011 refused: edk2: ProxyBinl on 4011 without boot file", 14001 * time.Millisecond, 3},
		// The file server.
		{"edk2", func(n *network) { n.offers, n.boot = offering(lease, binl), bootACK }, nil, "NBP: TFTP ERROR 1", 5002 * time.Millisecond, 0},
		{"edk2", func(n *network) {
			n.offers, n.boot, n.noTsize, n.files["nbp"] = offering(lease, binl), bootACK, true, "x"
		}, nil, "NBP: no tsize in OACK", 5002 * time.Millisecond, 0},
		{"edk2", func(n *network) { n.offers, n.boot, n.noTFTP = offering(lease, binl), bootACK, true }, nil, "NBP: timeout", 29001 * time.Millisecond, 5},
		{"windows", func(n *network) {
			n.offers, n.boot, n.files["nbp"], n.files[`\Boot\BCD`] = offering(lease, binl), bootACK, "x", "x"
		}, nil, `\boot\boot.sdi: TFTP ERROR 1`, 5008 * time.Millisecond, 0},
	} {
		n := newNetwork(t, builtin(t, c.profile))
		c.setup(n)
		n.run()
		if n.m.Failure != c.failure || n.m.Ended != c.ended || n.m.Retries != c.retries {
			t.Errorf("%s: %q after %v with %d retries, want %q after %v with %d\n%s", c.profile, n.m.Failure, n.m.Ended, n.m.Retries, c.failure, c.ended, c.retries, strings.Join(n.log, "\n"))
		}
		if len(n.log) < len(c.want) || !slices.Equal(n.log[:len(c.want)], c.want) {
			t.Errorf("%s:\n%s\nwant first\n%s", c.profile, strings.Join(n.log, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// edk2 asks the boot servers one after the other when the first is silent.
func TestEDK2AsksAllBootServers(t *testing.T) {
	n := newNetwork(t, builtin(t, "edk2"))
	silent := netip.MustParseAddr("192.0.2.11")
	n.offers = offering(lease, func(v *dhcp.View) *dhcptest.Message {
		m := binl(v).Set(54, silent.AsSlice()...)
		m.SIAddr = silent
		return m
	}, binl)
	asked := 0
	n.boot = func(v *dhcp.View) *dhcptest.Message {
		if asked++; asked <= 4 {
			return nil
		}
		return bootACK(v)
	}
	n.files["nbp"] = "x"
	n.run()
	if n.m.Failure != "" || n.m.NBP != 15*time.Second+4*time.Millisecond {
		t.Errorf("%q, NBP after %v\n%s", n.m.Failure, n.m.NBP, strings.Join(n.log, "\n"))
	}
}

func TestUnreachable(t *testing.T) {
	for profile, want := range map[string]string{"edk2": "NBP: ICMP unreachable", "ipxe": ""} {
		n := newNetwork(t, builtin(t, profile))
		m := n.m
		m.Addr = leased
		m.startDownload(&n.step, bootFile{bootServer, "nbp"})
		m.Unreachable(&n.step, m.download.port-1) // an earlier transfer's
		if m.Done() {
			t.Errorf("%s: ended by an error about another port", profile)
		}
		m.Unreachable(&n.step, m.download.port)
		if m.Failure != want {
			t.Errorf("%s: %q, want %q", profile, m.Failure, want)
		}
	}
}

// With everything ten times faster the messages are the same ones.
func TestHurry(t *testing.T) {
	n := newNetwork(t, builtin(t, "edk2").Hurry(10))
	n.run()
	want := []string{"0s DISCOVER secs=0", "400ms DISCOVER secs=4", "1.2s DISCOVER secs=12", "2.8s DISCOVER secs=28"}
	if !slices.Equal(n.log, want) || n.m.Ended != 6*time.Second {
		t.Errorf("ended after %v: %q", n.m.Ended, n.log)
	}
}
