package history

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

var t0 = time.Unix(1_700_000_000, 0)

func at(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }

func mac(n int) [16]byte { return [16]byte{2, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)} }

var theUUID = [16]byte{0x11, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

func identity(n int) deploy.Identity {
	m := mac(n)
	return deploy.HardwareIdentity(m[:6])
}

// asked is a request of machine n.
func asked(n, seconds int, tier string, stage dhcp.Stage, reason packet.Reason) *responder.Event {
	return &responder.Event{Time: at(seconds), Iface: "eth0", Tier: tier, Stage: stage, Reason: reason, MAC: mac(n), MACLen: 6}
}

func clientOf(n int) deploy.Client {
	m := mac(n)
	return deploy.Client{MAC: m[:6]}
}

// line is an entry in short.
func line(e Entry) string {
	s := fmt.Sprintf("%d-%d x%d %s", int(e.Time.Sub(t0).Seconds()), int(e.Last.Sub(t0).Seconds()), e.Count, e.Kind)
	for _, word := range []string{e.Stage, e.Tier, e.Reason, e.Profile, e.Deployment, e.File, e.Outcome, e.Detail} {
		if word != "" {
			s += " " + word
		}
	}
	if e.Size > 0 {
		s += fmt.Sprintf(" %d/%d", e.Bytes, e.Size)
	}
	return s
}

func lines(all []Entry) string {
	var out []string
	for _, e := range all {
		out = append(out, line(e))
	}
	return strings.Join(out, "\n")
}

func want(t *testing.T, h *History, id deploy.Identity, entries ...string) {
	t.Helper()
	if got, want := lines(h.Machine(id)), strings.Join(entries, "\n"); got != want {
		t.Errorf("machine %s:\n%s\nwant\n%s", id, got, want)
	}
}

// One boot, over all tiers, from the first DISCOVER to the installer's word.
func TestTimeline(t *testing.T) {
	h := New(Config{})
	silent := asked(1, 0, "socket", dhcp.StageDiscover, packet.RuleIgnore)
	silent.Rule = "racks"
	h.Observe(silent, &policy.Machine{})
	h.Moved(deploy.Move{Run: deploy.RunID{ID: "d-1", Machine: identity(1)}, Profile: "linux", Now: deploy.Run{State: deploy.Waiting}}, at(1))
	for _, tier := range []string{"xsk", "ringbuf", responder.TierKernel} {
		e := asked(1, 2, tier, dhcp.StageDiscover, packet.Answered)
		e.Profile, e.File, e.Arch = "linux", "boot/grub.efi", policy.ArchX64UEFI
		h.Observe(e, nil)
	}
	h.Observe(asked(1, 3, "socket", dhcp.StageOther, packet.LeaseRequest), nil)
	h.Observe(asked(1, 3, "socket", dhcp.StageOther, packet.NotRequest), nil) // the DHCP server's reply
	load := FileTransfer{Client: clientOf(1), Address: netip.MustParseAddr("192.0.2.1"), File: "boot/grub.efi", Outcome: Running, Size: 1000, Deployment: "d-1"}
	h.Transfer(&load, at(4))
	want(t, h, identity(1),
		"0-0 x1 request discover socket rule_ignore",
		"1-1 x1 deployment linux d-1 waiting",
		"2-2 x1 request discover xsk answered linux boot/grub.efi",
		"2-2 x1 request discover ringbuf answered linux boot/grub.efi",
		"2-2 x1 request discover kernel answered linux boot/grub.efi",
		"3-3 x1 request other socket lease_request",
		"4-4 x1 transfer d-1 boot/grub.efi running 0/1000")

	h.Note(&Remark{Client: clientOf(1), Text: "grub.cfg.tmpl:3:7: no variable root"}, at(5))
	load.Outcome, load.Sent = "complete", 1000
	h.Transfer(&load, at(6))
	all := h.Machine(identity(1))
	if got, want := lines(all[6:]), "5-5 x1 note grub.cfg.tmpl:3:7: no variable root\n4-6 x1 transfer d-1 boot/grub.efi complete 1000/1000"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if e := all[2]; e.Arch != "x64-uefi" || e.Iface != "eth0" || e.IPXE {
		t.Errorf("%+v", e)
	}
	if e := all[0]; e.Rule != "racks" || e.Arch != "" {
		t.Errorf("%+v", e)
	}
	if got := h.Machine(identity(2)); got != nil {
		t.Errorf("a machine that never asked: %v", got)
	}
}

func TestSame(t *testing.T) {
	h := New(Config{})
	for _, s := range []int{0, 4, 12, 28} {
		h.Observe(asked(1, s, "socket", dhcp.StageDiscover, packet.RuleIgnore), nil)
	}
	h.Observe(asked(1, 28, "xsk", dhcp.StageDiscover, packet.RuleIgnore), nil)    // elsewhere
	h.Observe(asked(1, 29, "xsk", dhcp.StageDiscover, packet.DefaultIgnore), nil) // otherwise
	h.Observe(asked(1, 30, "xsk", dhcp.StageDiscover, packet.DefaultIgnore), &policy.Machine{IPXE: true})
	h.Observe(asked(1, 31, "xsk", dhcp.StageDiscover, packet.DefaultIgnore), &policy.Machine{IPXE: true})
	h.Observe(asked(1, 31+int(again.Seconds()), "xsk", dhcp.StageDiscover, packet.DefaultIgnore), &policy.Machine{IPXE: true})
	want(t, h, identity(1),
		"0-28 x4 request discover socket rule_ignore",
		"28-28 x1 request discover xsk rule_ignore",
		"29-29 x1 request discover xsk default_ignore",
		"30-31 x2 request discover xsk default_ignore",
		"631-631 x1 request discover xsk default_ignore")
	if all := h.Machine(identity(1)); all[2].IPXE || !all[3].IPXE {
		t.Error("iPXE and firmware are one")
	}
	// Progress of a deployment is one entry.
	run := deploy.Run{State: deploy.Loading, File: "boot/kernel", Size: 100}
	for i := range 3 {
		run.Sent = int64(10 * i)
		h.Moved(deploy.Move{Run: deploy.RunID{ID: "d", Machine: identity(2)}, Profile: "p", Now: run}, at(5*i))
	}
	want(t, h, identity(2), "0-10 x3 deployment p d boot/kernel loading 20/100")
}

func TestEntriesBounded(t *testing.T) {
	h := New(Config{Entries: 5})
	for i := range 12 {
		h.Note(&Remark{Client: clientOf(1), Text: fmt.Sprint("n", i)}, at(i))
	}
	want(t, h, identity(1), "7-7 x1 note n7", "8-8 x1 note n8", "9-9 x1 note n9", "10-10 x1 note n10", "11-11 x1 note n11")
	long := strings.Repeat("x", 10_000)
	h.Note(&Remark{Client: clientOf(2), Text: long}, at(0))
	h.Transfer(&FileTransfer{Client: clientOf(2), File: long, Outcome: "not_found", Why: long}, at(0))
	for _, e := range h.Machine(identity(2)) {
		if len(e.Detail) > maxDetail || len(e.File) > maxFile {
			t.Errorf("%d bytes of detail, %d of file name", len(e.Detail), len(e.File))
		}
	}
}

// Two transfers of one file to one address end one after the other.
func TestParallelTransfers(t *testing.T) {
	h := New(Config{})
	for s, outcome := range []string{Running, Running, "complete", "aborted"} {
		h.Transfer(&FileTransfer{Client: clientOf(1), File: "a", Outcome: outcome}, at(s))
	}
	want(t, h, identity(1), "0-2 x1 transfer a complete", "3-3 x1 transfer a aborted")
}

// A machine is found by hardware address and by UUID, and what it did as its
// firmware, which may show the UUID only, is part of both.
func TestUUID(t *testing.T) {
	h := New(Config{})
	e := asked(1, 2, "socket", dhcp.StageDiscover, packet.Answered)
	e.UUID, e.HasUUID = theUUID, true
	h.Observe(e, nil)
	e = asked(0, 0, "socket", dhcp.StageDiscover, packet.RuleIgnore)
	e.MAC, e.MACLen = theUUID, 16
	h.Observe(e, nil)
	e = asked(3, 3, "socket", dhcp.StageDiscover, packet.DefaultIgnore) // somebody else
	h.Observe(e, nil)
	both := []string{"0-0 x1 request discover socket rule_ignore", "2-2 x1 request discover socket answered"}
	want(t, h, identity(1), both...)
	want(t, h, deploy.UUIDIdentity(theUUID[:]), both...)
	swapped := append([]byte{4, 3, 2, 0x11, 6, 5, 8, 7}, theUUID[8:]...)
	want(t, h, deploy.UUIDIdentity(swapped), both...)

	e = asked(4, 4, "socket", dhcp.StageOther, packet.BadMagic)
	e.MACLen = 0
	h.Observe(e, nil)
	if s := h.Stats(); s.Nameless != 1 || s.Machines != 3 {
		t.Errorf("%+v", s)
	}
}
