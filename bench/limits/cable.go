package limits

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/xdp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// device is the interface at both ends of a cable.
const device = "cable0"

// Addresses of the ends (RFC 5737).
var (
	nearAddr = netip.MustParseAddr("192.0.2.1")
	farAddr  = netip.MustParseAddr("192.0.2.2")
)

// cable is a veth between two namespaces; the generator is at the near end.
type cable struct {
	lab             *lab.Lab
	near, far       *lab.Namespace
	nearMAC, farMAC net.HardwareAddr
	queues          int
}

// lay lays a cable with so many queues each way.
func lay(queues int) (c *cable, err error) {
	l, err := lab.New()
	if err != nil {
		return nil, err
	}
	c = &cable{lab: l, queues: queues}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if c.near, err = l.Namespace("near"); err != nil {
		return nil, err
	}
	if c.far, err = l.Namespace("far"); err != nil {
		return nil, err
	}
	n := strconv.Itoa(queues)
	if err := c.near.IP("link", "add", device, "numrxqueues", n, "numtxqueues", n, "type", "veth",
		"peer", "name", device, "numrxqueues", n, "numtxqueues", n, "netns", c.far.Name()); err != nil {
		return nil, err
	}
	if c.nearMAC, err = c.near.MAC(device); err != nil {
		return nil, err
	}
	if c.farMAC, err = c.far.MAC(device); err != nil {
		return nil, err
	}
	return c, errors.Join(
		plug(c.near, nearAddr, farAddr, c.farMAC),
		plug(c.far, farAddr, nearAddr, c.nearMAC),
		// What is sent to a veth by XDP vanishes unless it has an XDP program or this.
		c.far.Run("ethtool", "-K", device, "gro", "on"))
}

// plug gives an end its address, and makes it know the other, which does not
// answer ARP while a program drops what comes in.
func plug(ns *lab.Namespace, own, other netip.Addr, mac net.HardwareAddr) error {
	return errors.Join(
		ns.IP("addr", "add", own.String()+"/24", "dev", device),
		ns.IP("link", "set", device, "up"),
		ns.IP("neigh", "replace", other.String(), "lladdr", mac.String(), "dev", device, "nud", "permanent"))
}

func (c *cable) close() error { return c.lab.Close() }

// discoverLen is the length in bytes of the payload of EDK2's DISCOVER.
const discoverLen = 347

// frame is one that looks like a DISCOVER as far as it matters here: its length
// and where the xid stands. It goes to the far end's UDP port 67.
func (c *cable) frame(xid uint32) (xdp.Example, error) {
	m := packet.Meta{Src: netip.AddrPortFrom(nearAddr, packet.PortDHCPClient), Dst: netip.AddrPortFrom(farAddr, packet.PortDHCPServer)}
	copy(m.SrcMAC[:], c.nearMAC)
	copy(m.DstMAC[:], c.farMAC)
	frame := make([]byte, packet.HeaderLen(&m)+discoverLen)
	payload := frame[packet.HeaderLen(&m):]
	payload[4], payload[5], payload[6], payload[7] = byte(xid>>24), byte(xid>>16), byte(xid>>8), byte(xid)
	n := packet.Build(frame, &m, discoverLen)
	if n == 0 {
		return xdp.Example{}, fmt.Errorf("frame of %d bytes does not fit", len(frame))
	}
	e := xdp.Example{Frame: frame[:n], XID: xid}
	copy(e.MAC[:], c.nearMAC)
	return e, nil
}

// gun opens a live sender at the near end, which counts what comes back.
func (c *cable) gun() (g *xdp.Gun, err error) {
	a, err := c.frame(1)
	if err != nil {
		return nil, err
	}
	b, err := c.frame(0x80000002)
	if err != nil {
		return nil, err
	}
	t, err := xdp.NewTemplate(a, b)
	if err != nil {
		return nil, err
	}
	err = c.near.Do(func() error {
		g, err = xdp.Open(xdp.Options{Interface: device, Template: t, Identities: []xdp.Identity{a.Identity}, Sink: true})
		return err
	})
	return g, err
}
