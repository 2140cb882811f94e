package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/store/etcdtest"
)

// keptDaemon is a daemon in this process that serves nothing. Its configuration
// is text, at the beginning and at each reload.
func keptDaemon(t *testing.T, text *string) (*daemon, *observer.ObservedLogs) {
	t.Helper()
	dir := t.TempDir()
	parse := func() (*config.Config, error) {
		return config.Parse("x.yaml", []byte(strings.ReplaceAll(`interfaces: auto
control: DIR/run/c.sock
profiles: {web: {files: {x64-uefi-http: "http://192.0.2.1/a.efi"}}}
`+*text, "DIR", dir)))
	}
	cfg, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.WarnLevel)
	d, err := newDaemon(t.Context(), cfg, nil, parse, zap.New(core), zap.NewAtomicLevel())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.letGo(); err != nil {
			t.Error(err)
		}
	})
	return d, logs
}

// reload is tryReload without interfaces.
func reloadKept(t *testing.T, d *daemon) error {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	defer d.stopPorts(d.portNames())
	return d.tryReload(ended)
}

// A reload swaps webhooks and limits, keeps what is as it was, and names what
// takes effect at the next start only.
func TestReloadOfKept(t *testing.T) {
	const before = `store: {file: DIR/x.db}
policy: {default: deployed, rules: [{match: {arch: bios}, webhook: same}]}
webhooks:
  same: {url: unix:/run/same}
  other: {url: unix:/run/other}
  gone: {url: unix:/run/gone}
`
	text := before
	d, logs := keptDaemon(t, &text)
	was := d.hooks
	create := func(ids ...string) (err error) {
		var ds []deploy.Deployment
		for _, id := range ids {
			ds = append(ds, deploy.Deployment{ID: id, Target: deploy.Target{MAC: identity(t, web1)}, Profile: "web"})
		}
		_, err = d.kept.catalogue.Create(t.Context(), ds, time.Now())
		return err
	}
	if err := create("one"); err != nil {
		t.Fatal(err)
	}

	text = `store: {file: DIR/y.db}
server: {name: other}
api: {listen: "127.0.0.1:0", cert: c, key: k, token-file: f}
deployments: {limits: {deployments: 1}}
policy: {default: hold}
webhooks:
  same: {url: unix:/run/same}
  other: {url: unix:/run/other, on-failure: open}
  new: {url: unix:/run/new}
`
	if err := reloadKept(t, d); err != nil {
		t.Fatal(err)
	}
	if is := d.hooks; len(is) != 3 || is["same"] != was["same"] || is["other"] == was["other"] || is["other"].config.OnFailure != config.FailOpen || is["new"] == nil {
		t.Errorf("webhooks %v, were %v", is, was)
	}
	if err := create("two"); !errors.Is(err, deploy.ErrLimit) {
		t.Errorf("a second deployment: %v", err)
	}
	var keys []string
	for _, l := range logs.FilterMessage("takes effect at the next start only").All() {
		keys = append(keys, l.ContextMap()["key"].(string))
	}
	if want := []string{"api", "server", "store"}; !slices.Equal(keys, want) {
		t.Errorf("named %v, want %v", keys, want)
	}
	if got := d.Snapshot(); got.Store == nil || !strings.HasSuffix(got.Store.Where, "/x.db") || len(got.Webhooks) != 3 {
		t.Errorf("%+v, %+v", got.Store, got.Webhooks)
	}

	text = "store: none\npolicy: {default: hold}\n"
	if err := reloadKept(t, d); err == nil {
		t.Error("a configuration with a mistake is taken")
	}
	if len(d.hooks) != 3 {
		t.Errorf("webhooks %v", d.hooks)
	}
}

// A store is opened at the start only, so a reload that needs one is refused, at
// its place.
func TestReloadNeedsStore(t *testing.T) {
	text := "policy: {default: web}\n"
	d, logs := keptDaemon(t, &text)
	if d.kept != nil || d.memory != nil || d.server == nil {
		t.Fatalf("%+v", d)
	}
	text = "policy: {default: web}\nstore: {file: DIR/x.db}\n"
	if err := reloadKept(t, d); err == nil || !strings.HasPrefix(err.Error(), "x.yaml:5:1: store: the daemon runs without one") {
		t.Errorf("%v", err)
	}
	text = "policy: {default: web, rules: [{boot: web, delay: 1s}]}\n"
	if err := reloadKept(t, d); err != nil {
		t.Fatal(err)
	}
	l := logs.FilterMessage("takes effect at the next start only").All()
	if len(l) != 1 || l[0].ContextMap()["key"] != "policy" {
		t.Errorf("%v", l)
	}
}

// A server that ends has the others take over first; one with a successor leaves
// it its place.
func TestFleetMember(t *testing.T) {
	etcd := etcdtest.Start(t)
	var changed [2]chan struct{}
	var members [2]*deployments
	for i, name := range []string{"boot1", "boot2"} {
		cfg := config.Default()
		cfg.Store = &config.Store{Etcd: &config.Etcd{Endpoints: []string{etcd.URL}}}
		changed[i] = make(chan struct{}, 1)
		d, err := openDeployments(t.Context(), cfg, name, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		members[i] = d
		d.follow(t.Context(), cfg, func() { poke(changed[i]) }, nil)
		if d.fleet.view() != nil || d.fleet.Drain(t.Context()) == nil {
			t.Error("a member before it answers")
		}
		if err := d.fleet.join([]string{"198.51.100.2/24"}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.close(); err != nil {
				t.Error(err)
			}
		})
	}
	one, two := members[0].fleet, members[1].fleet
	// await waits until boot2 sees the members so.
	await := func(what string, ok func([]fleet.Member) bool) {
		t.Helper()
		deadline := time.After(patience)
		for !ok(two.Members()) || !two.Status().Member {
			select {
			case <-changed[1]:
			case <-time.After(50 * time.Millisecond): // the status has no notice
			case <-deadline:
				t.Fatalf("never %s: %+v", what, two.Members())
			}
		}
	}
	await("two members", func(m []fleet.Member) bool {
		return len(m) == 2 && one.Status().Member && len(one.view().Members()) == 2
	})
	one.drain(zap.NewNop())
	await("draining", func(m []fleet.Member) bool { return len(m) == 2 && m[0].Draining && one.view().Self().Draining })
	if err := one.leave(false); err != nil {
		t.Error(err)
	}
	await("alone", func(m []fleet.Member) bool { return len(m) == 1 })
	two.drain(zap.NewNop()) // at once: there is nobody
	if two.view().Self().Draining {
		t.Error("the last one drains")
	}
	if err := two.leave(true); err != nil {
		t.Error(err)
	}
	if _, found, err := members[0].store.Get(t.Context(), "members/boot2"); err != nil || !found {
		t.Errorf("what is left to a successor: %v, %v", found, err)
	}
}
