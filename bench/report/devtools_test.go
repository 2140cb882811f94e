package report

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds each thing that is asked of the browser; on a busy machine its
// start alone can take many seconds.
const patience = 2 * time.Minute

// browser is a headless chromium that is spoken to by the DevTools protocol over
// a pair of pipes: messages in JSON, each ended by a zero byte.
type browser struct {
	in *os.File

	mu      sync.Mutex
	last    int
	waiting map[int]chan message
	events  []message
	arrived chan struct{} // has one element after an event
	failed  chan struct{} // closed when the browser hung up
}

// args are the parameters of a method.
type args map[string]any

type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// startBrowser starts one for the test, or skips it where there is none.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed (.ci/setup test installs it)")
	}
	// Not t.TempDir: a process of the browser may still write while it ends.
	home, err := os.MkdirTemp("", "xdpxe-report-")
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := os.Create(filepath.Join(home, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-breakpad", "--hide-scrollbars", "--user-data-dir="+filepath.Join(home, "profile"), "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, as the option says
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &browser{in: in, waiting: map[int]chan message{}, arrived: make(chan struct{}, 1), failed: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.read(out)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(stderr.Name())
			t.Logf("the browser said:\n%s", text)
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its group is its own
		_ = cmd.Wait()
		in.Close()
		<-done
		out.Close()
		stderr.Close()
		_ = os.RemoveAll(home)
	})
	return b
}

// read takes messages until the browser hangs up.
func (b *browser) read(out io.Reader) {
	defer close(b.failed)
	r := bufio.NewReader(out)
	for {
		raw, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(bytes.TrimSuffix(raw, []byte{0}), &m) != nil {
			return
		}
		b.mu.Lock()
		if m.ID != 0 {
			if c := b.waiting[m.ID]; c != nil {
				c <- m
			}
			delete(b.waiting, m.ID)
		} else {
			b.events = append(b.events, m)
			select {
			case b.arrived <- struct{}{}:
			default:
			}
		}
		b.mu.Unlock()
	}
}

// call asks for a method and decodes its result into out, if that is not nil.
func (b *browser) call(ctx context.Context, session, method string, params args, out any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.waiting[id] = answer
	b.mu.Unlock()
	request, err := json.Marshal(message{ID: id, Session: session, Method: method, Params: raw})
	if err != nil {
		return err
	}
	if _, err := b.in.Write(append(request, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		if out == nil {
			return nil
		}
		return json.Unmarshal(m.Result, out)
	case <-b.failed:
		return fmt.Errorf("%s: the browser hung up", method)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

// await returns all events of a session up to the first with the method.
func (b *browser) await(ctx context.Context, session, method string) ([]message, error) {
	for {
		b.mu.Lock()
		var all []message
		found := false
		for _, m := range b.events {
			if m.Session == session {
				all = append(all, m)
				found = found || m.Method == method
			}
		}
		b.mu.Unlock()
		if found {
			return all, nil
		}
		select {
		case <-b.arrived:
		case <-b.failed:
			return nil, fmt.Errorf("%s: the browser hung up", method)
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", method, ctx.Err())
		}
	}
}
