package main

import (
	"fmt"
	"strings"

	"github.com/xdpxe/xdpxe/responder/control"
)

// kept shows what the daemon knows beyond its configuration.
func (p *statusText) kept() {
	p.store()
	p.deployed()
	p.memory()
	p.fleet()
	rows := [][]string{{"WEBHOOK", "ANSWERS", "FAILURES", "BUSY", "WAITING", "KEPT", "LAST ERROR"}}
	for _, h := range p.st.Webhooks {
		row := append([]string{h.Name}, numbers(h.Answers, h.Failures, h.Busy, uint64(h.Waiting), uint64(h.Kept))...)
		rows = append(rows, append(row, orDash(h.Error)))
	}
	p.some("WEBHOOKS", rows)
}

func (p *statusText) store() {
	s := p.st.Store
	if s == nil {
		return
	}
	state := "answers"
	switch {
	case !s.Loaded:
		state = "NOT READ YET, so rules with deployments answer nobody"
	case !s.Available:
		state = "DOES NOT ANSWER, so deployments for once are held back and changes refused"
	}
	fmt.Fprintf(p.w, "\nSTORE %s %s: %s, since %s\n", s.Kind, s.Where, state, p.ago(s.Since))
	if s.Error != "" {
		fmt.Fprintf(p.w, "  %s\n", s.Error)
	}
	for _, problem := range s.Problems {
		fmt.Fprintf(p.w, "  cannot be read: %s\n", problem)
	}
}

func (p *statusText) deployed() {
	d := p.st.Deployments
	if d == nil {
		return
	}
	states := []string{"none"}
	if len(d.States) > 0 {
		states = nil
	}
	for _, n := range d.States {
		states = append(states, fmt.Sprintf("%d %s", n.Count, n.State))
	}
	fmt.Fprintf(p.w, "  deployments: %s\n", strings.Join(states, ", "))
	fmt.Fprintf(p.w, "  %s recorded, %d held for approval; %s; ignored: %s\n",
		count(d.Machines, "machine"), d.Held, count(d.Groups, "group"), count(d.Ignored, "pattern"))
	for _, u := range d.Duplicates {
		fmt.Fprintf(p.w, "  UUID %s is shown by %s: deploy to them by hardware address\n", u.UUID, strings.Join(u.Machines, ", "))
	}
	if d.EventsLost+d.SeenLost > 0 {
		fmt.Fprintf(p.w, "  too many at once: %d events of deployments not written, %d machines not recorded\n", d.EventsLost, d.SeenLost)
	}
}

func (p *statusText) memory() {
	m := p.st.Memory
	if m == nil {
		return
	}
	fmt.Fprintf(p.w, "\nREMEMBERED: %s with a timeline, %d with an address\n", count(m.Timelines, "machine"), m.Addresses)
	if m.Contested > 0 {
		fmt.Fprintf(p.w, "  %d claims of an address that another machine had claimed just before: nobody had it then\n", m.Contested)
	}
	if m.Pushed+m.Forgotten+m.EventsDropped > 0 {
		fmt.Fprintf(p.w, "  no room: %d addresses and %d timelines forgotten, %d events not told to who follows them\n", m.Pushed, m.Forgotten, m.EventsDropped)
	}
}

func (p *statusText) fleet() {
	f := p.st.Fleet
	if f == nil {
		return
	}
	as := "a member"
	if !f.Member {
		as = "NO MEMBER: others do not know of it"
	}
	fmt.Fprintf(p.w, "\nFLEET: %s is %s\n", f.Name, as)
	if f.Error != "" {
		fmt.Fprintf(p.w, "  %s\n", f.Error)
	}
	rows := [][]string{{"MEMBER", "STATE", "SINCE", "ADDRESSES", "VERSION"}}
	for _, m := range f.Members {
		rows = append(rows, []string{memberName(f, &m), memberState(&m), p.ago(m.Since), orDash(strings.Join(m.Addresses, ", ")), orDash(m.Version)})
	}
	p.some("MEMBERS", rows)
}

func memberName(f *control.Fleet, m *control.Member) string {
	if m.Name == f.Name {
		return m.Name + " (this one)"
	}
	return m.Name
}

func memberState(m *control.Member) string {
	if m.Draining {
		return "draining"
	}
	return "active"
}
