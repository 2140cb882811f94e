package main

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/cmd/internal/build"
	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/fleet"
)

// apiHandler is the API over what this daemon has.
func (d *daemon) apiHandler() http.Handler {
	o := api.Options{
		Profiles: d.profiles, Explain: d.explain, Log: d.log.Named("api"),
		Self: func() fleet.Member {
			return fleet.Member{Name: d.name, Addresses: d.addresses(), Version: build.Version(), Since: d.started}
		},
	}
	if d.kept != nil {
		o.Catalogue, o.Tokens = d.kept.catalogue, d.kept.tokens
		if d.kept.fleet != nil {
			o.Fleet = d.kept.fleet
		}
	}
	if d.memory != nil {
		o.History = d.memory.history
	}
	return api.New(o)
}

// serveAPI opens the API on TCP, if it is configured.
func (d *daemon) serveAPI(ctx context.Context, handler http.Handler) error {
	c := d.config.API
	if c.Listen == "" {
		return nil
	}
	s, err := api.Listen(api.Config{
		Listen: c.Listen, Cert: c.Cert, Key: c.Key, ClientCA: c.ClientCA, TokenFile: c.TokenFile, Log: d.log.Named("api"),
	}, handler)
	if err != nil {
		return d.config.Problem("api", err, "")
	}
	d.api = s
	d.group.Go(func() error { return s.Serve(ctx) })
	return nil
}

// profiles are those of the policy in force.
func (d *daemon) profiles() (list []api.Profile) {
	d.mu.Lock()
	spec := &d.config.Spec
	d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(spec.Profiles)) {
		p := spec.Profiles[name]
		list = append(list, api.Profile{Name: name, Files: p.Files, Allow: p.Allow})
	}
	return list
}

// explain says what would become of a client that asks now.
func (d *daemon) explain(q api.Query) (*api.Explanation, error) {
	c, err := (&machine{
		mac: q.MAC, arch: q.Arch, uuid: q.UUID, subnet: q.Subnet, relay: q.Relay,
		userClass: q.UserClass, vendorClass: q.VendorClass, circuitID: q.CircuitID, remoteID: q.RemoteID,
	}).client()
	if err != nil {
		field, what, _ := strings.Cut(strings.TrimPrefix(err.Error(), "--"), ": ")
		return nil, &deploy.Invalid{Field: field, Msg: what}
	}
	d.mu.Lock()
	decider, at := d.decider, &vantage{given: d.config.Address}
	for name := range d.ports {
		at.read(name)
	}
	d.mu.Unlock()
	r := replayerOf(decider, at)
	v := r.handle(time.Now(), c.discover(at))
	e := &api.Explanation{
		Answered: v.Answer != nil, Reason: v.Reason, Detail: r.asked.decision.Detail, Rule: v.Rule, Profile: v.Profile,
		Deployment: r.asked.decision.Deployment, File: v.File,
	}
	for _, s := range v.Steps {
		e.Steps = append(e.Steps, api.Step(s))
	}
	return e, nil
}
