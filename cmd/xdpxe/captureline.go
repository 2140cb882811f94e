package main

import (
	"strconv"
	"strings"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// liner makes one line of a frame.
type liner struct{ view dhcp.View }

// line says who sent what to whom. Requests come in, replies go out: the
// daemon shows nothing else.
func (l *liner) line(frame []byte) string {
	var p packet.Packet
	if packet.Parse(frame, &p) != packet.Answered {
		return "not IPv4/UDP, " + count(len(frame), "byte")
	}
	route := p.Src.String() + " > " + p.Dst.String()
	for _, id := range vids(&p.Meta) {
		route = "vlan " + strconv.Itoa(int(id)) + "  " + route
	}
	v := &l.view
	if v.Parse(p.Payload) != packet.Answered {
		return route + "  no DHCP message, " + count(len(p.Payload), "byte")
	}
	kind, ok := v.Type()
	words := []string{"in ", "BOOTP"}
	if ok {
		words[1] = kind.String()
	}
	reply := v.Op() == 2
	if reply {
		words[0] = "out"
	}
	words = append(words, hardwareText(v.HardwareAddr()), "xid "+xidText(v.XID()), route)
	if a := v.Relay(); !a.IsUnspecified() {
		words = append(words, "relay "+a.String())
	}
	if reply {
		words = append(words, "next server "+v.NextServer().String())
		if f := v.File(); len(f) > 0 {
			words = append(words, "file "+strconv.Quote(string(f)))
		}
		return strings.Join(words, "  ")
	}
	var arches [policy.MaxArches]policy.Arch
	for _, a := range arches[:v.Arches(&arches)] {
		words = append(words, a.String())
	}
	if class := v.Option(60); class != nil {
		words = append(words, strconv.Quote(string(class)))
	}
	if _, ipxe := v.UserClass(); ipxe {
		words = append(words, "iPXE")
	}
	return strings.Join(words, "  ")
}
