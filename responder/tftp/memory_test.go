package tftp

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/content"
)

// childEnv, the path of a root, makes the test binary a server of its own, which
// names its port and then answers each line with the number of its transfers.
const childEnv = "XDPXE_TFTP_TEST_CHILD"

func serveChild(dir string) error {
	root, err := content.Open(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	cfg := DefaultConfig()
	cfg.Port, cfg.Workers, cfg.PerNetwork = 0, 2, Limits{} // all clients are of one network
	s, err := Listen(cfg, root)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	fmt.Println("port", s.Port())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println("active", s.Stats().Active)
	}
	stop()
	return <-ended
}

// TestMemory has 10,000 clients, each with an address of its own, in the middle
// of one file: 64 MiB of anonymous memory at most.
func TestMemory(t *testing.T) {
	const clients, most = 10_000, 64 << 20
	dir := t.TempDir()
	(&bed{t: t, dir: dir}).write("f", randomFile(1<<20, 1))
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+dir)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stdin.Close()
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
	}()
	lines := bufio.NewScanner(stdout)
	number := func(word string) int {
		t.Helper()
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), word+" "); ok {
				n, err := strconv.Atoi(text)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		t.Fatalf("the child ended: %v", lines.Err())
		return 0
	}
	active := func() int {
		if _, err := io.WriteString(stdin, "\n"); err != nil {
			t.Fatal(err)
		}
		return number("active")
	}
	server := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(number("port")))
	idle := anonymous(t, child.Process.Pid)

	c := newCrowd(t)
	request := rrq("f", "octet", "tsize", "0", "blksize", "1468", "windowsize", "1")
	for first := 0; first < clients; first += 100 {
		for i := first; i < first+100; i++ {
			c.send([4]byte{127, 1, byte(i >> 8), byte(i)}, server, request)
		}
		for tries := 0; active() < first+100 || c.answered < first+100; tries++ {
			c.answer()
			if tries == 1000 {
				t.Fatalf("%d of %d transfers, %d answered", active(), first+100, c.answered)
			}
		}
	}
	got := anonymous(t, child.Process.Pid) - idle
	t.Logf("%d transfers: %.1f MiB of anonymous memory more than the %.1f MiB of none", clients, mib(got), mib(idle))
	if got > most {
		t.Errorf("%.1f MiB", mib(got))
	}
}

func mib(n int) float64 { return float64(n) / (1 << 20) }

// anonymous returns a process's anonymous memory in bytes.
func anonymous(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Anonymous:" {
			kib, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("smaps_rollup names no anonymous memory")
	return 0
}

// crowd is clients with an address each and one socket for all.
type crowd struct {
	t        *testing.T
	conn     *net.UDPConn
	answered int // OACKs that were acknowledged
	seen     map[[4]byte]bool
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var set error
	if err := raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_PKTINFO, 1) }); err != nil || set != nil {
		t.Fatal(err, set)
	}
	return &crowd{t: t, conn: conn, seen: map[[4]byte]bool{}}
}

// send sends from one of the addresses.
func (c *crowd) send(from [4]byte, to netip.AddrPort, p []byte) {
	c.t.Helper()
	info := unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: from})
	if _, _, err := c.conn.WriteMsgUDPAddrPort(p, info, to); err != nil {
		c.t.Fatal(err)
	}
}

// answer acknowledges the OACKs that come within some milliseconds.
func (c *crowd) answer() {
	c.t.Helper()
	buf, control := make([]byte, 2048), make([]byte, 128)
	c.conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	for {
		n, oobn, _, server, err := c.conn.ReadMsgUDPAddrPort(buf, control)
		if err != nil {
			return
		}
		if n < 2 || binary.BigEndian.Uint16(buf) != opOACK {
			continue
		}
		_, _, data, _, ok := nextCmsg(control[:oobn])
		if !ok {
			c.t.Fatal("no destination")
		}
		to := [4]byte(data[8:12])
		if !c.seen[to] {
			c.seen[to] = true
			c.answered++
		}
		c.send(to, server, ackPacket(0))
	}
}
