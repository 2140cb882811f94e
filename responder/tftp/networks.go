package tftp

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Network bounds what the clients of one network are granted: they may be
// behind a tunnel, a slow line or a switch with small buffers.
type Network struct {
	Prefix     netip.Prefix
	MaxBlksize int // bytes; 0: as everywhere
	MaxWindow  int // blocks; 0: as everywhere
}

// checkNetworks returns what is wrong with networks.
func checkNetworks(networks []Network) error {
	var errs []error
	seen := map[netip.Prefix]bool{}
	for _, n := range networks {
		switch p := n.Prefix.Masked(); {
		case !p.IsValid():
			errs = append(errs, errors.New("tftp: a network without a prefix"))
		case seen[p]:
			errs = append(errs, fmt.Errorf("tftp: network %v twice", p))
		case n.MaxBlksize != 0 && (n.MaxBlksize < minBlksize || n.MaxBlksize > maxBlksize):
			errs = append(errs, fmt.Errorf("tftp: network %v: maximal blksize %d is not between %d and %d", p, n.MaxBlksize, minBlksize, maxBlksize))
		case n.MaxWindow < 0 || n.MaxWindow > maxWindow:
			errs = append(errs, fmt.Errorf("tftp: network %v: maximal windowsize %d is not between 1 and %d", p, n.MaxWindow, maxWindow))
		default:
			seen[p] = true
		}
	}
	return errors.Join(errs...)
}

// SetNetworks replaces Config.Networks for requests from now on.
func (s *Server) SetNetworks(networks []Network) error {
	if err := checkNetworks(networks); err != nil {
		return err
	}
	sorted := slices.Clone(networks)
	for i := range sorted {
		sorted[i].Prefix = sorted[i].Prefix.Masked()
	}
	slices.SortStableFunc(sorted, func(a, b Network) int { return cmp.Compare(b.Prefix.Bits(), a.Prefix.Bits()) })
	s.nets.Store(&sorted)
	return nil
}

// limits returns what a client may be granted whose requests come in on an
// interface with such an MTU. Of the networks that contain it, the smallest counts.
func (s *Server) limits(client netip.Addr, mtu int) limits {
	l := limits{blksize: s.cfg.MaxBlksize, window: s.cfg.MaxWindow}
	if l.blksize == 0 {
		l.blksize = frameBlksize(mtu, client.Is6())
	}
	for _, n := range *s.nets.Load() {
		if !n.Prefix.Contains(client) {
			continue
		}
		if n.MaxBlksize != 0 {
			l.blksize = min(l.blksize, n.MaxBlksize)
		}
		if n.MaxWindow != 0 {
			l.window = min(l.window, n.MaxWindow)
		}
		break
	}
	return l
}
