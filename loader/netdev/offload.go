package netdev

import (
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// VLANOffloads are the features that take a tag out of a received frame
// before XDP sees it (linux/include netdev_features_strings).
var VLANOffloads = []string{"rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"}

// Feature is one offload of an interface.
type Feature struct {
	Name      string
	On        bool
	Requested bool // what the user asked for; differs from On where something else overrules it
	Fixed     bool // cannot be changed
}

const (
	stringLen   = 32 // ETH_GSTRING_LEN
	ssFeatures  = 4  // ETH_SS_FEATURES
	maxFeatures = 256
)

// The blocks of ETHTOOL_GFEATURES and ETHTOOL_SFEATURES: a bit per feature.
type (
	getBlock struct{ available, requested, active, neverChanged uint32 }
	setBlock struct{ valid, requested uint32 }
)

// Features returns the named features; names that this kernel does not know
// are left out.
func Features(ifname string, names ...string) ([]Feature, error) {
	bits, err := featureBits(ifname)
	if err != nil {
		return nil, err
	}
	get := struct {
		cmd, size uint32
		blocks    [maxFeatures / 32]getBlock
	}{cmd: unix.ETHTOOL_GFEATURES, size: maxFeatures / 32}
	if err := ethtool(ifname, unsafe.Pointer(&get)); err != nil {
		return nil, fmt.Errorf("interface %s: get features: %w", ifname, err)
	}
	var out []Feature
	for _, name := range names {
		bit := slices.Index(bits, name)
		if bit < 0 {
			continue
		}
		b, mask := get.blocks[bit/32], uint32(1)<<(bit%32)
		out = append(out, Feature{
			Name: name, On: b.active&mask != 0, Requested: b.requested&mask != 0,
			Fixed: b.available&mask == 0 || b.neverChanged&mask != 0,
		})
	}
	return out, nil
}

// SetFeatures switches the named features on or off. It returns an error when
// one of them did not take the value asked for.
func SetFeatures(ifname string, on bool, names ...string) error {
	bits, err := featureBits(ifname)
	if err != nil {
		return err
	}
	set := struct {
		cmd, size uint32
		blocks    [maxFeatures / 32]setBlock
	}{cmd: unix.ETHTOOL_SFEATURES, size: uint32(len(bits)+31) / 32}
	for _, name := range names {
		bit := slices.Index(bits, name)
		if bit < 0 {
			return fmt.Errorf("interface %s: feature %s: %w", ifname, name, unix.EOPNOTSUPP)
		}
		set.blocks[bit/32].valid |= 1 << (bit % 32)
		if on {
			set.blocks[bit/32].requested |= 1 << (bit % 32)
		}
	}
	if err := ethtool(ifname, unsafe.Pointer(&set)); err != nil {
		return fmt.Errorf("interface %s: set features %v: %w", ifname, names, err)
	}
	have, err := Features(ifname, names...)
	if err != nil {
		return err
	}
	for _, f := range have {
		if f.On != on {
			return fmt.Errorf("interface %s: feature %s stays %s: %w", ifname, f.Name, onOff(f.On), unix.EOPNOTSUPP)
		}
	}
	return nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// featureBits returns the names of the kernel's features by bit number: the
// numbers are not ABI, the names are.
func featureBits(ifname string) ([]string, error) {
	info := struct {
		cmd, reserved uint32
		mask          uint64
		count         uint32
		_             uint32
	}{cmd: unix.ETHTOOL_GSSET_INFO, mask: 1 << ssFeatures}
	if err := ethtool(ifname, unsafe.Pointer(&info)); err != nil {
		return nil, fmt.Errorf("interface %s: count features: %w", ifname, err)
	}
	if info.count == 0 || info.count > maxFeatures {
		return nil, fmt.Errorf("interface %s: %d features: %w", ifname, info.count, unix.EOPNOTSUPP)
	}
	str := struct {
		cmd, set, count uint32
		names           [maxFeatures][stringLen]byte
	}{cmd: unix.ETHTOOL_GSTRINGS, set: ssFeatures, count: info.count}
	if err := ethtool(ifname, unsafe.Pointer(&str)); err != nil {
		return nil, fmt.Errorf("interface %s: name features: %w", ifname, err)
	}
	names := make([]string, min(str.count, maxFeatures))
	for i := range names {
		names[i] = unix.ByteSliceToString(str.names[i][:])
	}
	return names, nil
}
