package responder

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

func observed() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return zap.New(core), logs
}

func silence(at time.Time, mac byte, reason packet.Reason) Event {
	return Event{Time: at, Iface: "eth0", Tier: "native", Stage: dhcp.StageDiscover, Reason: reason, MAC: [16]byte{0: 2, 5: mac}, MACLen: 6}
}

func TestJournalOncePerClientAndMinute(t *testing.T) {
	log, logs := observed()
	j := newJournal(log, newDiagnoses(log))
	t0 := time.Unix(1_700_000_000, 0)
	for _, e := range []Event{
		silence(t0, 1, packet.DefaultIgnore),
		silence(t0.Add(59*time.Second), 1, packet.DefaultIgnore), // same minute
		silence(t0.Add(59*time.Second), 1, packet.NoFileForArch), // another reason
		silence(t0.Add(59*time.Second), 2, packet.DefaultIgnore), // another client
		silence(t0.Add(60*time.Second), 1, packet.DefaultIgnore), // the next minute
	} {
		j.record(e)
	}
	if n := logs.FilterMessage("no answer").Len(); n != 4 {
		t.Errorf("%d lines, want 4: %v", n, logs.All())
	}
	first := logs.All()[0].ContextMap()
	if first["client"] != "02:00:00:00:00:01" || first["reason"] != "default_ignore" || first["stage"] != "discover" {
		t.Errorf("first line says %v", first)
	}
	recent := j.Recent()
	if len(recent) != 4 || recent[0].Reason != packet.DefaultIgnore || !recent[0].Time.Equal(t0.Add(time.Minute)) {
		t.Errorf("recent, newest first: %+v", recent)
	}
}

func TestJournalFloodIsBounded(t *testing.T) {
	log, logs := observed()
	j := newJournal(log, newDiagnoses(log))
	t0 := time.Unix(1_700_000_000, 0)
	const flood = 20_000
	for i := range flood {
		e := silence(t0.Add(time.Duration(i)*100*time.Microsecond), 0, packet.DefaultIgnore)
		e.MAC[1], e.MAC[2] = byte(i>>8), byte(i)
		j.record(e)
	}
	if n := logs.Len(); n > 3*linesPerSec {
		t.Errorf("%d lines in two seconds of flood, want at most %d", n, 3*linesPerSec)
	}
	if got := j.Dropped() + uint64(logs.Len()); got != flood {
		t.Errorf("logged and dropped add up to %d of %d", got, flood)
	}
	if len(j.seen) > known {
		t.Errorf("%d outcomes remembered, bound is %d", len(j.seen), known)
	}
}

func TestJournalQueueFull(t *testing.T) {
	log, _ := observed()
	j := newJournal(log, newDiagnoses(log)) // nobody reads
	for i := range queued + 7 {
		j.offer(silence(time.Unix(int64(i), 0), 1, packet.DefaultIgnore))
	}
	if j.Dropped() != 7 {
		t.Errorf("dropped %d, want 7", j.Dropped())
	}
}

func TestLogFilter(t *testing.T) {
	var f logFilter
	pass := func(at time.Time, res *dhcp.Result) bool {
		return f.pass(at, res.MAC[:res.MACLen], res.Stage, res.Reason, res.Notes)
	}
	t0 := time.Unix(1_700_000_000, 0)
	res := dhcp.Result{Stage: dhcp.StageDiscover, Reason: packet.RuleIgnore, MAC: [16]byte{2}, MACLen: 6}
	if !pass(t0, &res) || pass(t0.Add(time.Second), &res) || !pass(t0.Add(time.Minute), &res) {
		t.Error("want the first and, a minute later, the next one only")
	}
	other := res
	other.Reason = packet.Answered
	if !pass(t0.Add(time.Minute), &other) {
		t.Error("another outcome of the same client is news")
	}
	if n := testing.AllocsPerRun(100, func() { pass(t0, &res) }); n != 0 {
		t.Errorf("pass allocates %v times", n)
	}
}

// A flood of new clients does not wake the journal for each of them.
func TestOffersAreBounded(t *testing.T) {
	var f logFilter
	for second := range 3 {
		now, offered := time.Unix(1_700_000_000+int64(second), 0), 0
		for range 10 * offersPerSec {
			if f.spend(now) {
				offered++
			}
		}
		if offered != offersPerSec {
			t.Errorf("second %d: %d offers, want %d", second, offered, offersPerSec)
		}
	}
}

func TestDiagnoses(t *testing.T) {
	log, logs := observed()
	d := newDiagnoses(log)
	t0 := time.Unix(1_700_000_000, 0)
	lease := reply("192.0.2.100", "192.0.2.1")
	d.InspectReply(t0, "eth0", lease(nil, ""))                                          // a plain DHCP server
	d.InspectReply(t0, "eth0", lease([]byte("PXEClient"), ""))                          // claims PXE
	d.InspectReply(t0.Add(time.Second), "eth0", lease([]byte("PXEClient"), ""))         // again
	d.InspectReply(t0, "eth0", lease(nil, "grub.efi"))                                  // fills the file
	d.InspectReply(t0, "eth0", reply("0.0.0.0", "192.0.2.2")([]byte("PXEClient"), "x")) // another boot server
	d.InspectReply(t0, "eth0", []byte{2, 1, 6})                                         // garbage
	e := silence(t0, 1, packet.Answered)
	e.Notes, e.Relay = dhcp.NoteServerIDOverride, netip.MustParseAddr("198.51.100.1")
	d.inspect(&e)

	var got []string
	for _, f := range d.List() {
		got = append(got, fmt.Sprint(f.Trouble, " ", f.Server, " ", f.Count))
	}
	want := "[server_claims_pxe 192.0.2.1 2 server_fills_boot_file 192.0.2.1 1 relay_overrides_server 198.51.100.1 1]"
	if fmt.Sprint(got) != want {
		t.Errorf("found %v\n want %v", got, want)
	}
	if logs.Len() != 3 {
		t.Errorf("%d warnings, want one of each", logs.Len())
	}
}

func TestDiagnosesBounded(t *testing.T) {
	log, _ := observed()
	d := newDiagnoses(log)
	for i := range 10 * maxTroubles {
		server := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		d.InspectReply(time.Unix(0, 0), "eth0", reply("192.0.2.100", server.String())([]byte("PXEClient"), ""))
	}
	if n := len(d.List()); n > maxTroubles+1 {
		t.Errorf("%d servers told apart, bound is %d", n, maxTroubles)
	}
}

// reply makes DHCP ACKs of a server that leases yiaddr.
func reply(yiaddr, server string) func(class []byte, file string) []byte {
	return func(class []byte, file string) []byte {
		msg := make([]byte, 240, 300)
		msg[0], msg[1], msg[2] = 2, 1, 6
		y, s := netip.MustParseAddr(yiaddr).As4(), netip.MustParseAddr(server).As4()
		copy(msg[16:], y[:])
		copy(msg[108:], file)
		copy(msg[236:], []byte{0x63, 0x82, 0x53, 0x63})
		msg = append(msg, 53, 1, 5, 54, 4, s[0], s[1], s[2], s[3])
		if class != nil {
			msg = append(append(msg, 60, byte(len(class))), class...)
		}
		return append(msg, 255)
	}
}
