package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/pcapfile"
	"github.com/xdpxe/xdpxe/responder/policy"
)

const explainLong = `Say what xdpxe would answer, and why, without sending anything. The requests come
from a capture, or are made up for the machine that the flags describe; they are
answered by the same code as the daemon's, and need no daemon.

Where rules go by deployments, approvals or a webhook, the running daemon is asked
for its whole chain of reasons as well, at the configuration's control socket; if
none answers there, that is said. Without -c or --root it alone is asked.

Server address: --address, else the configuration's, else the interface's if
this host has it, else what the capture shows.`

const explainExample = `  xdpxe explain --mac 52:54:00:12:34:56 --arch x64-uefi
  xdpxe explain -c xdpxe.yaml --pcap boot.pcap
  xdpxe explain -c xdpxe.yaml --mac 52:54:00:12:34:56 --arch x64-uefi
  xdpxe explain -c xdpxe.yaml --mac 52:54:00:12:34:56 --arch bios --user-class iPXE --relay 198.51.100.1
  xdpxe explain --root /srv/boot --mac 52:54:00:12:34:56 --arch arm64-uefi`

// explainFlags are what explain is told.
type explainFlags struct {
	src     source
	pcap    string
	address string
	json    bool
	m       machine
	remote  remote

	socketGiven bool // else it is the configuration's
}

func newExplainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:     "explain [-c FILE] (--pcap FILE | --mac MAC --arch ARCH)",
		Short:   "Say what a client would be answered, and why",
		Long:    explainLong,
		Example: explainExample,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.socketGiven = cmd.Flags().Changed("socket")
			return explain(cmd.Context(), &f, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f.src.bind(cmd)
	f.remote.bindServer(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.pcap, "pcap", "", "replay the requests of this pcap or pcapng `FILE`; - is standard input")
	fl.StringVar(&f.address, "address", "", "boot server `ADDRESS` to assume")
	fl.BoolVar(&f.json, "json", false, "print JSON")
	fl.StringVar(&f.m.mac, "mac", "", "hardware `ADDRESS` of the client")
	fl.StringVar(&f.m.arch, "arch", "", "`ARCHITECTURE`: bios, x64-uefi, arm64-uefi, x64-uefi-http, …")
	fl.StringVar(&f.m.uuid, "uuid", "", "`UUID` of the client (option 97)")
	fl.StringVar(&f.m.subnet, "subnet", "", "`NETWORK` that the client is on, or an address there")
	fl.StringVar(&f.m.relay, "relay", "", "`ADDRESS` of the relay (giaddr)")
	fl.StringVar(&f.m.userClass, "user-class", "", "user class (option 77), such as iPXE")
	fl.StringVar(&f.m.vendorClass, "vendor-class", "", "vendor class (option 60); default: what firmware of that architecture sends")
	fl.StringVar(&f.m.circuitID, "circuit-id", "", "circuit id of the relay (option 82.1), text or 0x…")
	fl.StringVar(&f.m.remoteID, "remote-id", "", "remote id of the relay (option 82.2), text or 0x…")
	for _, name := range []string{"mac", "arch", "uuid", "subnet", "relay", "user-class", "vendor-class", "circuit-id", "remote-id"} {
		cmd.MarkFlagsMutuallyExclusive("pcap", name)
	}
	cmd.MarkFlagFilename("pcap", "pcap", "pcapng", "cap")
	cmd.RegisterFlagCompletionFunc("arch", cobra.FixedCompletions(policy.ArchNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// report is what explain prints.
type report struct {
	Server        string     `json:"server_address"` // assumed for requests to no address of ours
	ServerGuessed bool       `json:"server_address_guessed"`
	Frames        int        `json:"frames"`
	Requests      int        `json:"requests"`
	Answered      int        `json:"answered"`
	Messages      []*verdict `json:"messages"`

	Daemon *daemonView `json:"daemon,omitempty"` // if the configuration alone does not say all
}

func explain(ctx context.Context, f *explainFlags, in io.Reader, out io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	rep, err := explainBy(ctx, f, in)
	if err != nil {
		return err
	}
	if f.json {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(rep)
	}
	return rep.print(out)
}

// explainBy asks the configuration, the daemon, or both.
func explainBy(ctx context.Context, f *explainFlags, in io.Reader) (*report, error) {
	if f.pcap == "" && f.src.file == "" && f.src.root == "" {
		return explainRemote(ctx, f)
	}
	cfg, _, err := f.src.load()
	if err != nil {
		return nil, err
	}
	var address netip.Addr
	if f.address != "" {
		if address, err = netip.ParseAddr(f.address); err != nil || !address.Is4() {
			return nil, userError(fmt.Errorf("--address: %q is no IPv4 address", f.address), "")
		}
	}
	server := newVantage(cfg, address)
	var rep *report
	if f.pcap != "" {
		rep, err = explainCapture(f.pcap, in, cfg, server)
	} else {
		rep, err = explainMachine(&f.m, cfg, server)
	}
	if err != nil {
		return nil, err
	}
	rep.Server, rep.ServerGuessed = server.addr().String(), server.guessed
	if !f.socketGiven {
		f.remote.socket = cfg.Control.Socket
	}
	rep.Daemon = f.beside(ctx, cfg)
	return rep, nil
}

// explainCapture replays the requests of a capture.
func explainCapture(path string, in io.Reader, cfg *config.Config, server *vantage) (*report, error) {
	frames, err := pcapfile.Read(path, in)
	if err != nil && (len(frames) == 0 || !errors.Is(err, pcapfile.ErrCut)) {
		return nil, userError(err, "")
	}
	for _, c := range frames {
		server.learn(c.Data)
	}
	rep, r := &report{Frames: len(frames), Messages: []*verdict{}}, newReplayer(cfg, server)
	for i, c := range frames {
		v := r.handle(c.Timestamp, c.Data)
		if v == nil {
			continue
		}
		if c.CaptureLength < c.Length {
			v.Notes = append(v.Notes, fmt.Sprintf("the capture has only %d of the frame's %d bytes (tcpdump -s 0 takes all)", c.CaptureLength, c.Length))
		}
		rep.add(i+1, v)
	}
	return rep, nil
}

// explainMachine makes up the requests of one machine: its DISCOVER, and what
// UEFI firmware then asks on 4011.
func explainMachine(m *machine, cfg *config.Config, server *vantage) (*report, error) {
	c, err := m.client()
	if err != nil {
		return nil, err
	}
	rep, r := &report{}, newReplayer(cfg, server)
	v := r.handle(time.Time{}, c.discover(server))
	rep.add(1, v)
	// Without option 43 firmware asks again on 4011 (PROTOCOL 1.3); iPXE and HTTP clients do not.
	if v.Answer != nil && r.asked.decision.Style == policy.StyleUEFI {
		rep.add(2, r.handle(time.Time{}, c.ask(server)))
	}
	rep.Frames = len(rep.Messages)
	return rep, nil
}

func (r *report) add(frame int, v *verdict) {
	v.Frame = frame
	r.Messages = append(r.Messages, v)
	if v.Kind != "request" {
		return
	}
	r.Requests++
	if v.Reason == packet.Answered.String() {
		r.Answered++
	}
}
