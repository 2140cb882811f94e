package netdev_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

// holderMode makes the test binary hold UDP 67 until its standard input ends.
const holderMode = "XDPXE_TEST_HOLD_PORT"

func holdPort() int {
	c, err := net.ListenPacket("udp4", os.Getenv(holderMode))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer c.Close()
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	return 0
}

// hold starts a process that holds addr.
func hold(t *testing.T, addr string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holderMode+"="+addr)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("holder: %q, %v", line, err)
	}
	return cmd
}

func TestUDPHolders(t *testing.T) {
	xsktest.Namespace(t)
	ip(t, "link", "set", "lo", "up")
	holders, err := netdev.UDPHolders(67)
	if err != nil || len(holders) != 0 {
		t.Fatalf("nobody: %v, %v", holders, err)
	}
	own, err := net.ListenPacket("udp4", "127.0.0.1:67")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if holders, err = netdev.UDPHolders(67); err != nil || len(holders) != 0 {
		t.Errorf("a socket of our own counts: %v, %v", holders, err)
	}
	cmd := hold(t, "127.0.0.2:67")
	holders, err = netdev.UDPHolders(67)
	if err != nil || len(holders) != 1 {
		t.Fatalf("holders %v, %v", holders, err)
	}
	h := holders[0]
	// The name is of /proc/PID/comm: the binary's, cut to 15 bytes.
	if h.PID != cmd.Process.Pid || h.Name == "" || h.Addr.String() != "127.0.0.2:67" {
		t.Errorf("holder %+v, want pid %d", h, cmd.Process.Pid)
	}
	if !strings.Contains(h.String(), fmt.Sprintf("(pid %d)", h.PID)) {
		t.Errorf("text %q", h)
	}
	h.PID, h.Name = 0, ""
	if got := h.String(); !strings.Contains(got, "user root") || !strings.Contains(got, fmt.Sprint(h.Inode)) {
		t.Errorf("text without a process %q", got)
	}
}
