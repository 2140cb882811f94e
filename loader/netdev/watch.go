package netdev

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// settle is how long Watch collects notifications before it reports them: an
// interface that comes up makes a dozen.
const settle = 20 * time.Millisecond

// Watch calls changed after links, IPv4 addresses, or ethtool settings
// (offloads, channels) of the calling thread's namespace have changed. It
// returns as soon as it is subscribed, so a state read after it cannot be
// missed; it ends with ctx. Calls come one at a time from one goroutine and
// stand for any number of changes: read the facts anew. A subscription that
// the kernel overran (ENOBUFS) counts as a change too.
func Watch(ctx context.Context, changed func()) error {
	route, err := subscribe(unix.NETLINK_ROUTE, unix.RTMGRP_LINK|unix.RTMGRP_IPV4_IFADDR, 0)
	if err != nil {
		return fmt.Errorf("watch links and addresses: %w", err)
	}
	sockets := []*os.File{route}
	// ethtool -L and -K are told by generic netlink; without CONFIG_ETHTOOL_NETLINK nobody tells.
	if group, ok := ethtoolMonitor(); ok {
		if f, err := subscribe(unix.NETLINK_GENERIC, 0, group); err == nil {
			sockets = append(sockets, f)
		}
	}
	events := make(chan struct{}, 1)
	for _, s := range sockets {
		go listen(s, events)
	}
	go func() {
		defer func() {
			for _, s := range sockets {
				s.Close() // ends listen
			}
		}()
		for {
			select {
			case <-ctx.Done():
				return
			case <-events:
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(settle):
			}
			select {
			case <-events: // came while settling
			default:
			}
			if ctx.Err() != nil {
				return
			}
			changed()
		}
	}()
	return nil
}

// listen turns messages into events until the socket is closed. What they say
// is not looked at: the reader of facts asks the kernel.
func listen(s *os.File, events chan<- struct{}) {
	buf := make([]byte, 64<<10)
	for {
		_, err := s.Read(buf)
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return
		}
		select {
		case events <- struct{}{}:
		default:
		}
	}
}

// subscribe opens a netlink socket of a family that receives the groups of
// the mask, or the one group of that number.
func subscribe(family int, mask uint32, group int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, family)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: mask}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind netlink socket: %w", err)
	}
	if group != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("join netlink group %d: %w", group, err)
		}
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// genlHeader is struct genlmsghdr (linux/genetlink.h). The netlink library's own
// has two bytes and is sent with four: the others are its neighbour's in memory.
type genlHeader [4]byte

func (h *genlHeader) Len() int          { return len(h) }
func (h *genlHeader) Serialize() []byte { return h[:] }

// ethtoolMonitor returns the number of the group that ethtool's changes are told to.
func ethtoolMonitor() (group int, ok bool) {
	req := nl.NewNetlinkRequest(unix.GENL_ID_CTRL, 0)
	req.AddData(&genlHeader{unix.CTRL_CMD_GETFAMILY, 1})
	req.AddData(nl.NewRtAttr(unix.CTRL_ATTR_FAMILY_NAME, nl.ZeroTerminated("ethtool")))
	messages, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil || len(messages) == 0 || len(messages[0]) < len(genlHeader{}) {
		return 0, false
	}
	for _, g := range attributes(attribute(messages[0][len(genlHeader{}):], unix.CTRL_ATTR_MCAST_GROUPS)) {
		name, id := attribute(g.Value, unix.CTRL_ATTR_MCAST_GRP_NAME), attribute(g.Value, unix.CTRL_ATTR_MCAST_GRP_ID)
		if unix.ByteSliceToString(name) == "monitor" && len(id) == 4 {
			return int(binary.NativeEndian.Uint32(id)), true
		}
	}
	return 0, false
}

func attributes(b []byte) []syscall.NetlinkRouteAttr {
	list, err := nl.ParseRouteAttr(b)
	if err != nil {
		return nil
	}
	return list
}

// attribute returns the first attribute of that kind, nil without one.
func attribute(b []byte, kind uint16) []byte {
	for _, a := range attributes(b) {
		if a.Attr.Type&^unix.NLA_F_NESTED == kind {
			return a.Value
		}
	}
	return nil
}
