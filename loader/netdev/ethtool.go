package netdev

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ifreqData is struct ifreq with ifr_data, as SIOCETHTOOL takes it.
type ifreqData struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte // the rest of the union (40 octets on 64-bit systems)
}

// ethtool does one ethtool ioctl on ifname: data starts with the command word.
func ethtool(ifname string, data unsafe.Pointer) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket for ethtool: %w", err)
	}
	defer unix.Close(fd)
	var req ifreqData
	if len(ifname) >= len(req.name) {
		return unix.ENODEV
	}
	copy(req.name[:], ifname)
	req.data = data
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	runtime.KeepAlive(data)
	if errno != 0 {
		return errno
	}
	return nil
}

func driver(ifname string) string {
	info := unix.EthtoolDrvinfo{Cmd: unix.ETHTOOL_GDRVINFO}
	if ethtool(ifname, unsafe.Pointer(&info)) != nil {
		return ""
	}
	return unix.ByteSliceToString(info.Driver[:])
}

// channels is struct ethtool_channels.
type channels struct {
	cmd                                 uint32
	maxRX, maxTX, maxOther, maxCombined uint32
	rx, tx, other, combined             uint32
}

// queues returns how many receive and transmit queues are in use. Drivers
// without ethtool channels have their sysfs directories counted, and where
// sysfs shows another namespace, what was allocated.
func queues(a *netlink.LinkAttrs) (rx, tx int) {
	c := channels{cmd: unix.ETHTOOL_GCHANNELS}
	if ethtool(a.Name, unsafe.Pointer(&c)) == nil {
		rx, tx = int(c.rx+c.combined), int(c.tx+c.combined)
	}
	if rx == 0 || tx == 0 {
		rx, tx = sysfsQueues(a)
	}
	if rx == 0 || tx == 0 {
		rx, tx = a.NumRxQueues, a.NumTxQueues
	}
	return max(rx, 1), max(tx, 1)
}

func sysfsQueues(a *netlink.LinkAttrs) (rx, tx int) {
	dir := "/sys/class/net/" + a.Name
	index, err := os.ReadFile(dir + "/ifindex")
	if err != nil || strings.TrimSpace(string(index)) != fmt.Sprint(a.Index) {
		return 0, 0
	}
	address, err := os.ReadFile(dir + "/address")
	if err != nil || strings.TrimSpace(string(address)) != a.HardwareAddr.String() {
		return 0, 0
	}
	entries, err := os.ReadDir(dir + "/queues")
	if err != nil {
		return 0, 0
	}
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), "rx-"):
			rx++
		case strings.HasPrefix(e.Name(), "tx-"):
			tx++
		}
	}
	return rx, tx
}
