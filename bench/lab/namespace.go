package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace of a Lab.
type Namespace struct {
	Role string
	lab  *Lab
	name string
}

// Name is the name that `ip netns` knows.
func (n *Namespace) Name() string { return n.name }

// Lab returns the owner.
func (n *Namespace) Lab() *Lab { return n.lab }

// IP runs the ip tool in the namespace.
func (n *Namespace) IP(args ...string) error {
	return run("ip", append([]string{"-n", n.name}, args...)...)
}

// Run executes a command in the namespace to its end.
func (n *Namespace) Run(args ...string) error {
	return run("ip", append([]string{"netns", "exec", n.name}, args...)...)
}

// Sysctl sets a kernel setting of the namespace, named with slashes below
// /proc/sys: "net/ipv4/ip_forward".
func (n *Namespace) Sysctl(key, value string) error {
	return n.Do(func() error {
		return os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0)
	})
}

// MAC returns the hardware address of one of the namespace's interfaces.
func (n *Namespace) MAC(ifname string) (mac net.HardwareAddr, err error) {
	err = n.Do(func() error {
		ifi, err := net.InterfaceByName(ifname)
		if err == nil {
			mac = ifi.HardwareAddr
		}
		return err
	})
	return mac, err
}

// Do calls f on a thread that is in the namespace. Sockets that f opens stay
// in the namespace; goroutines that it starts are not there.
func (n *Namespace) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errors.New("f left its goroutine") // as t.FailNow does
		defer func() { done <- err }()
		err = n.do(f)
	}()
	if err := <-done; err != nil {
		return fmt.Errorf("lab: in namespace %s: %w", n.Role, err)
	}
	return nil
}

func (n *Namespace) do(f func() error) error {
	runtime.LockOSThread() // left locked on failure: then the thread ends with the goroutine
	self, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer self.Close()
	target, err := os.Open(filepath.Join(netnsDir, n.name))
	if err != nil {
		return err
	}
	defer target.Close()
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter: %w", err)
	}
	err = f()
	if back := unix.Setns(int(self.Fd()), unix.CLONE_NEWNET); back != nil {
		return fmt.Errorf("leave: %w", back)
	}
	runtime.UnlockOSThread()
	return err
}

// Bridge makes a learning switch that forwards from the first frame on.
func (n *Namespace) Bridge(name string) error {
	if err := n.IP("link", "add", name, "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"); err != nil {
		return err
	}
	return n.IP("link", "set", name, "up")
}

// Veth lays a cable from ifname here to peerName in the other namespace. Both
// ends are up.
func (n *Namespace) Veth(ifname string, peer *Namespace, peerName string) error {
	if err := run("ip", "link", "add", ifname, "netns", n.name, "type", "veth", "peer", "name", peerName, "netns", peer.name); err != nil {
		return err
	}
	if err := n.IP("link", "set", ifname, "up"); err != nil {
		return err
	}
	return peer.IP("link", "set", peerName, "up")
}

// OffloadsOff turns off the given offloads by ethtool: "rxvlan", "txvlan", "tx", "gro", ….
func (n *Namespace) OffloadsOff(ifname string, features ...string) error {
	args := []string{"ethtool", "-K", ifname}
	for _, f := range features {
		args = append(args, f, "off")
	}
	if err := n.Run(args...); err != nil {
		return fmt.Errorf("%w (features %s)", err, strings.Join(features, ", "))
	}
	return nil
}
