package keeper

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// ExecCommand is the first argument by which main knows that it is to call Exec.
const ExecCommand = "keep-exec"

// Exec turns this process into the program that args names, with its own number
// as LISTEN_PID. It returns only if it cannot.
func Exec(args []string) error {
	if len(args) == 0 {
		return errors.New("no program")
	}
	env := append(os.Environ(), "LISTEN_PID="+strconv.Itoa(os.Getpid()))
	return fmt.Errorf("start %s: %w", args[0], syscall.Exec(args[0], args[1:], env))
}

// child is the program while it runs.
type child struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// start starts the program with the descriptors of the store. The calling
// thread must live as long as the keeper: the program ends with it.
func (k *keeper) start() (*child, error) {
	// Anew each time: it may be another program by now.
	path, err := exec.LookPath(k.Args[0])
	if err != nil {
		return nil, err
	}
	files, names := k.store.files()
	cmd := exec.Command("/proc/self/exe", append([]string{ExecCommand, path}, k.Args...)...)
	cmd.Env = append(environment(), "NOTIFY_SOCKET="+k.socket.address, "FDSTORE="+strconv.Itoa(k.store.max))
	if len(files) > 0 {
		cmd.Env = append(cmd.Env, "LISTEN_FDS="+strconv.Itoa(len(files)), "LISTEN_FDNAMES="+names)
	}
	cmd.ExtraFiles = files
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, k.Stdout, k.Stderr
	// A group of its own keeps the terminal's Ctrl-C from it: it is told by us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	c := &child{cmd, make(chan struct{})}
	go func() {
		// How it ended is in ProcessState.
		_ = cmd.Wait()
		close(c.exited)
	}()
	return c, nil
}

// environment is ours without what only we are meant by.
func environment() (env []string) {
	for _, v := range os.Environ() {
		switch key, _, _ := strings.Cut(v, "="); key {
		case "NOTIFY_SOCKET", "FDSTORE", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID":
		default:
			env = append(env, v)
		}
	}
	return env
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// signal sends a signal; to a process that has ended it is no error.
func (c *child) signal(sig os.Signal) { _ = c.cmd.Process.Signal(sig) }

// code returns the exit code as a shell has it. The process has ended.
func (c *child) code() int {
	if status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return c.cmd.ProcessState.ExitCode()
}
