package main

import (
	"errors"
	"net/netip"

	"github.com/xdpxe/xdpxe/bench/guard"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
)

// mayUse says whether frames may be sent out of an interface.
func (o *output) mayUse(ifname string) error { return ofGuard(guard.Interface(ifname, o.ownNetwork)) }

// mayAimAt says whether datagrams may be sent to an address.
func (o *output) mayAimAt(addr netip.Addr) error { return ofGuard(guard.Target(addr, o.ownNetwork)) }

// ofGuard makes a refusal the user's mistake; what cannot be told is the machine's.
func ofGuard(err error) error {
	if errors.As(err, new(*guard.Refusal)) {
		return fault.User(err, "")
	}
	return err
}
