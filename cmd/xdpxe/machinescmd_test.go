package main

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/history"
)

func TestMachines(t *testing.T) {
	o := busyOffice(t)
	o.hold(t, lab3)
	golden(t, "machines", o.script(t,
		words("machines list"),
		words("machines list --held"),
		words("machines show "+lab3),
		[]string{"machines", "approve", lab3, "--profile", "linux", "--reason", "bought in March"},
		words("machines list --approved"),
		words("machines approve "+lab3+" --profile linus"),
		words("machines ignore 52:54:00:00:00:03 00-50-56 --reason tests"),
		words("machines list --ignored"),
		words("machines ignored"),
		words("machines show "+lab3),
		words("machines unignore 00:50:56"),
		words("machines unignore 00:50:56"),
		words("machines describe "+lab3+" --name lab3 --note"+"=old"),
		words("machines describe "+lab3),
		words("machines describe "+lab3+" --name LAB"),
		words("machines forget "+lab3),
		words("machines forget "+lab3),
		words("machines show web1"),
		words("machines ignore 52:54"),
		words("machines show "+web1),
		words("machines list --group rack7"),
		words("machines list --held"),
	))
}

// A machine that was only heard of has its timeline.
func TestMachinesShowUnrecorded(t *testing.T) {
	o := newOffice(t, nil)
	out := o.ok(t, "machines", "show", lab3)
	if !strings.Contains(out, "not recorded") || !strings.Contains(out, "TIMELINE") {
		t.Error(out)
	}
	var m api.Machine
	if err := json.Unmarshal([]byte(o.ok(t, "machines", "show", lab3, "--json")), &m); err != nil || len(m.Timeline) != len(timeline(deploy.Identity{})) || m.Recorded {
		t.Errorf("%v %+v", err, m)
	}
}

func TestGroups(t *testing.T) {
	o := busyOffice(t)
	golden(t, "groups", o.script(t,
		words("groups list"),
		words("groups add lab --note=old"),
		words("groups add lab "+lab3),
		words("groups add lab "+lab3+" "+byUUID),
		words("groups show rack7"),
		words("groups show lab"),
		words("groups remove lab "+lab3),
		words("groups remove lab"),
		words("groups remove none "+lab3),
		words("groups delete rack7"),
		words("groups delete lab"),
		words("groups show lab"),
		words("groups add Lab"),
		words("groups list"),
	))
	if r := o.run(t, web1+"\n"+lab3+"\n", words("groups add two --file -")...); r.stdout != "two: 2 machines\n" {
		t.Errorf("%+v", r)
	}
	var g groupShown
	if err := json.Unmarshal([]byte(o.ok(t, words("groups show two --json")...)), &g); err != nil || len(g.Members) != 2 || g.Name != "two" {
		t.Errorf("%v %+v", err, g)
	}
}

func TestMembers(t *testing.T) {
	golden(t, "members-alone", newOffice(t, nil).script(t, words("members"), words("members --json"), words("members drain")))
	inFleet := &api.Members{Self: "boot1", Fleet: true, Problem: "lease lost", Items: []api.Member{
		{Name: "boot1", Addresses: []string{"198.51.100.2", "203.0.113.2"}, Version: "v1.2.3", Since: start.Add(-time.Hour)},
		{Name: "boot2", Draining: true, Since: start.Add(-time.Minute)}}}
	var text strings.Builder
	cmd := newMembersCommand(func() time.Time { return start })
	cmd.SetOut(&text)
	if err := printMembers(cmd, inFleet, false, start); err != nil {
		t.Fatal(err)
	}
	inFleet.Member, inFleet.Problem = true, ""
	if err := printMembers(cmd, inFleet, false, start); err != nil {
		t.Fatal(err)
	}
	golden(t, "members", text.String())
}

// Events are shown as they come, until Ctrl-C, or until the daemon ends.
func TestEvents(t *testing.T) {
	o := newOffice(t, nil)
	cmd := command(t, "events", "--socket", o.socket)
	cmd.Env = append(cmd.Env, "TZ=UTC")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-o.joined
	o.ignored(t, web1, time.Hour)
	m := deploy.Client{MAC: identity(t, web1).Bytes(), UUID: identity(t, byUUID).Bytes()}
	o.past.Transfer(&history.FileTransfer{
		Client: m, File: "linux/shimx64.efi", Outcome: "complete", Sent: 3 << 20, Size: 3 << 20, Deployment: "install-web1", Server: "boot1"}, start.Add(-time.Minute))
	o.past.Moved(deploy.Move{Run: deploy.RunID{ID: "install-web1", Machine: identity(t, web1)}, Now: deploy.Run{State: deploy.Offered}}, start)
	// A group's deployment is nobody's.
	o.past.Moved(deploy.Move{Run: deploy.RunID{ID: "rack7-rescue"}, Now: deploy.Run{State: deploy.Cancelled}}, start)
	o.past.Note(&history.Remark{Client: m, Text: "grub.cfg.tmpl:3:7: no variable \"host\"", File: "grub.cfg"}, start)
	var lines strings.Builder
	in := bufio.NewScanner(out)
	for range 5 {
		if !in.Scan() {
			t.Fatalf("%v; stderr %s", in.Err(), &stderr)
		}
		lines.WriteString(in.Text() + "\n")
	}
	golden(t, "events", lines.String())
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil || len(rest) != 0 || stderr.String() != "" {
		t.Errorf("%v; %q, stderr %q", err, rest, stderr.String())
	}
}

// With --follow a machine's timeline goes on; with --json each object has a line.
func TestMachinesFollow(t *testing.T) {
	for _, args := range [][]string{{}, {"--json"}} {
		o := newOffice(t, nil)
		cmd := command(t, append(words("machines show --follow "+web1+" --socket "+o.socket), args...)...)
		cmd.Env = append(cmd.Env, "TZ=UTC")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-o.joined
		o.ignored(t, db1, 26*time.Hour) // another machine
		o.ignored(t, web1, 26*time.Hour)
		var last string
		lines := 0
		for in := bufio.NewScanner(out); in.Scan(); lines++ {
			last = in.Text()
			if follows := strings.HasPrefix(last, "2026-02-28 10:00:00  discover ") && !strings.Contains(last, "12 times"); follows || lines == 1 && len(args) > 0 {
				o.stop() // the daemon ends
			}
		}
		if cmd.Wait(); cmd.ProcessState.ExitCode() != fault.MachineCode || !strings.Contains(stderr.String(), "the daemon ended the stream of events") {
			t.Errorf("%v, %s", cmd.ProcessState, &stderr)
		}
		if len(args) == 0 {
			if !strings.HasPrefix(last, "2026-02-28 10:00:00  discover ") || strings.Contains(last, web1) {
				t.Errorf("%q", last)
			}
			continue
		}
		var got api.Event
		if err := json.Unmarshal([]byte(last), &got); err != nil || got.Machine != identity(t, web1) || got.Reason != "nothing_deployed" || lines != 2 {
			t.Errorf("%v: %d lines, %+v", err, lines, got)
		}
	}
}
