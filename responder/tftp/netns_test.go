package tftp

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/tftp/tftptest"
)

// netns is a network namespace of the test's own: a thread lives in it, and it
// goes with that thread and the sockets made there.
type netns struct {
	t    testing.TB
	work chan func()
	tid  int
}

func newNetns(t testing.TB) *netns {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	n := &netns{t: t, work: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine
		n.tid = unix.Gettid()
		err := unix.Unshare(unix.CLONE_NEWNET)
		ready <- err
		if err != nil {
			return
		}
		for f := range n.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatalf("network namespace: %v", err)
	}
	t.Cleanup(func() { close(n.work) })
	n.ip("link set lo up")
	return n
}

// run runs f on the namespace's thread.
func (n *netns) run(f func()) {
	done := make(chan struct{})
	n.work <- func() {
		defer close(done) // t.Fatal ends the thread: run returns all the same
		f()
	}
	<-done
}

// ip runs the ip tool with some words.
func (n *netns) ip(words string) {
	n.t.Helper()
	var out []byte
	var err error
	n.run(func() { out, err = exec.Command("ip", strings.Fields(words)...).CombinedOutput() })
	if err != nil {
		n.t.Fatalf("ip %s: %v: %s", words, err, out)
	}
}

func (n *netns) wire(t testing.TB, local string) *wire {
	t.Helper()
	var w *wire
	n.run(func() { w = newWire(t, local) })
	return w
}

// rack is a server and a client in namespaces of their own with a cable between them.
type rack struct {
	*bed
	server, client *netns
}

func newRack(t testing.TB, cfg Config, files map[string][]byte) *rack {
	t.Helper()
	r := &rack{server: newNetns(t), client: newNetns(t)}
	r.server.ip(fmt.Sprintf("link add up0 type veth peer name up1 netns %d", r.client.tid))
	for i, n := range []*netns{r.server, r.client} {
		dev := fmt.Sprint("up", i)
		n.ip("link set " + dev + " addrgenmode none")
		n.ip("link set " + dev + " up")
		n.ip(fmt.Sprintf("addr add 10.9.0.%d/24 brd + dev %s", i+1, dev))
		n.ip(fmt.Sprintf("addr add fd09::%d/64 dev %s nodad", i+1, dev))
		n.ip(fmt.Sprintf("addr add fe80::%d/64 dev %s nodad", i+1, dev))
	}
	r.server.ip("addr add 10.9.0.101/24 dev up0")
	r.server.ip("addr add fd09::101/64 dev up0 nodad")
	r.server.run(func() { r.bed = serve(t, cfg, files) })
	return r
}

// at returns the request port at one of the server's addresses.
func (r *rack) at(host string) netip.AddrPort { return hostPort(r.t, host, r.Port()) }

// turn returns when the server has dealt with all that was sent before, as sync
// does where loopback is shared.
func (r *rack) turn(w *wire) {
	r.t.Helper()
	probe := r.client.wire(r.t, "10.9.0.2:0")
	defer probe.close()
	probe.send(r.at("10.9.0.1"), rrq("no such file", "octet"))
	probe.expectError(codeNotFound)
	if !w.empty() {
		r.t.Error("the server sent a packet")
	}
}

func TestServeAddresses(t *testing.T) {
	file := randomFile(3000, 11)
	r := newRack(t, Config{GSO: true}, map[string][]byte{"f": file})
	statement(t, "H22", "answers come from the address that was asked", func(t *testing.T) {
		for local, server := range map[string]string{
			"10.9.0.2:0": "10.9.0.1", "0.0.0.0:0": "10.9.0.101", "[fd09::2]:0": "fd09::1", "[::]:0": "fd09::101", "[fe80::2%up1]:0": "fe80::1%up1",
		} {
			w := r.client.wire(t, local)
			w.send(r.at(server), rrq("f", "octet", "blksize", "1000"))
			tid := w.expect(oackPacket("blksize", "1000"))
			if tid.Addr() != netip.MustParseAddr(server) {
				t.Errorf("asked %s, answered by %v", server, tid)
			}
			for n := range 4 {
				w.send(tid, ackPacket(n))
				if n < 3 {
					if from := w.expect(dataPacket(file, 1000, n+1)); from != tid {
						t.Errorf("data from %v, the transfer is with %v", from, tid)
					}
				}
			}
			if from := w.expect([]byte{0, opDATA, 0, 4}); from != tid {
				t.Errorf("data from %v, the transfer is with %v", from, tid)
			}
			w.send(tid, ackPacket(4))
		}
	})
	statement(t, "G7", "blocks fit one frame of the interface", func(t *testing.T) {
		for server, want := range map[string]string{"10.9.0.1": "1468", "fd09::1": "1448"} {
			w := r.client.wire(t, "[::]:0")
			w.send(r.at(server), rrq("f", "octet", "blksize", "65464"))
			tid := w.expect(oackPacket("blksize", want))
			w.send(tid, appendError(nil, 0, "enough"))
		}
	})
	t.Run("requests to broadcast and multicast addresses are ignored", func(t *testing.T) {
		before := r.outcome(NotUnicast)
		w := r.client.wire(t, "10.9.0.2:0")
		raw, err := w.conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1) })
		r.client.ip("route add 255.255.255.255/32 dev up1")
		w.send(r.at("10.9.0.255"), rrq("f", "octet"))
		w.send(r.at("255.255.255.255"), rrq("f", "octet"))
		r.turn(w)
		v6 := r.client.wire(t, "[fe80::2%up1]:0")
		v6.send(r.at("ff02::1%up1"), rrq("f", "octet"))
		r.turn(v6)
		if n := r.outcome(NotUnicast) - before; n != 3 {
			t.Errorf("%d of 3 requests counted", n)
		}
	})
}

// TestSegmentationRefused has routes that do not carry what the interface of
// the request promised: the kernel refuses to segment, the blocks go one by one.
func TestSegmentationRefused(t *testing.T) {
	file := randomFile(300_000, 12)
	for _, server := range []string{"10.9.0.1", "fd09::1"} {
		t.Run(server, func(t *testing.T) {
			r := newRack(t, Config{GSO: true, MaxBlksize: 4000}, map[string][]byte{"f": file})
			w := r.client.wire(t, "[::]:0")
			w.send(r.at(server), rrq("f", "octet", "blksize", "4000", "windowsize", "8"))
			tid := w.expect(oackPacket("blksize", "4000", "windowsize", "8"))
			done := make(chan struct{})
			r.workers[0].order(func(w *worker) {
				w.table.each(func(_ slotID, s *slot) { s.mtu = 9000 })
				close(done)
			})
			<-done
			w.send(tid, ackPacket(0))
			w.expectBlocks(file, 4000, 1, 8)
			w.send(tid, ackPacket(8))
			w.expectBlocks(file, 4000, 9, 16)
			whole := make(chan bool, 1)
			r.workers[0].order(func(w *worker) {
				w.table.each(func(_ slotID, s *slot) { whole <- s.whole })
			})
			if !<-whole {
				t.Error("the kernel segmented what it cannot")
			}
			if st := r.Stats(); st.Blocks != 16 || st.Retransmits != 0 || st.SendErrors != 1 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// TestServeFragments has blocks larger than a frame, as the configuration allows.
func TestServeFragments(t *testing.T) {
	file := randomFile(1<<20, 13)
	r := newRack(t, Config{GSO: true, MaxBlksize: maxBlksize}, map[string][]byte{"f": file})
	for _, server := range []string{"10.9.0.1", "fd09::1"} {
		var got bytes.Buffer
		var err error
		r.client.run(func() {
			c := tftptest.Client{Server: r.at(server)}
			_, err = c.Get(t.Context(), tftptest.Request{Name: "f", Blksize: 16384, Window: 4}, &got)
		})
		if err != nil || !bytes.Equal(got.Bytes(), file) {
			t.Errorf("%s: %v, %d bytes", server, err, got.Len())
		}
	}
}

// TestServeGivenAddresses serves some addresses only, each from sockets of its own.
func TestServeGivenAddresses(t *testing.T) {
	file := []byte("data")
	b := serve(t, Config{Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.9")}}, map[string][]byte{"f": file})
	tids := map[uint16]bool{}
	for _, host := range []string{"127.0.0.1", "127.0.0.9"} {
		w := newWire(t, "127.0.0.1:0")
		w.send(hostPort(t, host, b.Port()), rrq("f", "octet"))
		tid := w.expect(dataPacket(file, 512, 1))
		if tid.Addr() != netip.MustParseAddr(host) {
			t.Errorf("%s answers from %v", host, tid)
		}
		tids[tid.Port()] = true
	}
	if len(tids) != 2 {
		t.Error("two addresses share a data port")
	}
	other := newWire(t, "127.0.0.1:0")
	other.send(hostPort(t, "127.0.0.5", b.Port()), rrq("f", "octet"))
	b.nothing(other)
}

// TestSameClientSameWorker has repeated requests find their transfers among several workers'.
func TestSameClientSameWorker(t *testing.T) {
	b := serve(t, Config{Workers: 4}, map[string][]byte{"f": []byte("data")})
	const clients = 64
	tids := map[uint16]bool{}
	for range clients {
		w := newWire(t, "127.0.0.1:0")
		var first netip.AddrPort
		for i := range 3 {
			w.send(b.addr, rrq("f", "octet", "tsize", "0"))
			tid := w.expect(oackPacket("tsize", "4"))
			if i == 0 {
				first = tid
			} else if tid != first {
				t.Fatalf("answered by %v, then by %v", first, tid)
			}
		}
		tids[first.Port()] = true
	}
	if st := b.Stats(); st.Repeated != 2*clients || st.Active != clients {
		t.Errorf("%+v", st)
	}
	if len(tids) < 2 {
		t.Error("one worker has all clients")
	}
}
