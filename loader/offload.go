package loader

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/xdpxe/xdpxe/loader/netdev"
)

// offloads are the VLAN receive offloads of an interface that are off because
// of us: a tag that the NIC takes out of the frame is invisible to XDP. They
// are on record in a file before they are turned off.
type offloads struct {
	path string // empty: not kept

	IfIndex int      `json:"ifindex"`
	MAC     [6]byte  `json:"mac"`
	Off     []string `json:"off"` // features that were on
}

// offloadPath names the record by network namespace and interface number:
// /run is shared by namespaces, and names of interfaces repeat in them.
func offloadPath(runDir string, ifindex int) string {
	if runDir == "" {
		return ""
	}
	ns, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return ""
	}
	ns = strings.Trim(strings.TrimPrefix(ns, "net:"), "[]")
	return filepath.Join(runDir, fmt.Sprintf("offload-%s-%d.json", ns, ifindex))
}

// loadOffloads returns what an earlier run left off on this interface. A
// record that is not about it (the number was used again) counts for nothing.
func loadOffloads(runDir string, f *netdev.Facts) *offloads {
	o := &offloads{path: offloadPath(runDir, f.Index), IfIndex: f.Index, MAC: f.MAC}
	b, err := os.ReadFile(o.path)
	if err != nil {
		return o
	}
	var old offloads
	if json.Unmarshal(b, &old) == nil && old.IfIndex == f.Index && old.MAC == f.MAC {
		for _, name := range old.Off {
			if slices.Contains(netdev.VLANOffloads, name) {
				o.Off = append(o.Off, name)
			}
		}
	}
	return o
}

// disable turns the offloads off that are on. Where the interface does not let
// go of one, the error names it; those that could be turned off are off.
func (o *offloads) disable(iface string) error {
	features, err := netdev.Features(iface, netdev.VLANOffloads...)
	if err != nil {
		return err
	}
	var on, fixed []string
	for _, f := range features {
		switch {
		case f.On && f.Fixed:
			fixed = append(fixed, f.Name)
		case f.On:
			on = append(on, f.Name)
		}
	}
	for _, name := range on {
		if !slices.Contains(o.Off, name) {
			o.Off = append(o.Off, name)
		}
	}
	if len(on) > 0 {
		if err := o.save(); err != nil {
			return err
		}
		if err := netdev.SetFeatures(iface, false, on...); err != nil {
			return err
		}
	}
	if len(fixed) > 0 {
		return fmt.Errorf("driver keeps %s on", strings.Join(fixed, ", "))
	}
	return nil
}

// restore turns on again what is on record, and drops the record. It returns
// what it turned on. An interface that is gone has nothing to restore.
func (o *offloads) restore(iface string) ([]string, error) {
	restored := o.Off
	if len(o.Off) > 0 {
		// It may have been renamed, or another one have its name now.
		l, err := netlink.LinkByIndex(o.IfIndex)
		switch {
		case errors.As(err, new(netlink.LinkNotFoundError)):
			restored = nil
		case err != nil:
			return nil, fmt.Errorf("interface %s: restore VLAN offloads: %w", iface, err)
		default:
			if err := netdev.SetFeatures(l.Attrs().Name, true, o.Off...); err != nil {
				return nil, fmt.Errorf("restore VLAN offloads: %w", err)
			}
		}
	}
	o.Off = nil
	if o.path != "" {
		if err := os.Remove(o.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return restored, fmt.Errorf("record of VLAN offloads: %w", err)
		}
	}
	return restored, nil
}

// save writes the record, whole or not at all.
func (o *offloads) save() error {
	if o.path == "" {
		return nil
	}
	b, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("record of VLAN offloads: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(o.path), 0o755); err != nil {
		return fmt.Errorf("record of VLAN offloads: %w", err)
	}
	temp := o.path + ".new"
	if err := os.WriteFile(temp, b, 0o600); err != nil {
		return fmt.Errorf("record of VLAN offloads: %w", err)
	}
	if err := os.Rename(temp, o.path); err != nil {
		return fmt.Errorf("record of VLAN offloads: %w", err)
	}
	return nil
}
