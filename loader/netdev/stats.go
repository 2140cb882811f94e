package netdev

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	ssStats = 1 // ETH_SS_STATS
	// moreStats is room for counters that a driver gets between being asked for
	// their number and writing them: it does not look at how many have room.
	moreStats = 1024
)

// Stat is one of the counters that a driver keeps by itself (ethtool -S).
type Stat struct {
	Name  string
	Value uint64
}

// Stats returns a driver's own counters; none where it has none.
func Stats(ifname string) ([]Stat, error) {
	count := struct {
		cmd, reserved uint32
		mask          uint64
		count         uint32
		_             uint32
	}{cmd: unix.ETHTOOL_GSSET_INFO, mask: 1 << ssStats}
	if err := ethtool(ifname, unsafe.Pointer(&count)); err != nil {
		return nil, fmt.Errorf("interface %s: count statistics: %w", ifname, err)
	}
	if count.mask == 0 || count.count == 0 {
		return nil, nil
	}
	room := int(count.count) + moreStats

	// struct ethtool_gstrings: command, set, length; then the names.
	const namesHead = 3
	names := make([]uint32, namesHead+room*stringLen/4)
	names[0], names[1], names[2] = unix.ETHTOOL_GSTRINGS, ssStats, count.count
	if err := ethtool(ifname, unsafe.Pointer(&names[0])); err != nil {
		return nil, fmt.Errorf("interface %s: name statistics: %w", ifname, err)
	}
	// struct ethtool_stats: command, length; then the values.
	values := make([]uint64, 1+room)
	head := (*[2]uint32)(unsafe.Pointer(&values[0]))
	head[0], head[1] = unix.ETHTOOL_GSTATS, count.count
	if err := ethtool(ifname, unsafe.Pointer(&values[0])); errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil // names only
	} else if err != nil {
		return nil, fmt.Errorf("interface %s: read statistics: %w", ifname, err)
	}
	n := min(int(names[2]), int(head[1]), room)
	stats := make([]Stat, n)
	for i := range stats {
		name := (*[stringLen]byte)(unsafe.Pointer(&names[namesHead+i*stringLen/4]))
		stats[i] = Stat{unix.ByteSliceToString(name[:]), values[1+i]}
	}
	return stats, nil
}
