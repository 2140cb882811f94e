package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/deploy"
)

// named is a machine with what operators call it.
func named(id deploy.Identity, name string) string {
	if name == "" {
		return id.String()
	}
	return id.String() + " (" + name + ")"
}

// forText is whom a deployment is for.
func forText(st *deploy.Status) string {
	if st.Target.Group != "" {
		return st.Target.String()
	}
	return named(st.Target.Machine(), st.Name)
}

// nextText says what comes of a deployment that was just created.
func nextText(d *api.NewDeployment, now time.Time) string {
	who := d.Target.String()
	if d.Target.Group != "" {
		who = "each machine of " + who
	}
	text := who + " boots " + d.Profile + " at its next network boot"
	if !d.Once {
		text = who + " boots " + d.Profile + " whenever it boots from the network, until this is cancelled"
	}
	if d.NotBefore.After(now) {
		text += ", from " + at(now, d.NotBefore) + " on"
	}
	if !d.NotAfter.IsZero() {
		text += ", before " + at(now, d.NotAfter)
	}
	if d.Once {
		text += "; used up when " + milestoneText(d.Milestone)
	}
	return text
}

// milestoneText says what a milestone waits for.
func milestoneText(m deploy.Milestone) string {
	switch m.On {
	case deploy.OnFile:
		return strings.TrimLeft(m.File, "/") + " is fetched"
	case deploy.OnCallback:
		return "the installer calls back"
	}
	return "its boot program is fetched"
}

func useText(d *deploy.Deployment) string {
	if d.Once {
		return "once"
	}
	return "standing"
}

// attention is the order in which states are of interest.
var attention = []deploy.State{deploy.Failed, deploy.Loading, deploy.Booted, deploy.Offered, deploy.Waiting, deploy.Done, deploy.Expired, deploy.Cancelled}

// stateText is how far a deployment is: of a group how many machines are how far.
func stateText(st *deploy.Status) string {
	if st.Target.Group == "" {
		return runText(&st.Run)
	}
	var parts []string
	for _, state := range attention {
		if n := st.Machines[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if len(parts) == 0 {
		return string(st.Run.State) + " (the group is empty)"
	}
	return strings.Join(parts, ", ")
}

// runText is a run's state with its progress.
func runText(r *deploy.Run) string {
	if r.State != deploy.Loading {
		return string(r.State)
	}
	text := "loading " + r.File
	if r.Size > 0 {
		text += " " + percent(r.Sent, r.Size)
	} else if r.Sent > 0 {
		text += " " + bytesText(uint64(r.Sent))
	}
	return text
}

// deploymentRows is the table of a list.
func deploymentRows(list []deploy.Status, now time.Time) [][]string {
	rows := [][]string{{"ID", "FOR", "PROFILE", "USE", "STATE", "SINCE", "REASON"}}
	for i := range list {
		st := &list[i]
		since, reason := ago(now, st.Run.Since), st.Run.Reason
		switch {
		case st.Target.Group != "" && len(st.Machines) > 1:
			since, reason = "-", ""
		case st.Run.State == deploy.Waiting && st.NotBefore.After(now):
			reason = orOther(reason, "its window opens "+ago(now, st.NotBefore))
		}
		rows = append(rows, []string{st.ID, forText(st), st.Profile, useText(&st.Deployment), stateText(st), since, reason})
	}
	return rows
}

func orOther(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// deploymentFacts is all that is known of a deployment.
func deploymentFacts(st *deploy.Status, now time.Time) facts {
	var f facts
	f.add("for", forText(st))
	f.add("profile", st.Profile)
	use := useText(&st.Deployment)
	if st.Once {
		use += ", used up when " + milestoneText(st.Milestone)
	}
	f.add("use", use)
	f.add("window", windowText(st, now))
	for _, name := range slices.Sorted(maps.Keys(st.Variables)) {
		f.addf("variable", "%s = %s", name, st.Variables[name])
	}
	f.add("note", st.Note)
	f.add("created", markText(deploy.Mark{Time: st.Created, By: st.By}, now))
	if c := st.Cancelled; c != nil {
		f.add("cancelled", markText(*c, now))
	}
	f.add("state", stateText(st))
	if st.Target.Group == "" {
		f = append(f, runFacts(st, now)...)
	}
	return f
}

// runFacts is what is known of the one machine's run, beside its state.
func runFacts(st *deploy.Status, now time.Time) facts {
	var f facts
	r := &st.Run
	if r.State != deploy.Cancelled {
		f.add("since", atAgo(now, r.Since))
		f.add("reason", r.Reason)
	}
	if r.File != "" {
		f.addf("file", "%s, %s of %s", r.File, bytesText(uint64(max(r.Sent, 0))), sizeText(r.Size))
	}
	if !r.Booted.IsZero() {
		f.add("booted", atAgo(now, r.Booted))
	}
	if !r.Consumed.IsZero() {
		f.add("used up", atAgo(now, r.Consumed))
	}
	if r.Address != st.Target.Machine() {
		f.add("asked by", r.Address.String())
	}
	f.add("server", r.Server)
	if r.Attempt > 0 {
		f.add("attempt", fmt.Sprint(r.Attempt+1))
	}
	return f
}

func sizeText(n int64) string {
	if n <= 0 {
		return "a size not known"
	}
	return bytesText(uint64(n))
}

func windowText(st *deploy.Status, now time.Time) string {
	var parts []string
	if !st.NotBefore.IsZero() {
		parts = append(parts, "from "+atAgo(now, st.NotBefore))
	}
	if !st.NotAfter.IsZero() {
		parts = append(parts, "until "+atAgo(now, st.NotAfter))
	}
	return strings.Join(parts, "; ")
}

// markText is what an operator did, when and why.
func markText(m deploy.Mark, now time.Time) string {
	text := atAgo(now, m.Time)
	if m.By != "" {
		text += ", by " + m.By
	}
	if m.Reason != "" {
		text += ": " + m.Reason
	}
	return text
}

// groupRunRows is the table of a group's machines.
func groupRunRows(runs []deploy.GroupRun, now time.Time) [][]string {
	rows := [][]string{{"MACHINE", "STATE", "SINCE", "SERVER", "REASON"}}
	for i := range runs {
		r := &runs[i].Run
		rows = append(rows, []string{named(runs[i].Machine, runs[i].Name), runText(r), ago(now, r.Since), orDash(r.Server), r.Reason})
	}
	return rows
}
