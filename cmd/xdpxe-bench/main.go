// Command xdpxe-bench loads PXE servers: whole DHCP and ProxyDHCP exchanges,
// boot server requests, TFTP, machines that boot, against any server, and says
// what the server did with it and who was the limit.
//
// Exit codes: 0 fine, 1 a bound of --require was missed or the user's mistake,
// 2 the machine's.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code. SIGINT and SIGTERM
// end the command's context; a second one ends the process as usual.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	fault.Print(stderr, "xdpxe-bench: ", err)
	return fault.Code(err)
}

const rootLong = `xdpxe-bench loads PXE servers and says what they can do. It is a flood tool in
the wrong hands: it aims at loopback and at network namespaces of this machine
only, unless --i-own-this-network says that the network is yours to load.`

// newRootCommand assembles the program.
func newRootCommand() *cobra.Command {
	return fault.Root(&cobra.Command{Use: "xdpxe-bench", Short: "load generator for PXE", Long: rootLong}, fault.Classify,
		newDHCPCommand(), newTFTPCommand(), newStormCommand(), newFloodCommand(), newPcapCommand(), newLimitsCommand(), newCompareCommand(), newBounceCommand(),
		newPeerPinCommand(), newVersionCommand())
}
