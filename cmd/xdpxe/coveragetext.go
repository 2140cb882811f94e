package main

import (
	"fmt"
	"strings"
)

// rulesShown bounds the rules without any request in the text of a status.
const rulesShown = 20

// kernel says what the XDP programs answer by themselves, and what not.
func (p *statusText) kernel() {
	rows := [][]string{{"INTERFACE", "STATE", "KINDS", "MACHINES", "EVENTS DROPPED"}}
	for i := range p.st.Interfaces {
		n := &p.st.Interfaces[i]
		k := n.Kernel
		if k == nil {
			continue
		}
		state := "answers"
		if !k.Active {
			state = "off"
		}
		if len(k.Why) > 0 {
			state += " (" + strings.Join(k.Why, "; ") + ")"
		}
		rows = append(rows, []string{n.Name, state, fmt.Sprintf("%d of %d", k.Patterns, k.MaxPatterns), fmt.Sprintf("%d of %d", k.Machines, k.MaxMachines), fmt.Sprint(k.EventsDropped)})
	}
	if len(rows) == 1 {
		return
	}
	p.table("ANSWERED IN THE KERNEL", rows)

	rows = [][]string{{"RULE", "PROFILE", "INTERFACE", "STAGE", "RESULT", "IN THE KERNEL"}}
	idle, more := 0, p.st.CoverageMore
	for i := range p.st.Coverage {
		c := &p.st.Coverage[i]
		rule, profile := c.Rule, c.Profile
		if rule == "" {
			rule = "(default)"
		}
		if profile == "" {
			profile = "ignore"
		}
		if c.Stage == "" {
			if idle++; idle > rulesShown {
				more++
				continue
			}
		}
		rows = append(rows, []string{rule, profile, orDash(c.Iface), orDash(c.Stage), orDash(c.Result), coverageText(c.Answers, c.Patterns, c.Machines, c.Why)})
	}
	p.table("RULES IN THE KERNEL", rows)
	if more > 0 {
		fmt.Fprintf(p.w, "  and %d more without a request so far\n", more)
	}
}

// coverageText is "yes: 3 kinds", "in part: 2 machines; no: …" or "no: …".
func coverageText(answers bool, patterns, machines int, why []string) string {
	var what []string
	if patterns > 0 {
		what = append(what, count(patterns, "kind"))
	}
	if machines > 0 {
		what = append(what, count(machines, "machine"))
	}
	held := strings.Join(what, ", ")
	not := strings.Join(why, "; ")
	switch {
	case !answers:
		return "no: " + not
	case not == "":
		return "yes: " + held
	}
	return "in part: " + held + "; else: " + not
}
