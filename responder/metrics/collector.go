// Package metrics shows the daemon's state to Prometheus.
//
// Metrics are made from one control.Status at each scrape, so that nothing is
// counted twice and no hot path knows of Prometheus. Every label has a bounded
// set of values: interfaces, tiers, stages, reasons, outcomes. Clients are no
// labels; `xdpxe status` and the log have them.
package metrics

import (
	"runtime"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/xdpxe/xdpxe/responder/control"
)

// Source gives the daemon's state, complete with what the control server
// counts, which is why that is one and the daemon itself is not. Status is
// called at each scrape and must not wait for a worker.
type Source interface {
	Status() control.Status
}

// collector makes metrics from snapshots; it keeps no state.
type collector struct{ source Source }

// NewCollector returns a collector of all xdpxe_ metrics.
func NewCollector(source Source) prometheus.Collector { return collector{source} }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("xdpxe_"+name, help, labels, nil)
}

var (
	buildInfo = desc("build_info", "Version of the running daemon; always 1.", "version", "goversion")

	requests = desc("requests_total", "Requests by what became of them: answered, or the reason for silence.", "iface", "tier", "stage", "reason")
	outcomes = desc("outcomes_lost_total", "Outcomes of requests that were neither logged nor remembered, because there were too many at once.")
	notes    = desc("request_notes_total", "Requests with something noted of them that did not decide their fate, by note.", "iface", "note")
	diagnose = desc("diagnoses_total", "Sightings of something that keeps machines from booting, by kind.", "kind")

	datapath     = desc("datapath_info", "How requests reach the daemon on an interface; always 1.", "iface", "tier", "attach", "deliver", "zero_copy")
	serving      = desc("interface_serving", "Whether requests on the interface are being answered.", "iface")
	queues       = desc("interface_queues", "Receive queues served on the interface.", "iface")
	beatAge      = desc("heartbeat_age_seconds", "Age of the heartbeat that the XDP program reads; past the limit it passes everything.", "iface")
	xdpPackets   = desc("xdp_packets_total", "Packets by the reason for which they left the XDP program.", "iface", "reason")
	templates    = desc("kernel_templates", "Reply templates that the XDP program answers from, by what they hold for: a class of requests or one machine.", "iface", "kind")
	unpublished  = desc("kernel_unpublished_requests_total", "Answered requests that the XDP program was not told to answer alike, by why.", "iface", "why")
	untold       = desc("kernel_events_dropped_total", "Answers of the XDP program that are counted, but of which nothing else is known.", "iface")
	received     = desc("received_packets_total", "Packets that reached the daemon.", "iface")
	sent         = desc("sent_packets_total", "Answers handed to the kernel.", "iface")
	badFrames    = desc("bad_frames_total", "Received packets that could not be parsed.", "iface")
	stale        = desc("stale_packets_total", "Ring buffer records older than their client's patience.", "iface")
	sendErrors   = desc("send_errors_total", "Answers that the kernel refused.", "iface")
	dropped      = desc("dropped_packets_total", "Packets that the kernel dropped before the daemon: ring full, no free frame, socket buffer full.", "iface")
	captureDrops = desc("capture_dropped_frames_total", "Frames that captures could not keep up with.")

	reloads    = desc("config_reloads_total", "Configuration reloads by result.", "result")
	reloadGood = desc("config_last_reload_successful", "Whether the newest reload of the configuration succeeded.")
	loaded     = desc("config_last_success_timestamp_seconds", "When the configuration in force was loaded.")

	tftpRequests = desc("tftp_requests_total", "TFTP read requests.")
	tftpEnded    = desc("tftp_transfers_total", "TFTP transfers by how they ended.", "outcome")
	tftpActive   = desc("tftp_transfers_active", "TFTP transfers under way.")
	tftpTaken    = desc("tftp_taken_over_transfers_total", "TFTP transfers of the last process by what became of them at the start of this one.", "result")
	tftpQueued   = desc("tftp_requests_queued", "TFTP requests that wait for a place.")
	tftpWaited   = desc("tftp_requests_waited_total", "TFTP requests that had to wait for a place.")
	tftpRepeated = desc("tftp_requests_repeated_total", "TFTP requests that repeated one in progress.")
	tftpTimeouts = desc("tftp_timeouts_total", "TFTP retransmission timers that ran out.")
	tftpCapped   = desc("tftp_capped_messages_total", "TFTP messages held back by a bandwidth bound.")
	tftpReads    = desc("tftp_disk_reads_total", "Pieces of files read from the disk ahead of the TFTP transfers.")
	tftpWaits    = desc("tftp_disk_waits_total", "Times that a TFTP transfer waited for the disk.")
	tftpFaults   = desc("tftp_loop_faults_total", "Times that a TFTP event loop waited for the disk, and all its transfers with it.")
	tftpStranger = desc("tftp_stranger_packets_total", "Packets to a TFTP data port that belong to no transfer.")
	tftpBytes    = desc("tftp_sent_bytes_total", "File bytes sent by TFTP, retransmissions included.")
	tftpUploads  = desc("tftp_uploads_total", "Files that TFTP clients have written.")
	tftpReceived = desc("tftp_received_bytes_total", "File bytes received by TFTP.")
	tftpAgain    = desc("tftp_retransmissions_total", "TFTP DATA packets sent again.")
	tftpDropped  = desc("tftp_dropped_datagrams_total", "TFTP datagrams dropped by the kernel because a socket's buffer was full.")
	tftpErrors   = desc("tftp_send_errors_total", "TFTP datagrams that the kernel refused.")
)

var all = []*prometheus.Desc{
	buildInfo, requests, outcomes, notes, diagnose,
	datapath, serving, queues, beatAge, xdpPackets, templates, unpublished, untold, received, sent, badFrames, stale, sendErrors, dropped, captureDrops,
	reloads, reloadGood, loaded,
	storeUp, storeLoaded, storeSince, storeProblems,
	deployments, machines, held, groups, ignored, eventsLost, seenLost, seenWait,
	bindings, contested, pushed, timelines, forgotten, untoldEvent,
	fleetMember, fleetMembers, hookAsked, hookWaiting, hookKept, hookDropped,
	tftpTaken,
	tftpRequests, tftpEnded, tftpActive, tftpQueued, tftpWaited, tftpRepeated, tftpTimeouts, tftpCapped, tftpReads, tftpWaits, tftpFaults, tftpStranger, tftpBytes, tftpUploads, tftpReceived, tftpAgain, tftpDropped, tftpErrors,
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range all {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	st, e := c.source.Status(), emitter{ch}
	e.gauge(buildInfo, 1, st.Version, runtime.Version())

	byEnd := make(map[[4]string]uint64)
	for _, r := range st.Requests {
		byEnd[[4]string{r.Iface, r.Tier, r.Stage, r.Reason}] += r.Count
	}
	for l, n := range byEnd {
		e.counter(requests, n, l[:]...)
	}
	e.counter(outcomes, st.OutcomesLost)
	e.counter(captureDrops, st.CaptureDrops)
	for _, n := range st.Notes {
		e.counter(notes, n.Count, n.Iface, n.Note)
	}
	byKind := make(map[string]uint64)
	for _, d := range st.Diagnoses {
		byKind[d.Kind] += d.Count
	}
	for kind, n := range byKind {
		e.counter(diagnose, n, kind)
	}
	for i := range st.Interfaces {
		e.iface(&st.Interfaces[i])
	}
	e.config(&st.Config)
	e.kept(&st)
	e.tftp(&st.TFTP)
}

// emitter turns values into metrics. A label that Prometheus would refuse is
// made valid: one odd name must not cost the whole scrape.
type emitter struct{ ch chan<- prometheus.Metric }

func (e emitter) emit(d *prometheus.Desc, t prometheus.ValueType, v float64, labels []string) {
	valid := make([]string, len(labels))
	for i, l := range labels {
		valid[i] = strings.ToValidUTF8(l, "?")
	}
	m, err := prometheus.NewConstMetric(d, t, v, valid...)
	if err != nil {
		m = prometheus.NewInvalidMetric(d, err)
	}
	e.ch <- m
}

func (e emitter) counter(d *prometheus.Desc, n uint64, labels ...string) {
	e.emit(d, prometheus.CounterValue, float64(n), labels)
}

func (e emitter) gauge(d *prometheus.Desc, v float64, labels ...string) {
	e.emit(d, prometheus.GaugeValue, v, labels)
}

func (e emitter) iface(i *control.Interface) {
	if i.Tier != "" {
		e.gauge(datapath, 1, i.Name, i.Tier, i.Attach, i.Deliver, strconv.FormatBool(i.ZeroCopy))
	}
	e.gauge(serving, truth(i.Serving()), i.Name)
	e.gauge(queues, float64(i.Queues), i.Name)
	if i.BeatAge >= 0 {
		e.gauge(beatAge, i.BeatAge, i.Name)
	}
	byReason := make(map[string]uint64)
	for _, x := range i.XDP {
		byReason[x.Reason] += x.Packets
	}
	for reason, n := range byReason {
		e.counter(xdpPackets, n, i.Name, reason)
	}
	if k := i.Kernel; k != nil {
		e.gauge(templates, float64(k.Patterns), i.Name, "class")
		e.gauge(templates, float64(k.Machines), i.Name, "machine")
		e.counter(untold, k.EventsDropped, i.Name)
		for _, r := range k.Refused {
			e.counter(unpublished, r.Count, i.Name, r.Why)
		}
	}
	e.counter(received, i.Wire.Received, i.Name)
	e.counter(sent, i.Wire.Sent, i.Name)
	e.counter(badFrames, i.Wire.BadFrames, i.Name)
	e.counter(stale, i.Wire.Stale, i.Name)
	e.counter(sendErrors, i.Wire.SendErrors, i.Name)
	e.counter(dropped, i.Wire.Dropped, i.Name)
}

func (e emitter) config(c *control.Config) {
	e.counter(reloads, c.ReloadsOK, "ok")
	e.counter(reloads, c.ReloadsFailed, "failed")
	e.gauge(reloadGood, truth(c.LastError == ""))
	e.gauge(loaded, float64(c.Loaded.UnixMilli())/1000)
}

func (e emitter) tftp(t *control.TFTP) {
	e.counter(tftpRequests, t.Requests)
	byOutcome := make(map[string]uint64)
	for _, o := range t.Outcomes {
		byOutcome[o.Outcome] += o.Count
	}
	for outcome, n := range byOutcome {
		e.counter(tftpEnded, n, outcome)
	}
	e.gauge(tftpActive, float64(t.Active))
	e.counter(tftpTaken, t.Restored, "restored")
	e.counter(tftpTaken, t.Lost, "lost")
	e.gauge(tftpQueued, float64(t.Queued))
	e.counter(tftpWaited, t.Waited)
	e.counter(tftpRepeated, t.Repeated)
	e.counter(tftpTimeouts, t.Timeouts)
	e.counter(tftpCapped, t.Capped)
	e.counter(tftpReads, t.DiskReads)
	e.counter(tftpWaits, t.DiskWaits)
	e.counter(tftpFaults, t.LoopFaults)
	e.counter(tftpStranger, t.Strangers)
	e.counter(tftpBytes, t.BytesSent)
	e.counter(tftpUploads, t.Uploads)
	e.counter(tftpReceived, t.BytesReceived)
	e.counter(tftpAgain, t.Retransmissions)
	e.counter(tftpDropped, t.Dropped)
	e.counter(tftpErrors, t.SendErrors)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
