package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/wire"
)

// machine is one that boots, and what was seen of it.
type machine struct {
	name    string
	kind    string
	silence bool // nobody is to answer it
	mac     net.HardwareAddr
	mu      sync.Mutex // guards what is below until all machines are done
	address string
	lease   string // the server that gave it
	server  string // where boot files came from
	files   []string
	took    time.Duration // to the boot program, for simulated machines to its last byte
	reached string
	err     error
}

// storageMAC is a machine that a rule of the demonstration keeps silent to.
const storageMAC = "02:53:54:4f:52:01"

const archX64 = 7

// bootAll boots everything at once and returns when all are done.
func bootAll(ctx context.Context, r *lab.Rack, show *timeline) ([]*machine, error) {
	var machines []*machine
	var boots []func()
	for _, firmware := range []lab.Firmware{lab.UEFI, lab.BIOS} {
		m := &machine{name: firmware.Short(), kind: firmware.String()}
		machines = append(machines, m)
		boots = append(boots, func() { m.err = m.bootFirmware(ctx, r, firmware, show) })
	}
	for _, sim := range []struct {
		name  string
		style client.Style
		mac   string
	}{
		{"node1", client.EDK2, "02:00:00:00:00:01"},
		{"node2", client.EDK2, "02:00:00:00:00:02"},
		{"node3", client.IPXE, "02:00:00:00:00:03"},
		{"node4", client.IPXE, "02:00:00:00:00:04"},
		{"storage", client.EDK2, storageMAC},
	} {
		m := &machine{name: sim.name, kind: "simulated " + sim.style.String(), silence: sim.mac == storageMAC}
		machines = append(machines, m)
		node, err := r.AddClient(sim.name)
		if err != nil {
			return nil, err
		}
		if err := node.IP("link", "set", lab.Iface, "address", sim.mac); err != nil {
			return nil, err
		}
		boots = append(boots, func() { m.err = m.bootSimulated(ctx, node, sim.style, show) })
	}
	var wg sync.WaitGroup
	for _, boot := range boots {
		wg.Go(boot)
	}
	wg.Wait()
	return machines, nil
}

// console picks the lines of a serial console that tell how far a machine is.
var console = []string{">>Start PXE", "NBP filename", "NBP file downloaded", lab.BannerMark, "Nothing to boot", lab.ROMMark, lab.ScriptMark}

func (m *machine) bootFirmware(ctx context.Context, r *lab.Rack, firmware lab.Firmware, show *timeline) error {
	vm, err := r.Boot(lab.MachineOptions{Name: m.name, Firmware: firmware, Lines: func(at time.Time, line string) {
		for _, mark := range console {
			if strings.Contains(line, mark) {
				show.at(at, m.name, "console: "+line)
			}
		}
	}})
	if err != nil {
		return err
	}
	defer vm.Off()
	show.at(vm.PowerOn, m.name, "power on: "+m.kind)
	m.mac = vm.MAC
	stop, err := m.watch(ctx, r.Access.Namespace, vm.Port, show)
	if err != nil {
		return err
	}
	defer stop()
	at, err := vm.WaitProgram(ctx)
	if err != nil {
		return err
	}
	m.took = at.Sub(vm.PowerOn)
	if _, err := vm.WaitScript(ctx); err != nil {
		return err
	}
	m.reached = "iPXE runs its script"
	return nil
}

func (m *machine) bootSimulated(ctx context.Context, node *lab.Node, style client.Style, show *timeline) error {
	mac, err := node.MAC(lab.Iface)
	if err != nil {
		return err
	}
	m.mac = mac
	stop, err := m.watch(ctx, node.Switch.Namespace, node.Port, show)
	if err != nil {
		return err
	}
	defer stop()
	c := &client.Client{Node: node, Style: style, Arch: archX64}
	copy(c.UUID[10:], mac)
	out, err := c.Boot(ctx)
	m.took = out.Took
	if m.silence && errors.Is(err, client.ErrNoBootServer) {
		m.reached = "no answer, as its rule says"
		return nil
	}
	if err != nil {
		return err
	}
	show.say(m.name, "has %s, %d bytes", out.File, out.Size)
	m.reached = "boot file complete"
	return nil
}

// watch shows the machine's DHCP and TFTP messages, as they pass its port of the switch.
func (m *machine) watch(ctx context.Context, ns *lab.Namespace, ifname string, show *timeline) (stop func(), err error) {
	port, err := wire.Open(ns, ifname)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			d, err := port.Recv(ctx)
			if err != nil {
				return
			}
			if e, ok := wire.Describe(d); ok && e.About(m.mac) {
				show.at(e.At, m.name, e.Text)
				m.learn(&e)
			}
		}
	}()
	return func() {
		cancel()
		<-done
		port.Close()
	}, nil
}

// learn keeps what the table at the end tells.
func (m *machine) learn(e *wire.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case e.DHCP == nil:
		m.server = e.Dst.Addr().String()
		if n := len(m.files); n == 0 || m.files[n-1] != e.File {
			m.files = append(m.files, e.File)
		}
	case e.DHCP.MessageType().String() == "ACK" && !e.DHCP.YourIPAddr.IsUnspecified():
		m.address, m.lease = e.DHCP.YourIPAddr.String(), e.DHCP.ServerIdentifier().String()
	}
}
