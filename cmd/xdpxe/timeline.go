package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/responder/api"
)

// moment is an Entry in words.
type moment struct {
	time, what, tier, result, file, size, detail string
}

func momentOf(e *api.Entry, now time.Time) moment {
	last := e.Last // what is told again is as of then, and a transfer as of its end
	if last.IsZero() {
		last = e.Time
	}
	m := moment{time: at(now, last), what: string(e.Kind), tier: e.Tier, result: e.Reason, file: e.File}
	var detail []string
	add := func(label, text string) {
		if text != "" {
			detail = append(detail, label+text)
		}
	}
	switch e.Kind {
	case api.KindRequest:
		if m.what = e.Stage; e.IPXE {
			m.what += ", iPXE"
		}
		add("", e.Arch)
	case api.KindTransfer:
		m.result, m.size = e.Outcome, transferText(e)
	case api.KindDeployment:
		m.result = e.Outcome
		if e.Bytes > 0 {
			m.size = partText(e)
		}
	}
	if e.Count > 1 {
		add("", fmt.Sprintf("%d times since %s", e.Count, at(now, e.Time)))
	}
	add("", e.Detail)
	add("rule ", e.Rule)
	add("deployment ", e.Deployment)
	if e.Relay.IsValid() {
		add("via ", e.Relay.String())
	}
	add("on ", e.Iface)
	add("by ", e.Server)
	m.detail = strings.Join(detail, ", ")
	return m
}

// transferText is how much went, and how fast: a transfer lasts from Time to Last.
func transferText(e *api.Entry) string {
	text := partText(e)
	if took := e.Last.Sub(e.Time); e.Count <= 1 && took >= time.Millisecond && e.Bytes > 0 {
		text += fmt.Sprintf(", %s/s", bytesText(uint64(float64(e.Bytes)/took.Seconds())))
	}
	return text
}

// partText is how much of a file went.
func partText(e *api.Entry) string {
	text := bytesText(uint64(max(e.Bytes, 0)))
	if e.Size > e.Bytes {
		text += " of " + bytesText(uint64(e.Size))
	}
	return text
}

// timelineRows is the table of a machine's history.
func timelineRows(list []api.Entry, now time.Time) [][]string {
	rows := [][]string{{"TIME", "WHAT", "DATAPATH", "RESULT", "FILE", "SENT", "DETAIL"}}
	for i := range list {
		m := momentOf(&list[i], now)
		rows = append(rows, []string{m.time, m.what, orDash(m.tier), orDash(m.result), orDash(m.file), orDash(m.size), m.detail})
	}
	return rows
}

// eventLine is an event on a line of its own. The widths are those of most.
func eventLine(e *api.Event, withMachine bool, now time.Time) string {
	m := momentOf(&e.Entry, now)
	who := ""
	if withMachine {
		id := e.Machine
		if id.IsZero() {
			id = e.UUID
		}
		who = fmt.Sprintf("%-17s  ", orDash(id.String()))
	}
	line := fmt.Sprintf("%s  %s%-11s  %-8s  %-16s", m.time, who, m.what, orDash(m.tier), orDash(m.result))
	for _, text := range []string{m.file, m.size, m.detail} {
		if text != "" {
			line += "  " + text
		}
	}
	return clean(strings.TrimRight(line, " "))
}
