package loader

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

func passProgram(name string) *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{
		Name: name, Type: ebpf.XDP, License: "Dual MIT/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	}
}

// attachForeign attaches a program to near for as long as the test runs.
func attachForeign(t *testing.T, p *ebpf.Program) {
	t.Helper()
	l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: facts(t, "near").Index, Flags: link.XDPDriverMode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

// startHolder starts a process that holds f and nothing else, and returns how
// netdev names it.
func startHolder(t *testing.T, f *os.File) string {
	t.Helper()
	cmd := exec.Command("sleep", "infinity")
	cmd.ExtraFiles = []*os.File{f}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return fmt.Sprintf("sleep (pid %d)", cmd.Process.Pid)
}

// other is a datapath of another process.
type other struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	report helperReport
}

// startOther opens a datapath in another process, in the test's namespace.
func startOther(t *testing.T, o Options) *other {
	t.Helper()
	options, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	p := &other{cmd: exec.Command("/proc/self/exe")}
	p.cmd.Env = append(os.Environ(), helperMode+"="+string(options))
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.in.Close(); p.cmd.Wait() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &p.report) != nil {
		t.Fatalf("helper: %q, %v", line, err)
	}
	return p
}

// kill ends the process as kill -9 does, and returns when it is gone.
func (p *other) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.cmd.Wait()
}

// stop ends the process as a stop does.
func (p *other) stop(t *testing.T) {
	t.Helper()
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("helper: %v", err)
	}
}
