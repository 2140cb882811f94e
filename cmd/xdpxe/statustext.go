package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// statusText writes a Status for people, section by section.
type statusText struct {
	w  *bufio.Writer
	st *control.Status
}

// printStatus shows at most recent outcomes of each kind, and so many transfers.
func printStatus(out io.Writer, st *control.Status, recent, transfers int) error {
	p := &statusText{bufio.NewWriter(out), st}
	p.head()
	p.interfaces()
	p.requests()
	p.kernel()
	p.xdp()
	p.floods()
	p.notes()
	p.diagnoses()
	p.outcomes("CLIENTS WITHOUT ANSWER, newest first", recent, false)
	p.outcomes("CLIENTS ANSWERED, newest first", recent, true)
	p.tftp(transfers)
	p.kept()
	return p.w.Flush()
}

// table aligns the cells of rows; nothing is printed without rows.
func (p *statusText) table(title string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(p.w, "\n%s\n", title)
	tw := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(tw, "  "+strings.TrimRight(strings.Join(r, "\t"), "\t "))
	}
	tw.Flush()
}

func (p *statusText) head() {
	st := p.st
	fmt.Fprintf(p.w, "xdpxe %s, process %d, up %s\n", st.Version, st.PID, duration(st.Uptime()))
	c := &st.Config
	from := c.File
	if from == "" {
		from = "the command line"
	}
	fmt.Fprintf(p.w, "configuration of %s, loaded %s; root %s\n", from, p.ago(c.Loaded), orNone(c.Root))
	if c.ReloadsOK+c.ReloadsFailed > 0 {
		fmt.Fprintf(p.w, "reloads: %d fine, %d failed\n", c.ReloadsOK, c.ReloadsFailed)
	}
	if c.LastError != "" {
		fmt.Fprintf(p.w, "the last reload failed %s, and the configuration before it still holds:\n", p.ago(c.LastErrorAt))
		for line := range strings.Lines(c.LastError) {
			fmt.Fprintf(p.w, "  %s\n", strings.TrimRight(line, "\n"))
		}
	}
}

func (p *statusText) interfaces() {
	rows := [][]string{{"NAME", "STATE", "DATAPATH", "DELIVER", "QUEUES", "HEARTBEAT", "ADDRESSES"}}
	for i := range p.st.Interfaces {
		n := &p.st.Interfaces[i]
		state := n.State
		if n.State == control.StateServing && !n.Alive {
			state = "a worker hangs"
		}
		beat := "-"
		if n.BeatAge >= 0 {
			beat = fmt.Sprintf("%.1fs ago", n.BeatAge)
		}
		rows = append(rows, []string{n.Name, state, datapathText(n), orDash(n.Deliver), fmt.Sprint(n.Queues), beat, networksText(n.Networks)})
	}
	p.table("INTERFACES", rows)
	for i := range p.st.Interfaces {
		n := &p.st.Interfaces[i]
		for _, why := range n.Why {
			fmt.Fprintf(p.w, "  %s: %s\n", n.Name, why)
		}
	}
	rows = [][]string{{"INTERFACE", "RECEIVED", "SENT", "BAD", "STALE", "SEND ERRORS", "DROPPED"}}
	for i := range p.st.Interfaces {
		n := &p.st.Interfaces[i]
		rows = append(rows, append([]string{n.Name}, numbers(n.Wire.Received, n.Wire.Sent, n.Wire.BadFrames, n.Wire.Stale, n.Wire.SendErrors, n.Wire.Dropped)...))
	}
	p.table("PACKETS", rows)
}

func datapathText(n *control.Interface) string {
	if n.Tier == "" {
		return "-"
	}
	s := n.Tier
	if n.Attach != "" && n.Attach != n.Tier {
		s += ", XDP " + n.Attach
	}
	if n.ZeroCopy {
		s += ", zero-copy"
	}
	return s
}

func networksText(list []control.Network) string {
	var texts []string
	for _, n := range list {
		s := n.Prefix
		if n.VLAN != "" {
			s += " (vlan " + n.VLAN + ")"
		}
		texts = append(texts, s)
	}
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, ", ")
}

func (p *statusText) requests() {
	rows := [][]string{{"INTERFACE", "DATAPATH", "STAGE", "RESULT", "COUNT"}}
	for _, r := range p.st.Requests {
		rows = append(rows, []string{r.Iface, r.Tier, r.Stage, r.Reason, fmt.Sprint(r.Count)})
	}
	p.some("REQUESTS", rows)
}

func (p *statusText) xdp() {
	rows := [][]string{{"INTERFACE", "REASON", "PACKETS"}}
	for i := range p.st.Interfaces {
		for _, x := range p.st.Interfaces[i].XDP {
			rows = append(rows, []string{p.st.Interfaces[i].Name, x.Reason, fmt.Sprint(x.Packets)})
		}
	}
	p.some("XDP PROGRAM", rows)
}

func (p *statusText) floods() {
	rows := [][]string{{"INTERFACE", "REASON", "PACKETS", "A SECOND", "FRAMES FROM", "VLAN", "RELAY", "ADDRESS", "CLIENT"}}
	for i := range p.st.Interfaces {
		for _, f := range p.st.Interfaces[i].Floods {
			client := f.Client
			if client == "" && f.Samples > 0 {
				client = fmt.Sprintf("%d in %d samples", f.Clients, f.Samples)
			}
			rows = append(rows, []string{p.st.Interfaces[i].Name, f.Reason, fmt.Sprint(f.Packets), fmt.Sprintf("%.0f", f.Rate),
				orDash(f.MAC), orDash(f.VLAN), orDash(f.Relay), orDash(f.Address), orDash(client)})
		}
	}
	p.some("REFUSED BY THE GUARD", rows)
}

func (p *statusText) notes() {
	rows := [][]string{{"INTERFACE", "NOTE", "REQUESTS"}}
	for _, n := range p.st.Notes {
		rows = append(rows, []string{n.Iface, n.Note, fmt.Sprint(n.Count)})
	}
	p.some("NOTED OF REQUESTS", rows)
}

func (p *statusText) diagnoses() {
	rows := [][]string{{"COUNT", "LAST SEEN", "SERVER", "WHAT"}}
	for _, d := range p.st.Diagnoses {
		what := d.Advice
		if what == "" {
			what = d.Kind
		}
		rows = append(rows, []string{fmt.Sprint(d.Count), p.ago(d.LastSeen), orDash(d.Server), what})
	}
	p.some("TROUBLE SEEN", rows)
}

// outcomes lists the newest answered, or not answered, clients.
func (p *statusText) outcomes(title string, limit int, answered bool) {
	rows := [][]string{{"WHEN", "CLIENT", "STAGE", "ARCH", "INTERFACE", "RESULT"}}
	for i := range p.st.Recent {
		o := &p.st.Recent[i]
		if (o.Reason == packet.Answered.String()) != answered || len(rows) > limit {
			continue
		}
		result := o.Reason
		if answered {
			result = o.File
		}
		if o.Rule != "" {
			result += " (rule " + o.Rule + ")"
		}
		where := o.Iface
		if o.Relay != "" {
			where += " via " + o.Relay
		}
		rows = append(rows, []string{p.ago(o.Time), o.Client, o.Stage, orDash(o.Arch), where, result})
	}
	p.some(title, rows)
}

// some is table, unless there is only the headline.
func (p *statusText) some(title string, rows [][]string) {
	if len(rows) > 1 {
		p.table(title, rows)
	}
}

// ago is a time before the status was made.
func (p *statusText) ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return duration(p.st.Time.Sub(t)) + " ago"
}

// duration rounds to what people care for.
func duration(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

func bytesText(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, units := float64(n)/unit, "KMGTPE"
	for v >= unit && len(units) > 1 {
		v, units = v/unit, units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", v, units[0])
}

func percent(part, whole int64) string {
	if whole <= 0 {
		return "-"
	}
	return fmt.Sprintf("%d%%", 100*part/whole)
}

func numbers(list ...uint64) (texts []string) {
	for _, n := range list {
		texts = append(texts, fmt.Sprint(n))
	}
	return texts
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
