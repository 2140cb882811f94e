package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/responder/deploy"
)

// machineState is what an operator has to know of a machine first.
func machineState(m *deploy.MachineStatus) string {
	switch {
	case m.Ignored != nil:
		return "ignored"
	case m.Approved != nil && m.Approved.Profile != "":
		return "approved, " + m.Approved.Profile
	case m.Approved != nil:
		return "approved"
	case m.Held:
		return "held"
	}
	return "-"
}

// machineRows is the table of a list.
func machineRows(list []deploy.MachineStatus, now time.Time) [][]string {
	rows := [][]string{{"MACHINE", "NAME", "STATE", "ARCH", "VIA", "GROUPS", "TRIES", "FIRST SEEN", "LAST SEEN"}}
	for i := range list {
		m := &list[i]
		rows = append(rows, []string{m.ID.String(), orDash(m.Name), machineState(m), orDash(m.Arch), orDash(viaText(&m.Machine)),
			orDash(strings.Join(m.Groups, " ")), fmt.Sprint(m.Tries), ago(now, m.FirstSeen), ago(now, m.LastSeen)})
	}
	return rows
}

// viaText is where a relay says that the machine is plugged in.
func viaText(m *deploy.Machine) string {
	var parts []string
	if m.Relay.IsValid() {
		parts = append(parts, m.Relay.String())
	}
	if m.CircuitID != "" {
		parts = append(parts, m.CircuitID)
	}
	return strings.Join(parts, " ")
}

// machineFacts is what is recorded of a machine.
func machineFacts(m *deploy.MachineStatus, now time.Time) facts {
	var f facts
	f.add("name", m.Name)
	f.add("note", m.Note)
	switch {
	case m.Ignored != nil:
		f.addf("ignored", "%s, since %s", m.Ignored.Pattern, markText(m.Ignored.Mark, now))
	case m.Held:
		f.add("held", "not answered until it is approved: xdpxe machines approve "+m.ID.String())
	}
	if a := m.Approved; a != nil {
		profile := "with what the rule says"
		if a.Profile != "" {
			profile = "with profile " + a.Profile
		}
		f.addf("approved", "%s, since %s", profile, markText(a.Mark, now))
	}
	f.add("groups", strings.Join(m.Groups, ", "))
	if !m.UUID.IsZero() && m.UUID != m.ID {
		f.add("uuid", m.UUID.String())
	}
	if len(m.Shared) > 0 {
		f.addf("uuid also of", "%s: the ports of one machine, or a vendor's mistake; deploy by hardware address", identities(m.Shared))
	}
	f.add("arch", m.Arch)
	f.add("vendor class", m.VendorClass)
	f.add("via", viaText(&m.Machine))
	if m.Tries > 0 {
		f.add("first seen", atAgo(now, m.FirstSeen))
		f.add("last seen", atAgo(now, m.LastSeen))
		f.addf("requests", "about %d", m.Tries)
	}
	return f
}

// identities is a short list of machines.
func identities(ids []deploy.Identity) string {
	var words []string
	for i, id := range ids {
		if i == 4 {
			words = append(words, fmt.Sprintf("%d more", len(ids)-i))
			break
		}
		words = append(words, id.String())
	}
	return strings.Join(words, ", ")
}

// ignoredRows is the ignore list.
func ignoredRows(list []deploy.IgnoredStatus, now time.Time) [][]string {
	rows := [][]string{{"PATTERN", "SINCE", "BY", "REASON"}}
	for i := range list {
		g := &list[i]
		rows = append(rows, []string{g.Pattern.String(), ago(now, g.Time), orDash(g.By), g.Reason})
	}
	return rows
}

// groupRows is the table of groups.
func groupRows(list []deploy.GroupStatus, now time.Time) [][]string {
	rows := [][]string{{"GROUP", "MACHINES", "CREATED", "BY", "NOTE"}}
	for i := range list {
		g := &list[i]
		rows = append(rows, []string{g.Name, fmt.Sprint(g.Machines), ago(now, g.Created), orDash(g.By), g.Note})
	}
	return rows
}
