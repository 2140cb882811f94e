// Command summary reads the output of one or more runs of `go test -json`,
// shows each package as it ends and what failed in full, and ends with one
// line of counts. It exits with 1 if a test failed, and under CI=true also if
// one was skipped in every run.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is a line of `go test -json` (go doc test2json); a build's output comes with an ImportPath.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

type key struct{ pkg, test string }

// outcome orders what a test came to in several runs: the greatest counts. A
// test that one run leaves out, as allocation counts are under the race
// detector, was not skipped if another run had it.
type outcome int

const (
	skipped outcome = iota + 1
	passed
	failed
)

var outcomes = map[string]outcome{"skip": skipped, "pass": passed, "fail": failed}

// slow is from when on a test gets a line of its own, in seconds.
const slow = 3

type summary struct {
	out     io.Writer
	results map[key]outcome
	output  map[key]*strings.Builder
	skips   map[key]string // the reason given last
}

func main() {
	s := &summary{out: os.Stdout, results: map[key]outcome{}, output: map[key]*strings.Builder{}, skips: map[key]string{}}
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(1)
	}
	if !s.report(os.Getenv("CI") == "true") {
		os.Exit(1)
	}
}

func (s *summary) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(s.out, lines.Text()) // go's own words
			continue
		}
		s.event(e)
	}
	return lines.Err()
}

func (s *summary) event(e event) {
	k := key{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "output":
		if s.output[k] == nil {
			s.output[k] = &strings.Builder{}
		}
		s.output[k].WriteString(e.Output)
	case "pass", "fail", "skip":
		s.end(k, e)
	}
}

func (s *summary) end(k key, e event) {
	text := ""
	if b := s.output[k]; b != nil {
		text = b.String()
	}
	delete(s.output, k)
	result := outcomes[e.Action]
	switch {
	case result == failed:
		fmt.Fprintf(s.out, "FAIL %s %s (%.1f s)\n%s", k.pkg, k.test, e.Elapsed, text)
	case k.test == "" && result == passed:
		fmt.Fprintf(s.out, "ok   %s (%.1f s)\n", k.pkg, e.Elapsed)
	case k.test != "" && e.Elapsed >= slow:
		fmt.Fprintf(s.out, "  %s %s (%.1f s)\n", e.Action, k.test, e.Elapsed)
	}
	if k.test == "" && result != failed {
		return // a package is no test; one without tests says "skip"
	}
	if result == skipped {
		s.skips[k] = reason(text)
	}
	s.results[k] = max(s.results[k], result)
}

// reason picks what a skipped test said out of its output.
func reason(output string) string {
	var said []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			said = append(said, line)
		}
	}
	return strings.Join(said, " ")
}

// report prints what was skipped and the counts, and says whether all is well.
func (s *summary) report(strict bool) bool {
	count := map[outcome]int{}
	var skips []key
	for k, r := range s.results {
		count[r]++
		if r == skipped {
			skips = append(skips, k)
		}
	}
	slices.SortFunc(skips, func(a, b key) int { return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.test, b.test)) })
	for _, k := range skips {
		fmt.Fprintf(s.out, "SKIP %s %s: %s\n", k.pkg, k.test, s.skips[k])
	}
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", count[passed], count[failed], count[skipped])
	if strict && count[skipped] > 0 {
		fmt.Fprintln(s.out, "a skipped test is a failure in CI")
		return false
	}
	return count[failed] == 0 && count[passed] > 0
}
