package report

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/xdpxe/xdpxe/bench/result"
)

// fact is a name and its value.
type fact struct{ Name, Value string }

// facts leaves out what is not known.
func facts(all ...fact) (known []fact) {
	for _, f := range all {
		if f.Value != "" {
			known = append(known, fact{f.Name, short(f.Value)})
		}
	}
	return known
}

func sameMachine(a, b *result.Run) bool {
	return a.Version == b.Version && reflect.DeepEqual(a.Machine, b.Machine)
}

func machineFacts(r *result.Run) []fact {
	m := r.Machine
	cores, memory := "", ""
	if m.Cores > 0 {
		cores = strconv.Itoa(m.Cores)
	}
	if m.Memory > 0 {
		memory = result.Bytes.Text(float64(m.Memory))
	}
	all := facts(fact{"Processor", m.CPU}, fact{"Cores", cores}, fact{"Memory", memory}, fact{"Kernel", m.Kernel},
		fact{"System", m.System}, fact{"xdpxe-bench", r.Version}, fact{"Go", strings.TrimPrefix(m.Go, "go")})
	for _, name := range slices.Sorted(maps.Keys(m.Programs)) {
		all = append(all, facts(fact{short(name), m.Programs[name]})...)
	}
	return all
}

// runFacts say when it was, and where if the page does not say it for all runs.
func runFacts(r *result.Run, machine bool) []fact {
	var started, took string
	if !r.Started.IsZero() {
		started = r.Started.UTC().Format("2 January 2006, 15:04 UTC")
	}
	if finite(r.Seconds) && r.Seconds > 0 {
		took = result.Seconds.Text(r.Seconds)
	}
	all := facts(fact{"Started", started}, fact{"Took", took})
	if machine {
		all = append(all, machineFacts(r)...)
	}
	return all
}

// commandLine prints arguments so that a shell reads them back.
func commandLine(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = result.Printable(a)
		plain := func(c rune) bool {
			return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_=./:,@%+", c)
		}
		if a == "" || strings.ContainsFunc(a, func(c rune) bool { return !plain(c) }) {
			quoted[i] = "'" + strings.ReplaceAll(quoted[i], "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
