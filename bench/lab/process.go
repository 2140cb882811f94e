package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is a process of a lab. Its output, both streams together, is Log.
type Process struct {
	Name string
	Log  *Transcript

	cmd    *exec.Cmd
	exited chan struct{}
	err    error // valid once exited is closed
	stop   sync.Once
}

// Command says what to start.
type Command struct {
	Name  string   // for messages; default: the program's name
	Args  []string // the program and its arguments
	Env   []string // added to the environment
	Lines func(at time.Time, line string)
	Stdin io.Reader // default: nothing
	// Stdout gets the standard output instead of Log, until the process has ended.
	Stdout io.Writer
}

// stopPatience is how long a process may take to end by itself.
const stopPatience = 10 * time.Second

// Start starts a process in the namespace. It is ended by Close of the lab at the latest.
func (n *Namespace) Start(c Command) (*Process, error) {
	if c.Name == "" {
		c.Name = c.Args[0]
	}
	cmd := exec.Command("ip", append([]string{"netns", "exec", n.name}, c.Args...)...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdin = c.Stdin
	// A group of its own keeps the terminal's Ctrl-C from it: the lab ends it in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &Process{Name: c.Name, Log: newTranscript(c.Lines), cmd: cmd, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.Log, p.Log
	if c.Stdout != nil {
		cmd.Stdout = c.Stdout
	}
	cmd.WaitDelay = stopPatience // for a grandchild that keeps the pipe open

	started := make(chan error, 1)
	// Born in the namespace, where RemoveOwn looks for it; ip netns exec enters
	// it once more, and does what else there is to do.
	n.lab.spawn <- func() { started <- n.do(cmd.Start) }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("lab: start %s: %w", c.Name, err)
	}
	go func() {
		p.err = cmd.Wait()
		p.Log.end()
		close(p.exited)
	}()
	n.lab.mu.Lock()
	n.lab.processes = append(n.lab.processes, p)
	n.lab.mu.Unlock()
	return p, nil
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// ExitCode is the exit status once the process has ended; -1 for a signal.
func (p *Process) ExitCode() int {
	<-p.exited
	return p.cmd.ProcessState.ExitCode()
}

// Wait waits for the end and returns how it ended.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.exited:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("lab: waiting for %s to end: %w", p.Name, context.Cause(ctx))
	}
}

// Signal sends a signal; to a process that has ended it is no error.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("lab: signal %s: %w", p.Name, err)
	}
	return nil
}

// Stop ends the process: SIGTERM, and SIGKILL if it does not listen, which is
// an error. A second call does nothing.
func (p *Process) Stop() (err error) {
	p.stop.Do(func() {
		if err = p.Signal(syscall.SIGTERM); err != nil {
			return
		}
		select {
		case <-p.exited:
			return
		case <-time.After(stopPatience):
		}
		err = fmt.Errorf("lab: %s did not end within %v after SIGTERM:\n%s", p.Name, stopPatience, p.Log.tail())
		err = errors.Join(err, p.Kill())
	})
	return err
}

// Kill ends the process with SIGKILL and waits for its end.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.exited
	return nil
}
