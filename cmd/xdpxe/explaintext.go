package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// print writes the report for people: a paragraph for each message.
func (r *report) print(out io.Writer) error {
	w := bufio.NewWriter(out)
	if len(r.Messages) == 0 && r.Daemon != nil {
		r.Daemon.print(w)
		return w.Flush()
	}
	if r.ServerGuessed {
		fmt.Fprintf(w, "The boot server's address is not known here and shown as %s; --address sets it.\n\n", r.Server)
	}
	for _, v := range r.Messages {
		v.print(w)
		fmt.Fprintln(w)
	}
	if r.Daemon != nil {
		r.Daemon.print(w)
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s: %s, %d answered, %d not; %s of other servers\n", count(r.Frames, "frame"),
		count(r.Requests, "request"), r.Answered, r.Requests-r.Answered, replies(len(r.Messages)-r.Requests))
	return w.Flush()
}

func replies(n int) string {
	if n == 1 {
		return "1 reply"
	}
	return strconv.Itoa(n) + " replies"
}

func (v *verdict) print(w io.Writer) {
	fmt.Fprintf(w, "#%d", v.Frame)
	if !v.Time.IsZero() {
		fmt.Fprintf(w, "  %s", v.Time.Format("2006-01-02 15:04:05.000000"))
	}
	fmt.Fprintf(w, "  %s\n", strings.Join(v.words(), "  "))
	if v.Kind == "reply" {
		if v.File != "" {
			fmt.Fprintf(w, "    boot file %s\n", v.File)
		}
		v.printNotes(w)
		return
	}
	for _, s := range v.Steps {
		printStep(w, s.Subject, s.OK, s.Detail)
	}
	v.printNotes(w)
	if v.Answer != nil {
		v.Answer.print(w)
		return
	}
	fmt.Fprintf(w, "    => silence, %s: %s\n", v.Reason, v.Explanation)
	if v.LeftToKernel {
		fmt.Fprintln(w, "       (the XDP program passes it to the kernel; the daemon never sees it)")
	}
}

func printStep(w io.Writer, subject string, ok bool, detail string) {
	mark := "-"
	if ok {
		mark = "+"
	}
	fmt.Fprintf(w, "    %s %s: %s\n", mark, clean(subject), clean(detail))
}

// words are who says what to whom.
func (v *verdict) words() []string {
	kind := v.Type
	if kind == "" {
		kind = v.Kind
	}
	words := []string{kind}
	add := func(label, value string) {
		if value != "" {
			words = append(words, label+value)
		}
	}
	add("", v.Client)
	add("uuid ", v.UUID)
	add("xid ", v.XID)
	add("", v.Arch)
	if v.VendorClass != "" {
		add("", strconv.Quote(v.VendorClass))
	}
	add("user class ", v.UserClass)
	add("relay ", v.Relay)
	for _, id := range v.VLANs {
		add("vlan ", strconv.Itoa(int(id)))
	}
	return append(words, v.Source+" > "+v.Destination)
}

func (v *verdict) printNotes(w io.Writer) {
	for _, n := range v.Notes {
		fmt.Fprintf(w, "    note: %s\n", n)
	}
}

func (a *answer) print(w io.Writer) {
	fmt.Fprintf(w, "    => %s  %s > %s (%s)\n", a.Type, a.Source, a.Destination, a.DestinationMAC)
	fmt.Fprintf(w, "       next server %s, file %q\n", a.NextServer, a.File)
	for _, o := range a.Options {
		fmt.Fprintf(w, "       %3d %s: %s\n", o.Code, o.Name, o.Value)
	}
}
