package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/responder/control"
)

// kinds are those of control.TFTPOutcome, in the words of people.
var kinds = []struct{ kind, words string }{
	{"finished", "finished"}, {"failed", "failed"}, {"refused", "refused"}, {"silent", "not answered"},
}

// tftp shows the file server, and at most so many transfers, those that have run longest first.
func (p *statusText) tftp(most int) {
	t := &p.st.TFTP
	if len(t.Listen) == 0 && t.Requests == 0 {
		return
	}
	fmt.Fprintf(p.w, "\nTFTP on %s\n", orNone(strings.Join(t.Listen, ", ")))
	fmt.Fprintf(p.w, "  %d requests, %d transfers under way, %s sent, %d packets sent again, %d refused by the kernel, %d dropped\n",
		t.Requests, t.Active, bytesText(t.BytesSent), t.Retransmissions, t.SendErrors, t.Dropped)
	if t.Queued > 0 || t.Waited > 0 || t.Capped > 0 {
		fmt.Fprintf(p.w, "  limits: %d requests wait for a place now, %d had to, %d messages held back by a bandwidth bound\n", t.Queued, t.Waited, t.Capped)
	}
	if t.Uploads > 0 || t.BytesReceived > 0 {
		fmt.Fprintf(p.w, "  uploads: %d files, %s\n", t.Uploads, bytesText(t.BytesReceived))
	}
	if t.DiskReads > 0 {
		fmt.Fprintf(p.w, "  disk: %d pieces of files read ahead, %d waits of transfers, %d of event loops\n", t.DiskReads, t.DiskWaits, t.LoopFaults)
	}
	if t.Hung > 0 {
		fmt.Fprintf(p.w, "  HANGS: %s; is the disk of the boot files well?\n", count(t.Hung, "event loop"))
	}
	for _, k := range kinds {
		p.ends(k.kind, k.words)
	}
	rows := [][]string{{"CLIENT", "FILE", "DONE", "OF", "RATE", "BLOCK", "WINDOW", "RTT", "AGAIN", "SINCE"}}
	for i := range t.Transfers {
		if i == most {
			rows = append(rows, []string{fmt.Sprintf("and %d more", len(t.Transfers)-i)})
			break
		}
		rows = append(rows, p.transfer(&t.Transfers[i]))
	}
	p.some("TRANSFERS, longest first", rows)
}

// ends lists how many requests ended in each way of a kind.
func (p *statusText) ends(kind, words string) {
	var sum uint64
	var ends []string
	for _, o := range p.st.TFTP.Outcomes {
		if o.Kind != kind {
			continue
		}
		sum += o.Count
		end := fmt.Sprintf("%d %s", o.Count, o.Outcome)
		if n := p.st.TFTP.Unconfirmed; o.Outcome == "complete" && n > 0 {
			end += fmt.Sprintf(" (%d unconfirmed)", n)
		}
		ends = append(ends, end)
	}
	if len(ends) > 0 {
		fmt.Fprintf(p.w, "  %s: %d; %s\n", words, sum, strings.Join(ends, ", "))
	}
}

func (p *statusText) transfer(x *control.TFTPTransfer) []string {
	file, rtt := orDash(x.File), "-"
	if x.Upload {
		file += " (upload)"
	}
	if x.RTT > 0 {
		rtt = time.Duration(x.RTT * float64(time.Second)).Round(time.Microsecond).String()
	}
	return []string{x.Client, file, percent(x.Acked, x.Size), bytesText(uint64(max(x.Size, 0))), bytesText(uint64(max(x.Rate, 0))) + "/s",
		fmt.Sprint(x.BlockSize), fmt.Sprint(x.WindowSize), rtt, fmt.Sprint(x.Again), p.ago(x.Started)}
}
