package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bench/arrival"
	"github.com/xdpxe/xdpxe/bench/procstat"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/bench/tftpc"
	"github.com/xdpxe/xdpxe/bench/tftpload"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
)

const tftpLong = `Clients fetch a file by TFTP, all at once or as they are told to come, and check
every byte of it: against a local copy (--expect), against content that
this command can make (--pattern, --put), or else against a first copy that
one client fetches before the load.

The clients behave as edk2's firmware does: a window is acknowledged when it is
there, each block that is not the expected one is answered with the last one in
order, an ICMP unreachable ends a client. Pairs of values are for packets from the server and to
it: --loss 1%,0.5%; one value is for both.`

const tftpExample = `  xdpxe-bench tftp --server 127.0.0.1 --file boot.wim --expect /srv/boot/boot.wim --clients 500
  xdpxe-bench tftp --server 127.0.0.1 --file 4m --pattern 4MiB --put /srv/boot/4m --clients 100 --loss 1%,1% --require "failed == 0"`

// tftpCommand is the command's flags.
type tftpCommand struct {
	output
	load      tftpload.Config
	server    string
	expect    string
	pattern   string
	put       string
	arrival   string
	source    string
	retry     string
	gap       string
	slowShare string
	slowRate  string
	loss      string
	duplicate string
	reorder   string
	delay     string
	jitter    string
}

func newTFTPCommand() *cobra.Command {
	var t tftpCommand
	cmd := &cobra.Command{
		Use: "tftp --server ADDR[:PORT] --file NAME [flags]", Short: "Load a TFTP server with clients", Long: tftpLong, Example: tftpExample,
		RunE: func(cmd *cobra.Command, _ []string) error { return t.run(cmd) },
	}
	f := cmd.Flags()
	request := &t.load.Transfer.Request
	f.StringVar(&t.server, "server", "", "the server's `ADDRESS`, with a port if it is not 69")
	f.StringVar(&request.Name, "file", "", "`NAME` of the file on the server")
	f.StringVar(&t.expect, "expect", "", "local copy of the file, at `PATH`")
	f.StringVar(&t.pattern, "pattern", "", "the file is the generated one of this `SIZE` (4MiB)")
	f.StringVar(&t.put, "put", "", "write the file of --pattern to `PATH` before the load")
	f.IntVar(&t.load.Clients, "clients", 1, "number of clients")
	f.IntVar(&t.load.Loops, "loops", 1, "transfers of each client, one after the other")
	f.IntVar(&request.Blksize, "blksize", 1468, "block size to ask for, in bytes; 0: none")
	f.IntVar(&request.Window, "windowsize", 16, "window size to ask for, in blocks; 0: none")
	f.BoolVar(&request.Tsize, "tsize", true, "ask for the file's size")
	f.IntVar(&request.Timeout, "timeout-option", 0, "timeout to ask for, in seconds; 0: none")
	f.BoolVar(&t.load.Probe, "probe", false, "ask for the size first and abort, as edk2 does")
	f.StringVar(&t.gap, "gap", "each", "what a gap is answered with: each packet beyond it is (edk2), once (U-Boot), ignore (GRUB)")
	f.BoolVar(&t.load.GRO, "gro", true, "receive with UDP GRO")
	f.IntVar(&t.load.Threads, "threads", 1, "threads that play the clients")
	f.StringVar(&t.arrival, "arrival", "at-once", "when clients come: at-once, poisson:RATE (a second), ramp:DURATION")
	f.StringVar(&t.source, "source", "", "take the clients' addresses from `CIDR`, one each; they must be this machine's")
	f.StringVar(&t.loss, "loss", "", "`SHARE[,SHARE]` of packets that is lost")
	f.StringVar(&t.duplicate, "duplicate", "", "`SHARE[,SHARE]` of packets that comes twice")
	f.StringVar(&t.reorder, "reorder", "", "`SHARE[,SHARE]` of packets that comes 1 ms later")
	f.StringVar(&t.delay, "delay", "", "`TIME[,TIME]` that every packet takes longer")
	f.StringVar(&t.jitter, "jitter", "", "`TIME[,TIME]` that a packet takes longer at most, at random")
	f.StringVar(&t.slowShare, "slow", "", "`SHARE` of clients that are slow")
	f.StringVar(&t.slowRate, "slow-rate", "", "`RATE` at which slow clients take the file (1MB/s)")
	f.DurationVar(&t.load.Slow.AckDelay, "slow-ack", 0, "`TIME` by which slow clients' packets leave later")
	f.StringVar(&t.retry, "retry", "4s,5,1", "`FIRST[,RETRIES[,FACTOR]]`: the wait for an answer, how often to ask again, by what the wait grows each time")
	f.DurationVar(&t.load.Timeout, "timeout", time.Minute, "patience with one transfer")
	f.Uint64Var(&t.load.Seed, "seed", 1, "seed of all that is random")
	f.IntVar(&t.load.ServerPID, "server-pid", 0, "measure CPU time and memory of this process and its children")
	f.IntVar(&t.load.Spans, "spans", 200, "clients whose course is recorded, at most")
	t.addFlags(cmd)
	t.addAimFlag(cmd)
	return cmd
}

func (t *tftpCommand) run(cmd *cobra.Command) error {
	if err := t.parse(); err != nil {
		return fault.User(err, "see "+cmd.CommandPath()+" --help")
	}
	if err := t.begin(); err != nil {
		return err
	}
	if err := t.mayAimAt(t.load.Server.Addr()); err != nil {
		return err
	}
	if pid := t.load.ServerPID; pid != 0 {
		if _, err := procstat.Read(pid); err != nil {
			return fault.User(fmt.Errorf("--server-pid: %w", err), "")
		}
	}
	unmap, err := t.content(cmd.Context())
	if err != nil {
		return ofLoad(err)
	}
	defer unmap()
	t.load.Progress = func(p tftpload.Progress) {
		t.progress(cmd, "%3.0f s: %s, %d of %d transfers ended", p.At.Seconds(), result.Bytes.Text(float64(p.Bytes)), p.Finished, p.Total)
	}
	report, err := tftpload.Run(cmd.Context(), t.load)
	if err != nil {
		return ofLoad(err)
	}
	run := &result.Run{Settings: t.settings(), Rows: []result.Row{report.Row("tftp")}}
	if report.SendError != nil {
		run.Notes = append(run.Notes, fmt.Sprintf("%d packets could not be sent, at last: %v", report.SendErrors, report.SendError))
	}
	if report.Server != nil && report.Server.Untold {
		run.Notes = append(run.Notes, "what CPU time the server took cannot be told: it does not wait for its children")
	}
	if report.ServerErr != nil {
		run.Notes = append(run.Notes, fmt.Sprintf("what the server took is incomplete: %v", report.ServerErr))
	}
	return t.finish(cmd, run)
}

// ofLoad makes a load that makes no sense the user's mistake, and a file that
// cannot be had.
func ofLoad(err error) error {
	switch {
	case errors.Is(err, tftpload.ErrConfig):
		return fault.User(err, "")
	case errors.Is(err, tftpload.ErrFetch):
		return fault.User(err, "without --expect or --pattern a first copy says what the file must be")
	}
	return err
}

// content finds what the file must be.
func (t *tftpCommand) content(ctx context.Context) (unmap func(), err error) {
	unmap = func() {}
	switch {
	case t.expect != "":
		t.load.File, unmap, err = mapFile(t.expect)
		if err != nil {
			return nil, fault.User(fmt.Errorf("--expect: %w", err), "")
		}
	case t.pattern != "":
		size, err := parseQuantity(t.pattern)
		if err != nil || size != float64(int(size)) || size < 0 || size > 4<<30 {
			return nil, fault.User(fmt.Errorf("--pattern %q: want a size of at most 4GiB, like 4MiB", t.pattern), "")
		}
		t.load.File = tftpload.Pattern(int(size))
		if t.put != "" {
			if err := os.WriteFile(t.put, t.load.File, 0o644); err != nil {
				return nil, fault.User(fmt.Errorf("--put: %w", err), "")
			}
		}
	default:
		if t.load.File, err = tftpload.Fetch(ctx, t.load); err != nil {
			return nil, err
		}
	}
	return unmap, nil
}

// mapFile maps a file for reading.
func mapFile(path string) (b []byte, unmap func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is no regular file", path)
	}
	if info.Size() == 0 {
		return []byte{}, func() {}, nil
	}
	b, err = unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, nil, fmt.Errorf("map %s: %w", path, err)
	}
	return b, func() { _ = unix.Munmap(b) }, nil
}

// settings are the flags as they hold, for the result.
func (t *tftpCommand) settings() (all []result.Setting) {
	r := &t.load.Transfer.Request
	add := func(name, format string, args ...any) {
		all = append(all, result.Setting{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	add("server", "%v", t.load.Server)
	add("file", "%s", r.Name)
	add("size", "%d", len(t.load.File))
	add("clients", "%d", t.load.Clients)
	add("loops", "%d", t.load.Loops)
	add("blksize", "%d", r.Blksize)
	add("windowsize", "%d", r.Window)
	add("gro", "%v", t.load.GRO)
	add("threads", "%d", t.load.Threads)
	add("arrival", "%s", t.arrival)
	add("retry", "%s", t.retry)
	add("seed", "%d", t.load.Seed)
	for _, o := range []struct{ name, value string }{{"loss", t.loss}, {"duplicate", t.duplicate}, {"reorder", t.reorder}, {"delay", t.delay}, {"jitter", t.jitter},
		{"slow", t.slowShare}, {"slow-rate", t.slowRate}, {"source", t.source}} {
		if o.value != "" {
			add(o.name, "%s", o.value)
		}
	}
	return all
}

// parse reads the flags that are more than a number.
func (t *tftpCommand) parse() error {
	var err error
	if t.load.Transfer.Request.Name == "" {
		return errors.New("--file is needed")
	}
	if t.put != "" && t.pattern == "" || t.pattern != "" && t.expect != "" {
		return errors.New("--put goes with --pattern, and --pattern not with --expect")
	}
	if t.load.Server, err = parseServer(t.server); err != nil {
		return err
	}
	if t.source != "" {
		if t.load.Source, err = netip.ParsePrefix(t.source); err != nil {
			return fmt.Errorf("--source: %w", err)
		}
	}
	if t.load.Arrival, err = arrival.Parse(t.arrival); err != nil {
		return fmt.Errorf("--%w", err)
	}
	if t.load.Transfer.Retry, err = parseRetry(t.retry); err != nil {
		return err
	}
	if err := t.load.Transfer.Rules.Gap.UnmarshalText([]byte(t.gap)); err != nil {
		return fmt.Errorf("--gap: %w", err)
	}
	in, out := &t.load.In, &t.load.Out
	return errors.Join(
		pair("loss", t.loss, parseShare, &in.Loss, &out.Loss),
		pair("duplicate", t.duplicate, parseShare, &in.Duplicate, &out.Duplicate),
		pair("reorder", t.reorder, parseShare, &in.Reorder, &out.Reorder),
		pair("delay", t.delay, time.ParseDuration, &in.Delay, &out.Delay),
		pair("jitter", t.jitter, time.ParseDuration, &in.Jitter, &out.Jitter),
		pair("slow", t.slowShare, parseShare, &t.load.Slow.Share, nil),
		pair("slow-rate", t.slowRate, parseQuantity, &t.load.Slow.Rate, nil))
}

// parseServer reads an address with or without a port.
func parseServer(text string) (netip.AddrPort, error) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap, nil
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--server %q: want an address, with a port if it is not 69", text)
	}
	return netip.AddrPortFrom(addr, 69), nil
}

// parseRetry reads FIRST[,RETRIES[,FACTOR]].
func parseRetry(text string) (r tftpc.Retry, err error) {
	r = tftpc.EDK2Retry()
	fields := strings.Split(text, ",")
	r.First, err = time.ParseDuration(fields[0])
	bad := err != nil || r.First <= 0 || len(fields) > 3
	for i, field := range fields[1:] {
		n, err := parseCount(field)
		bad = bad || err != nil
		if i == 0 {
			r.Retries = n
		} else {
			r.Factor = n
		}
	}
	if bad {
		return r, fmt.Errorf("--retry %q: want a time, how often and a factor, like 1s,5,2", text)
	}
	return r, nil
}
