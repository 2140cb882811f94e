package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/xdpxe/xdpxe/bench/lab"
)

// table prints what became of each machine and what xdpxe counted. A machine
// that did not do what it should is an error.
func table(out io.Writer, machines []*machine, status *lab.Status) error {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MACHINE\tKIND\tADDRESS\tBOOT FILES\tTIME\tREACHED")
	var failed []string
	var leases, servers distinct
	for _, m := range machines {
		reached := m.reached
		if m.err != nil {
			reached = "FAILED"
			failed = append(failed, m.name+": "+m.err.Error())
		}
		leases.add(m.lease)
		servers.add(m.server)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.2f s\t%s\n", m.name, m.kind, cmp.Or(m.address, "-"),
			cmp.Or(strings.Join(m.files, ", "), "-"), m.took.Seconds(), reached)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nTIME is from power-on to the running boot program; for simulated machines from the first DISCOVER to the last byte.")
	fmt.Fprintf(out, "Addresses came from %s (dnsmasq), boot files from %s (xdpxe).\n", leases, servers)
	for _, i := range status.Interfaces {
		fmt.Fprintf(out, "xdpxe on %s (datapath %s):", i.Name, i.Tier)
	}
	for _, r := range status.Requests {
		fmt.Fprintf(out, " %s/%s %d", r.Stage, r.Reason, r.Count)
	}
	fmt.Fprintln(out)
	if len(failed) > 0 {
		return fmt.Errorf("not all machines booted:\n%s", strings.Join(failed, "\n"))
	}
	return nil
}

// distinct is a list without repetitions and empty strings.
type distinct []string

func (d *distinct) add(s string) {
	if s != "" && !slices.Contains(*d, s) {
		*d = append(*d, s)
	}
}

func (d distinct) String() string { return cmp.Or(strings.Join(d, ", "), "nowhere") }
