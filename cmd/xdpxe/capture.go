package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/responder/control"
)

// drain is how long the daemon may take to send the rest of a capture.
const drain = 3 * time.Second

// captureFlags are what capture is told.
type captureFlags struct {
	socket, iface, file string
	count               uint64
}

func newCaptureCommand() *cobra.Command {
	var f captureFlags
	cmd := &cobra.Command{
		Use:   "capture -i INTERFACE [-w FILE]",
		Short: "Show or save what XDP took and what was answered",
		Long: `Show the requests that reach the daemon on an interface, and its answers, until
Ctrl-C. tcpdump does not see what XDP takes. With -w they go into a file for
Wireshark, or for "xdpxe explain --pcap"; -w - is standard output.`,
		Example: "  xdpxe capture -i eth0\n  xdpxe capture -i eth0 -w - | tcpdump -nevr -",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.iface == "" {
				return userError(errors.New("no interface"), "give -i INTERFACE")
			}
			return capture(cmd.Context(), &f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	bindSocket(cmd, &f.socket)
	fl := cmd.Flags()
	fl.StringVarP(&f.iface, "interface", "i", "", "`INTERFACE` of the daemon")
	fl.StringVarP(&f.file, "write", "w", "", "write pcap to `FILE`; - is standard output")
	fl.Uint64Var(&f.count, "count", 0, "stop after `N` frames")
	cmd.MarkFlagFilename("write", "pcap")
	return cmd
}

// capture runs until ctx ends, count frames are there, or the daemon stops.
func capture(ctx context.Context, f *captureFlags, stdout, stderr io.Writer) error {
	// The end of ctx stops the capture in order: the stream has its own life.
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	stream, err := control.NewClient(f.socket).Capture(life, f.iface)
	if err != nil {
		return daemonError(err)
	}
	defer stream.Close()
	stop := func() {
		stream.Stop()
		time.AfterFunc(drain, kill)
	}
	defer context.AfterFunc(ctx, stop)()

	in := bufio.NewReader(stream)
	sink, err := f.sink(stdout, func() bool { return in.Buffered() == 0 })
	if err != nil {
		return err
	}
	n, err := copyFrames(in, sink, f.count, stop)
	if closeErr := sink.close(); err == nil {
		err = closeErr
	}
	dropped, known := stream.Dropped()
	fmt.Fprintf(stderr, "%s captured", count(int(n), "frame"))
	if known {
		fmt.Fprintf(stderr, ", %d dropped", dropped)
	}
	fmt.Fprintln(stderr)
	switch done := ctx.Err() != nil || f.count > 0 && n >= f.count; {
	case err != nil && !done:
		return machineError(fmt.Errorf("capture on %s: %w", f.iface, err), "")
	case !done:
		return machineError(fmt.Errorf("capture on %s: the daemon ended it", f.iface), "")
	}
	return nil
}

// copyFrames moves frames until the stream ends; after limit frames (0: no
// limit) it calls stop and lets the rest pass.
func copyFrames(in io.Reader, sink *sink, limit uint64, stop func()) (n uint64, err error) {
	r, err := pcapgo.NewReader(in)
	if err != nil {
		return 0, err
	}
	for {
		data, ci, err := r.ReadPacketData()
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		case limit > 0 && n >= limit:
			continue
		}
		if err := sink.frame(ci, data); err != nil {
			return n, err
		}
		if n++; n == limit {
			stop()
		}
	}
}

// sink is where frames go: a pcap file or lines of text.
type sink struct {
	frame func(gopacket.CaptureInfo, []byte) error
	close func() error
}

// sink opens the output. idle says that no more frames are at hand, so that
// what was written should be seen now.
func (f *captureFlags) sink(stdout io.Writer, idle func() bool) (*sink, error) {
	switch f.file {
	case "":
		return textSink(stdout, f.iface, idle), nil
	case "-":
		return pcapSink(stdout, func() error { return nil }, idle)
	}
	file, err := os.Create(f.file)
	if err != nil {
		return nil, machineError(err, "")
	}
	return pcapSink(file, file.Close, idle)
}

func pcapSink(out io.Writer, closeOut func() error, idle func() bool) (*sink, error) {
	buf := bufio.NewWriter(out)
	w := pcapgo.NewWriterNanos(buf)
	if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		return nil, err
	}
	if err := buf.Flush(); err != nil {
		return nil, err
	}
	return &sink{
		frame: func(ci gopacket.CaptureInfo, data []byte) error {
			if err := w.WritePacket(ci, data); err != nil {
				return err
			}
			if idle() {
				return buf.Flush()
			}
			return nil
		},
		close: func() error { return errors.Join(buf.Flush(), closeOut()) },
	}, nil
}

func textSink(out io.Writer, iface string, idle func() bool) *sink {
	buf := bufio.NewWriter(out)
	var l liner
	return &sink{
		frame: func(ci gopacket.CaptureInfo, data []byte) error {
			fmt.Fprintf(buf, "%s  %s  %s\n", ci.Timestamp.Local().Format("15:04:05.000000"), iface, l.line(data))
			if idle() {
				return buf.Flush()
			}
			return nil
		},
		close: buf.Flush,
	}
}
