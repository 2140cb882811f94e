package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/loader"
	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// lives runs one daemon after the other on a rig, each of which hands over to
// the next.
type lives struct {
	*kernelRig
	pins string
	end  func()
}

func newLives(t *testing.T) *lives {
	t.Helper()
	l := &lives{kernelRig: vethRig(t), pins: t.TempDir()}
	if err := unix.Mount("bpf", l.pins, "bpf", 0, "mode=0755"); err != nil {
		t.Fatalf("mount a bpffs: %v", err)
	}
	t.Cleanup(func() {
		if l.end != nil {
			l.end()
			l.path.Close()
		}
		if err := unix.Unmount(l.pins, 0); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *lives) next(spec policy.Spec) {
	l.t.Helper()
	if l.end != nil {
		if err := l.path.Yield(); err != nil {
			l.t.Fatal(err)
		}
		l.end()
		if err := l.path.HandOver(); err != nil {
			l.t.Fatal(err)
		}
	}
	l.end = l.serve(spec, filepath.Join(l.pins, "xdpxe"), zap.NewNop())
}

// kinds are requests that the kernel comes to answer or ignore.
func (l *lives) kinds() map[string]packet.Packet {
	list := make(map[string]packet.Packet)
	for name, in := range l.at.Kinds() {
		_, res := l.want(&in)
		if len(in.Payload) <= 590 && name != "4011 ciaddr" && res.Reason != packet.HTTPOn4011 {
			list[name] = in
		}
	}
	return list
}

// A successor that decides as the daemon before did leaves all templates where
// they are: no request of a known kind comes to a worker.
func TestSuccessorKeepsTemplates(t *testing.T) {
	l := newLives(t)
	byMAC := everybody()
	byMAC.Rules = []policy.Rule{{Name: "it", Match: policy.Match{MAC: []string{"52:54:00:12:34:56"}}, Boot: "other"}}
	for name, spec := range map[string]policy.Spec{"for all": everybody(), "for one machine each": byMAC, "nobody": {}} {
		l.next(spec)
		kinds := l.kinds()
		for kind, in := range kinds {
			l.learn(name+": "+kind, in)
		}
		patterns := l.patterns()
		for range 3 {
			l.next(spec)
			now := l.patterns()
			now.Replies = patterns.Replies // those of an earlier policy are no longer there
			if l.kept < patterns.Patterns || l.changed != 0 || now != patterns {
				t.Errorf("%s: %d kept, %d changed of %+v; now %+v", name, l.kept, l.changed, patterns, l.patterns())
			}
			for kind, in := range kinds {
				if !l.ask(kind, in) {
					t.Errorf("%s: %s is not answered in the kernel", name, kind)
				}
			}
			if n := l.wire.Stats().Received; n != 0 {
				t.Errorf("%s: %d requests came to a worker", name, n)
			}
		}
	}
}

func (l *lives) patterns() loader.TemplateInfo {
	l.t.Helper()
	i, err := l.path.Templates()
	if err != nil {
		l.t.Fatal(err)
	}
	return i
}

// A successor that decides otherwise answers so from the first request on, and
// has the kernel do it; nobody gets what the former decided.
func TestSuccessorChangesTemplates(t *testing.T) {
	l := newLives(t)
	l.next(everybody())
	kinds := l.kinds()
	learn := func() {
		for kind, in := range kinds {
			l.learn(kind, in)
		}
	}
	learn()
	before := l.patterns().Patterns
	other := everybody()
	files := map[string]string{}
	for arch, file := range other.Profiles["all"].Files {
		files[arch] = file
	}
	files["x64-uefi"] = "new.efi"
	other.Profiles["all"] = policy.Profile{Files: files}
	exact := everybody()
	exact.Rules = []policy.Rule{{Name: "it", Match: policy.Match{MAC: []string{"52:54:00:12:34:56"}}, Boot: "other"}}
	for name, spec := range map[string]policy.Spec{"another file": other, "by mac": exact, "nobody": {}} {
		l.next(spec)
		t.Logf("%s: %d kept, %d changed of %d", name, l.kept, l.changed, before)
		switch name {
		case "another file": // of one architecture
			if l.kept == 0 || l.changed == 0 {
				t.Errorf("%s: %d kept, %d changed", name, l.kept, l.changed)
			}
		case "nobody":
			if l.changed == 0 {
				t.Errorf("%s: none changed", name)
			}
		}
		for kind, in := range kinds {
			l.ask(name+": "+kind, in)
		}
		l.next(everybody())
		for kind, in := range kinds {
			l.ask("back from "+name+": "+kind, in)
		}
		learn()
	}
}

// What the kernel did by a kept template between two daemons is told by the
// second, with the names that it has now.
func TestSuccessorTellsOfKeptTemplates(t *testing.T) {
	l := newLives(t)
	rule := func(name string) policy.Spec {
		spec := everybody()
		spec.Default, spec.Rules = "", []policy.Rule{{Name: name, Match: policy.Match{}, Boot: "all"}}
		return spec
	}
	l.next(rule("before"))
	in := l.at.From67(dhcptest.Discover(7))
	l.learn("first", in)
	if err := l.path.Events(func(*loader.Event) {}); err != nil {
		t.Fatal(err)
	}
	in.Payload[33] = 0x77
	if !l.ask("untold", in) {
		t.Fatal("not answered in the kernel")
	}
	l.next(rule("after"))
	if l.kept == 0 {
		t.Fatal("none is kept")
	}
	ctx, cancel := context.WithCancel(t.Context())
	told, reading := make(chan struct{}), make(chan struct{})
	go func() { defer close(told); l.server.Run(ctx) }()
	p := &port{server: l.server, log: zap.NewNop()}
	p.opts.Iface = l.near.Name
	go func() { defer close(reading); p.readEvents(ctx, &opened{path: l.path}) }()
	defer func() { cancel(); <-told; <-reading }()
	const mac = "52:54:00:12:34:77"
	var found *responder.Event
	for end := time.Now().Add(kernelPatience); found == nil; {
		for _, e := range l.server.Journal().Recent() {
			if e.Client() == mac {
				found = &e
			}
		}
		if time.Now().After(end) {
			t.Fatalf("no event of %s", mac)
		}
	}
	if found.Rule != "after" || found.Profile != "all" || found.File != "snponly.efi" || found.Tier != responder.TierKernel || found.Reason != packet.Answered {
		t.Errorf("%+v", *found)
	}
}
