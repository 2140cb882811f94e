package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/gun"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// liveSender is the sender that is no port.
const liveSender = "live"

// Lengths of a run and of a trial of --find-max.
const (
	runLength   = 10 * time.Second
	trialLength = time.Second
)

// most is the highest rate that is allowed.
func (o *dhcpFlags) most() float64 {
	if o.maxRate == 0 {
		return math.Inf(1)
	}
	return o.maxRate
}

// schedule reads when requests are sent, within the bounds.
func (o *dhcpFlags) schedule() (s gun.Schedule, err error) {
	if o.length == 0 {
		o.length = runLength
		if o.findMax {
			o.length = trialLength
		}
	}
	modes := 0
	for _, on := range []bool{o.ramp != "", o.saturate, o.findMax} {
		if on {
			modes++
		}
	}
	switch {
	case o.iface == "":
		return s, errors.New("--interface is needed")
	case modes > 1:
		return s, errors.New("--ramp, --saturate and --find-max exclude each other")
	case o.sender == liveSender && o.ramp != "":
		return s, errors.New("--sender live keeps one rate: no --ramp")
	case o.sender == liveSender && o.saturate && o.maxRate != 0:
		return s, errors.New("--sender live is as fast as the machine: --saturate needs --max-rate 0")
	case o.sender == liveSender && !o.saturate && o.queues > 1:
		return s, errors.New("--sender live keeps a rate from one CPU: --queues is for --saturate")
	case o.bounced && o.sender != liveSender:
		return s, errors.New("--bounced goes with --sender live")
	case o.serverPID != 0 && o.findMax:
		return s, errors.New("--server-pid is for one rate, not for --find-max")
	case o.length < 0 || o.length > o.maxLength:
		return s, fmt.Errorf("--for %v: at most %v unless --max-for says more", o.length, o.maxLength)
	case o.queues < 0 || o.queues > 64:
		return s, fmt.Errorf("--queues %d: want at most 64", o.queues)
	}
	s = gun.Fixed(o.rate, o.length)
	if o.ramp != "" {
		from, to, ok := strings.Cut(o.ramp, ":")
		s.From, err = strconv.ParseFloat(from, 64)
		if err == nil {
			s.To, err = strconv.ParseFloat(to, 64)
		}
		if !ok || err != nil {
			return s, fmt.Errorf("--ramp %q: want FROM:TO, requests a second", o.ramp)
		}
	}
	if o.saturate {
		s = gun.Fixed(o.maxRate, o.length)
		s.Saturate = o.maxRate == 0
	}
	if !s.Saturate && !(s.From >= 0 && s.To >= 0 && s.From+s.To > 0 && s.Peak() <= o.most()) {
		return s, fmt.Errorf("rate of %g to %g a second: want more than 0 and at most %g unless --max-rate says more", s.From, s.To, o.most())
	}
	return s, nil
}

// kind reads how frames are sent.
func (o *dhcpFlags) kind() (port.Kind, error) {
	switch {
	case o.sender == liveSender:
		return 0, nil
	case o.sender == "" && o.vlan != 0:
		return port.Packet, nil
	case o.sender == "":
		return port.XDP, nil
	}
	return port.ParseKind(o.sender)
}

// load reads who asks whom for what.
func (o *dhcpFlags) load() (l gun.Load, err error) {
	l = gun.Load{First: dhcpc.Identity(o.first), Machines: o.machines, Lease: o.lease, VLAN: o.vlan, Late: o.late, Bounced: o.bounced}
	if l.What, err = gun.ParseWhat(o.what); err != nil {
		return l, fmt.Errorf("--%w", err)
	}
	if l.Archs, err = parseShares(o.archs); err != nil {
		return l, fmt.Errorf("--arch: %w", err)
	}
	server, mac, hasMAC := strings.Cut(o.server, ",")
	if hasMAC {
		hw, err := net.ParseMAC(mac)
		if err != nil || len(hw) != 6 {
			return l, fmt.Errorf("--server: %q is no MAC address", mac)
		}
		l.ServerMAC = [6]byte(hw)
	}
	for _, a := range []struct {
		flag, value string
		to          *netip.Addr
	}{{"--server", server, &l.Server}, {"--relay", o.relay, &l.Relay}} {
		if a.value == "" {
			continue
		}
		if *a.to, err = netip.ParseAddr(a.value); err != nil {
			return l, fmt.Errorf("%s: %w", a.flag, err)
		}
	}
	if o.clients != "" {
		if l.Clients, err = netip.ParsePrefix(o.clients); err != nil {
			return l, fmt.Errorf("--client-net: %w", err)
		}
	}
	if o.circuitID != "" || o.remoteID != "" {
		if !l.Relay.IsValid() {
			return l, errors.New("--circuit-id and --remote-id are a relay agent's: --relay is needed")
		}
		if l.RelayInfo, err = dhcpc.RelayInfo(o.circuitID, o.remoteID); err != nil {
			return l, err
		}
	}
	return l, l.Check()
}

// parseShares reads "x64-uefi=3".
func parseShares(texts []string) (shares []gun.Share, err error) {
	for _, text := range texts {
		name, weight, weighted := strings.Cut(text, "=")
		arch, err := policy.ParseArch(name)
		if err != nil {
			return nil, err
		}
		s := gun.Share{Arch: uint16(arch), Weight: 1}
		if weighted {
			if s.Weight, err = strconv.Atoi(weight); err != nil {
				return nil, fmt.Errorf("%q: weight %q is no number", text, weight)
			}
		}
		shares = append(shares, s)
	}
	return shares, nil
}

// settings says what was asked for.
func (o *dhcpFlags) settings(l gun.Load) []result.Setting {
	set := []result.Setting{{Name: "interface", Value: o.iface}, {Name: "what", Value: o.what}, {Name: "for", Value: o.length.String()},
		{Name: "machines", Value: strconv.Itoa(o.machines)}, {Name: "architectures", Value: strings.Join(o.archs, ",")}, {Name: "late", Value: o.late.String()}}
	for _, s := range []struct {
		name, value string
		given       bool
	}{
		{"rate", strconv.FormatFloat(o.rate, 'g', -1, 64), o.ramp == "" && !o.saturate && !o.findMax},
		{"ramp", o.ramp, o.ramp != ""}, {"saturate", "up to " + strconv.FormatFloat(o.most(), 'g', -1, 64), o.saturate},
		{"find-max", "up to " + strconv.FormatFloat(o.most(), 'g', -1, 64), o.findMax},
		{"sender", o.sender, o.sender != ""}, {"queues", strconv.Itoa(o.queues), o.queues != 0}, {"server", o.server, o.server != ""}, {"relay", o.relay, o.relay != ""},
		{"circuit-id", o.circuitID, o.circuitID != ""}, {"remote-id", o.remoteID, o.remoteID != ""},
		{"clients", l.Clients.String(), l.Clients.IsValid()}, {"vlan", strconv.Itoa(int(o.vlan)), o.vlan != 0},
		{"answer", "the request itself", o.bounced},
	} {
		if s.given {
			set = append(set, result.Setting{Name: s.name, Value: s.value})
		}
	}
	return set
}
