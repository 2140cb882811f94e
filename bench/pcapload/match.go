package pcapload

import (
	"slices"
	"time"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// transaction tells exchanges apart: two clients may choose the same number.
type transaction struct {
	xid uint32
	mac string
}

// match makes the requests and gives them their answers.
func (p *Plan) match(requests, replies []*message) {
	numbers := numbering{machines: map[string]int{}, uuids: map[string]int{}, exchanges: map[transaction]int{}}
	of := map[transaction][]*Request{} // also of those that are not sent, for their answers
	start := requests[0].at
	for _, m := range requests {
		if m.at.Before(start) {
			start = m.at
		}
	}
	when := map[*Request]time.Time{}
	var view dhcp.View
	for _, m := range requests {
		if view.Parse(m.packet.Payload) != packet.Answered || view.Op() != opRequest {
			p.LeftOut["malformed"]++
			continue
		}
		r := &Request{Frame: m.frame, At: m.at.Sub(start)}
		r.Type, _ = view.Type()
		key := transaction{view.XID(), string(view.HardwareAddr())}
		of[key] = append(of[key], r)
		when[r] = m.at
		r.Meta.Dst = m.packet.Dst // for choose, until prepare sets all of it
		if why := p.prepare(r, m, &view); why != "" {
			p.LeftOut[why]++
			continue
		}
		numbers.number(r, key, &view)
		p.Requests = append(p.Requests, r)
	}
	slices.SortStableFunc(p.Requests, func(a, b *Request) int { return int(a.At - b.At) })
	p.machines, p.uuids = len(numbers.machines), len(numbers.uuids)
	p.exchanges = make([][]*Request, len(numbers.exchanges))
	for i, r := range p.Requests {
		r.index = i
		p.exchanges[r.exchange] = append(p.exchanges[r.exchange], r)
	}
	for _, m := range replies {
		if m.server() != p.Captured {
			continue
		}
		same := of[transaction{m.facts.XID, string(m.facts.MAC[:m.facts.MACLen])}]
		sent := func(r *Request) bool { return !when[r].After(m.at) }
		if i := choose(same, sent, m.facts.Type, m.packet.Src.Port()); i >= 0 && view.Parse(m.packet.Payload) == packet.Answered {
			same[i].Want = append(same[i].Want, shapeOf(&m.packet.Meta, &view, p.Captured))
		}
	}
}

// numbering counts machines, UUIDs and transactions as they come.
type numbering struct {
	machines, uuids map[string]int
	exchanges       map[transaction]int
}

func (n *numbering) number(r *Request, key transaction, v *dhcp.View) {
	r.machine = serial(n.machines, key.mac)
	if uuid := v.Option(optUUID); len(uuid) == 1+uuidLen {
		r.uuid = serial(n.uuids, string(uuid[1:]))
	} else {
		r.uuid = serial(n.uuids, key.mac) // chaddr may hold it
	}
	r.exchange = serial(n.exchanges, key)
}

func serial[K comparable](m map[K]int, key K) int {
	n, ok := m[key]
	if !ok {
		n = len(m)
		m[key] = n
	}
	return n
}
