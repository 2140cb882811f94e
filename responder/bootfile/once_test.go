package bootfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/binding"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/tftp/tftptest"
)

func once(id string, target deploy.Target, milestone deploy.Milestone) deploy.Deployment {
	return deploy.Deployment{ID: id, Target: target, Profile: "linux", Once: true, Milestone: milestone}
}

// answered is a machine that was answered with a deployment.
func answered(mac deploy.Identity, id string) binding.Machine {
	return binding.Machine{MAC: mac, UUID: uuid, Arch: "bios", Profile: "linux", Deployment: id}
}

// together is a catalogue whose last blocks wait for each other.
type together struct {
	*deploy.Catalogue
	all *sync.WaitGroup
}

func (c together) Act(ctx context.Context, run deploy.RunID, e deploy.Event, now time.Time) error {
	c.all.Done()
	c.all.Wait()
	return c.Catalogue.Act(ctx, run, e, now)
}

// Of two that fetch one milestone at once, one completes, and what the other is
// told says why: two ports of one machine, two machines with one UUID, also of
// a server each.
func TestOnceByTwo(t *testing.T) {
	file := files()["pxe/linux.0"]
	for _, c := range []struct {
		name   string
		target deploy.Target
		from   [2]netip.Addr
		people names
	}{
		{"two ports", deploy.Target{MAC: macA}, [2]netip.Addr{home, home}, names{home: answered(macA, "d")}},
		{"two machines", deploy.Target{UUID: uuid}, [2]netip.Addr{home, other}, names{home: answered(macA, "d"), other: answered(macB, "d")}},
	} {
		for _, servers := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d servers", c.name, servers), func(t *testing.T) {
				cat, changed := catalogue(t)
				create(t, cat, once("d", c.target, deploy.Milestone{}))
				var meet sync.WaitGroup
				meet.Add(2)
				shared := together{cat, &meet}
				first := newBed(t, Config{Names: c.people, Catalogue: shared}, settings(t, false), nil).run()
				beds := [2]*bed{first, first}
				if servers == 2 {
					beds[1] = newBed(t, Config{Names: c.people, Catalogue: shared}, settings(t, false), nil).run()
				}
				var got [2]string
				var errs [2]error
				var clients sync.WaitGroup
				for i := range got {
					clients.Go(func() { got[i], errs[i] = beds[i].fetch(c.from[i], "pxe/linux.0") })
				}
				clients.Wait()
				winner, loser := 0, 1
				if errs[0] != nil {
					winner, loser = 1, 0
				}
				if errs[winner] != nil || got[winner] != file {
					t.Errorf("nobody got it: %d and %d bytes, %v, %v", len(got[0]), len(got[1]), errs[0], errs[1])
				}
				var refused *tftptest.Error
				if !errors.As(errs[loser], &refused) || refused.Code != 0 || !strings.Contains(refused.Text, "deployment d is") || len(got[loser]) >= len(file) {
					t.Errorf("the other got %d bytes, %v", len(got[loser]), errs[loser])
				}
				machine := c.target.Machine()
				r := awaitRun(t, cat, changed, deploy.RunID{ID: "d", Machine: machine.Key()}, in(deploy.Done))
				if r.File != "pxe/linux.0" || r.Sent != int64(len(file)) || r.Size != r.Sent || !strings.HasPrefix(r.Claim, "srv1/127.0.0.") {
					t.Errorf("the run is %+v", r)
				}
			})
		}
	}
}

// Once it is used up, it is used up; what the boot program loads is another matter.
func TestUsedUp(t *testing.T) {
	cat, changed := catalogue(t)
	create(t, cat, once("d", deploy.Target{MAC: macA}, deploy.Milestone{}))
	b := newBed(t, Config{Names: names{home: answered(macA, "d")}, Catalogue: cat}, settings(t, true), nil).run()
	run := deploy.RunID{ID: "d", Machine: macA}
	b.get(home, `PXE\Linux.0`, files()["pxe/linux.0"])
	awaitRun(t, cat, changed, run, in(deploy.Done))
	b.refused(home, "pxe/linux.0", 0, "it was used up before")
	b.get(home, "boot.ipxe", "#!ipxe\n")
	b.get(home, "linux/initrd", "initrd")
	if r := cat.Snapshot().Run(run, time.Now()); r.State != deploy.Done || r.File != `PXE/Linux.0` {
		t.Errorf("the run is %+v", r)
	}
	if h := b.heard.await(t, "linux/initrd", "complete"); h.Deployment != "d" || h.Sent != 6 || h.Size != 6 || h.Profile != "linux" || h.Server != "srv1" {
		t.Errorf("heard of %+v", h)
	}
}

// A named file is the milestone, the boot program is not.
func TestNamedFile(t *testing.T) {
	cat, changed := catalogue(t)
	create(t, cat, once("d", deploy.Target{MAC: macA}, deploy.Milestone{On: deploy.OnFile, File: "linux/vmlinuz"}))
	b := newBed(t, Config{Names: names{home: answered(macA, "d")}, Catalogue: cat}, settings(t, false), nil).run()
	run := deploy.RunID{ID: "d", Machine: macA}
	for range 2 {
		b.get(home, "pxe/linux.0", files()["pxe/linux.0"])
		awaitRun(t, cat, changed, run, func(r deploy.Run) bool { return !r.Booted.IsZero() && r.Consumed.IsZero() })
	}
	b.get(home, "/linux/VMLINUZ", files()["linux/vmlinuz"])
	awaitRun(t, cat, changed, run, in(deploy.Done))
	b.refused(home, "linux/vmlinuz", 0, "used up")
}

// killed is a catalogue whose process ends once it is durable that a run is used up.
type killed struct{ *deploy.Catalogue }

func (c killed) Act(ctx context.Context, run deploy.RunID, e deploy.Event, now time.Time) error {
	if err := c.Catalogue.Act(ctx, run, e, now); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func (killed) Note(deploy.RunID, deploy.Event, time.Time) {}

// kill starts a fetch, and stops the server between the word of the store and
// the last block.
func (b *bed) kill(cat *deploy.Catalogue, changed <-chan struct{}, run deploy.RunID) (client func() (string, error)) {
	type result struct {
		got string
		err error
	}
	results := make(chan result, 1)
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	b.t.Cleanup(cancel)
	server := b.addr
	go func() {
		var into bytes.Buffer
		c := tftptest.Client{Server: server, Local: netip.AddrPortFrom(home, 0), Retry: 500 * time.Millisecond, Tries: 1000}
		_, err := c.Get(ctx, tftptest.Request{Name: "pxe/linux.0", Blksize: 1000, Window: 4}, &into)
		results <- result{into.String(), err}
	}()
	awaitRun(b.t, cat, changed, run, func(r deploy.Run) bool { return !r.Consumed.IsZero() })
	b.stop()
	return func() (string, error) {
		r := <-results
		return r.got, r.err
	}
}

// A server that dies between the word of the store and the last block leaves the
// deployment failed, until it is armed again.
func TestKilledBeforeSending(t *testing.T) {
	cat, changed := catalogue(t)
	create(t, cat, once("d", deploy.Target{MAC: macA}, deploy.Milestone{}))
	people := names{home: answered(macA, "d")}
	b := newBed(t, Config{Names: people, Catalogue: killed{cat}}, settings(t, false), nil).run()
	run := deploy.RunID{ID: "d", Machine: macA}
	b.kill(cat, changed, run)
	later := time.Now().Add(deploy.ConfirmWithin)
	if r := cat.Snapshot().Run(run, later); r.State != deploy.Failed || !strings.Contains(r.Reason, "the last block of pxe/linux.0 was about to be sent by srv1") {
		t.Errorf("the run is %+v", r)
	}
	if a := cat.Snapshot().Find(deploy.Client{MAC: macA.Bytes()}, later); a.Why != deploy.HasFailed {
		t.Errorf("the machine finds %v", a.Why)
	}

	again := newBed(t, Config{Names: people, Catalogue: cat}, settings(t, false), nil).run()
	again.refused(home, "pxe/linux.0", 0, "it was used up before")
	if err := cat.Arm(t.Context(), "d", deploy.Identity{}, 0, "me", time.Now()); err != nil {
		t.Fatal(err)
	}
	again.get(home, "pxe/linux.0", files()["pxe/linux.0"])
	awaitRun(t, cat, changed, run, in(deploy.Done))
}

// Where transfers outlive the process, so does the right to the last block.
func TestRightOutlivesTheProcess(t *testing.T) {
	cat, changed := catalogue(t)
	create(t, cat, once("d", deploy.Target{MAC: macA}, deploy.Milestone{}))
	people := names{home: answered(macA, "d")}
	b := newBed(t, Config{Names: people, Catalogue: killed{cat}}, settings(t, true), nil)
	b.cfg.State, b.cfg.Sockets = filepath.Join(t.TempDir(), "state"), newKeeper(t)
	run := deploy.RunID{ID: "d", Machine: macA}
	client := b.run().kill(cat, changed, run)
	b.gate.cfg.Catalogue = cat // of the next process
	b.run()
	if got, err := client(); err != nil || got != files()["pxe/linux.0"] {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	awaitRun(t, cat, changed, run, in(deploy.Done))
}

// A client that is gone before it has the last block leaves a run that nobody knows of.
func TestUnconfirmed(t *testing.T) {
	cat, changed := catalogue(t)
	create(t, cat, once("d", deploy.Target{MAC: macA}, deploy.Milestone{}))
	b := newBed(t, Config{Names: names{home: answered(macA, "d")}, Catalogue: cat}, settings(t, false), nil)
	b.cfg.GiveUp, b.cfg.InitialTimeout, b.cfg.MinTimeout = 200*time.Millisecond, 20*time.Millisecond, 20*time.Millisecond
	b.run()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := tftptest.Client{Server: b.addr, Local: netip.AddrPortFrom(home, 0)}
	_, err := c.Get(ctx, tftptest.Request{Name: "pxe/linux.0", Blksize: 1000}, vanish{cancel, new(int)})
	if err == nil {
		t.Fatal("it has everything")
	}
	r := awaitRun(t, cat, changed, deploy.RunID{ID: "d", Machine: macA}, in(deploy.Failed))
	if !strings.Contains(r.Reason, "was not acknowledged to its end") {
		t.Errorf("the run is %+v", r)
	}
}

// vanish is a client that goes when the last block comes.
type vanish struct {
	gone context.CancelFunc
	n    *int
}

func (v vanish) Write(p []byte) (int, error) {
	if *v.n += len(p); *v.n == len(files()["pxe/linux.0"]) {
		v.gone()
		return 0, errors.New("gone")
	}
	return len(p), nil
}
