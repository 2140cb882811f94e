package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/config"
)

// daemonView is what the running daemon says that it would do with a machine.
// It knows what no configuration has: deployments, approvals, the ignore list,
// webhooks, the other servers.
type daemonView struct {
	*api.Explanation
	Error string `json:"error,omitempty"` // why it is not known
}

// leftOut says what the rules of a configuration ask for and it does not have;
// empty: nothing.
func leftOut(cfg *config.Config) string {
	var parts []string
	if cfg.Policy.UsesDeployments() {
		parts = append(parts, "deployments, approvals and held machines")
	}
	if names := cfg.Policy.Webhooks(); len(names) > 0 {
		parts = append(parts, "what webhook "+strings.Join(names, ", ")+" answers")
	}
	return strings.Join(parts, " and ")
}

// query is the machine in the API's words.
func (m *machine) query() api.Query {
	return api.Query{MAC: m.mac, Arch: m.arch, UUID: m.uuid, Subnet: m.subnet, Relay: m.relay,
		UserClass: m.userClass, VendorClass: m.vendorClass, CircuitID: m.circuitID, RemoteID: m.remoteID}
}

// askDaemon asks the daemon about a machine.
func (f *explainFlags) askDaemon(ctx context.Context) (*api.Explanation, error) {
	if _, err := f.m.client(); err != nil {
		return nil, err // the flag's name is in it
	}
	c, err := f.remote.client()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	e, err := c.Explain(ctx, f.m.query())
	return e, f.remote.fault(err)
}

// beside asks the daemon for what a configuration alone does not say. That
// nobody answers is no error here: the rest of the report stands.
func (f *explainFlags) beside(ctx context.Context, cfg *config.Config) *daemonView {
	what := leftOut(cfg)
	switch {
	case what == "":
		return nil
	case f.pcap != "":
		return &daemonView{Error: "what stands above leaves out " + what + ", which only the daemon knows: ask it about one machine with --mac and --arch"}
	}
	e, err := f.askDaemon(ctx)
	if err != nil {
		return &daemonView{Error: fmt.Sprintf("what stands above leaves out %s: %v", what, err)}
	}
	return &daemonView{Explanation: e}
}

// explainRemote is explain without a configuration: as the daemon sees it.
func explainRemote(ctx context.Context, f *explainFlags) (*report, error) {
	e, err := f.askDaemon(ctx)
	if err != nil {
		return nil, err
	}
	return &report{Messages: []*verdict{}, Daemon: &daemonView{Explanation: e}}, nil
}

func (d *daemonView) print(w *bufio.Writer) {
	if d.Explanation == nil {
		fmt.Fprintf(w, "The running daemon: %s\n", clean(d.Error))
		return
	}
	fmt.Fprintln(w, "The running daemon, which knows what is deployed and to whom:")
	for _, s := range d.Steps {
		if s.Subject != "answer" { // it is said below, in other words
			printStep(w, s.Subject, s.OK, s.Detail)
		}
	}
	if d.Answered {
		fmt.Fprintf(w, "    => file %q", d.File)
	} else {
		fmt.Fprintf(w, "    => silence, %s", d.Reason)
		if d.Detail != "" {
			fmt.Fprintf(w, " (%s)", d.Detail)
		}
		if text := reasonText(d.Reason); text != "" {
			fmt.Fprintf(w, ": %s", text)
		}
	}
	for _, by := range [...]struct{ label, value string }{{"rule", d.Rule}, {"profile", d.Profile}, {"deployment", d.Deployment}} {
		if by.value != "" {
			fmt.Fprintf(w, ", %s %s", by.label, by.value)
		}
	}
	fmt.Fprintln(w)
}

// check refuses what explain cannot make sense of.
func (f *explainFlags) check() error {
	switch {
	case f.pcap == "" && (f.m.mac == "" || f.m.arch == ""):
		return userError(errors.New("nothing to explain"), "give --pcap FILE, or --mac and --arch of a machine")
	case f.pcap != "" && f.remote.server != "":
		return userError(errors.New("a capture is explained by a configuration of this host"), "give -c FILE, without --server")
	}
	return nil
}
