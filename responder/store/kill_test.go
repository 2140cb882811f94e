package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	writerEnv = "XDPXE_STORE_WRITER" // the file that the test binary writes to
	writers   = 4                    // commits at the same time
)

// write commits without end and says what was acknowledged: "W N" of writer W.
// Commit N of a writer puts N under two keys and in a record of its own, and
// deletes the one ten before; every tenth goes by Bulk.
func write(path string) {
	ctx := context.Background()
	s, err := OpenBolt(ctx, path)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			it, _, err := s.Get(ctx, fmt.Sprintf("%d/a", w))
			n, _ := strconv.Atoi(string(it.Value))
			for err == nil {
				n++
				value := strconv.Itoa(n)
				t := Txn{[]Check{{fmt.Sprintf("%d/a", w), it.Rev}}, []Write{
					put(fmt.Sprintf("%d/a", w), value), put(fmt.Sprintf("%d/b", w), value),
					put(fmt.Sprintf("%d/log/%09d", w, n), strings.Repeat(value, 50)), del(fmt.Sprintf("%d/log/%09d", w, n-10)),
				}}
				if n%10 == 0 {
					r := s.Bulk(ctx, []Txn{t, {Writes: []Write{put(fmt.Sprintf("%d/more", w), value)}}})
					it.Rev, err = r[0].Rev, r[0].Err
				} else {
					it.Rev, err = s.Commit(ctx, t.Checks, t.Writes)
				}
				if err == nil {
					fmt.Println(w, n) // one write(2): whole or not at all
				}
			}
			fmt.Println("error", err)
		})
	}
	all.Wait()
}

// Nothing acknowledged is lost and nothing is half done, whenever the daemon is
// killed: while it creates the file, while it opens it, while it writes.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xdpxe.db")
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	rnd := rand.New(rand.NewPCG(6, uint64(os.Getpid())))
	var last [writers]int // acknowledged before
	var rev Rev
	total := 0
	for round := range rounds {
		acked := killed(t, path, rnd.IntN(60))
		for w, n := range acked {
			if n > 0 {
				total += n - last[w]
				last[w] = n
			}
		}
		rev = lookThrough(t, path, round, last, rev)
	}
	if total == 0 {
		t.Fatal("nothing was acknowledged in all rounds")
	}
	t.Logf("%d commits acknowledged in %d lives", total, rounds)
}

// killed runs the writer until it has acknowledged n commits, kills it, and
// returns each writer's last acknowledged commit.
func killed(t *testing.T, path string, n int) (acked [writers]int) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(testContextFor(t), exe)
	cmd.Env = append(os.Environ(), writerEnv+"="+path)
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	for lines := bufio.NewReader(out); ; n-- {
		if n == 0 {
			cmd.Process.Kill() // and read on: what it had said by then counts
		}
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		must(t, err)
		var w, i int
		if _, err := fmt.Sscanf(line, "%d %d", &w, &i); err != nil {
			cmd.Process.Kill()
			t.Fatalf("writer: %s", line)
		}
		acked[w] = i
	}
	cmd.Wait()
	return acked
}

func lookThrough(t *testing.T, path string, round int, acked [writers]int, rev Rev) Rev {
	t.Helper()
	s := openBolt(t, path)
	defer s.Close()
	now, err := s.Scan(testContextFor(t), "", func(it Item) error {
		if it.Rev > s.tally.rev {
			return fmt.Errorf("%q at %d of %d", it.Key, it.Rev, s.tally.rev)
		}
		return nil
	})
	must(t, err)
	if now < rev {
		t.Fatalf("round %d: revision %d after %d", round, now, rev)
	}
	for w, n := range acked {
		a, b := listed(t, s, fmt.Sprintf("%d/a", w)), listed(t, s, fmt.Sprintf("%d/b", w))
		logs := listed(t, s, fmt.Sprintf("%d/log/", w))
		if len(a) == 0 && len(b) == 0 && len(logs) == 0 && n == 0 {
			continue
		}
		if len(a) != 1 || len(b) != 1 || string(a[0].Value) != string(b[0].Value) || a[0].Rev != b[0].Rev {
			t.Fatalf("round %d, writer %d: %v and %v", round, w, a, b)
		}
		have, err := strconv.Atoi(string(a[0].Value))
		must(t, err)
		// One more than acknowledged may be done: the writer died before it could say so.
		if have < n || have > n+1 {
			t.Fatalf("round %d, writer %d: has commit %d, acknowledged was %d", round, w, have, n)
		}
		if len(logs) != min(have, 10) {
			t.Fatalf("round %d, writer %d: %d records at commit %d", round, w, len(logs), have)
		}
		for i, it := range logs {
			value := strconv.Itoa(have - len(logs) + 1 + i)
			if string(it.Value) != strings.Repeat(value, 50) {
				t.Fatalf("round %d, writer %d: %q is %.20q", round, w, it.Key, it.Value)
			}
		}
	}
	return now
}
