// Command xdpxe is a PXE boot server and its tools. `xdpxe serve` is the
// daemon; the other commands ask it, check its configuration, or say what it
// would answer.
//
// Exit codes: 0 fine, 1 the user's mistake, 2 the machine's.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/cmd/xdpxe/internal/keeper"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == keeper.ExecCommand {
		err := keeper.Exec(os.Args[2:])
		fault.Print(os.Stderr, "xdpxe: ", err)
		os.Exit(fault.MachineCode)
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code. SIGINT and SIGTERM
// end the command's context; a second one ends the process as usual.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	root := newRootCommand(time.Now)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	printError(stderr, err)
	return fault.Code(err)
}
