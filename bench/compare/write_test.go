package compare

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/result"
)

func found() ([]Work, []*result.Run) {
	row := result.Row{Name: "xdpxe", Limit: &result.Limit{By: result.ByServer, Why: "it lost some"}, Failures: map[string]uint64{"timeout": 2}}
	row.Add("rate", result.PerSecond, 700)
	row.Add("hidden", result.Count, 1)
	ratio := result.Row{Name: "xdpxe/other"}
	ratio.Add("rate", result.Ratio, 7)
	return []Work{{Name: "d", Show: []string{"rate", "p99"}}}, []*result.Run{{
		Schema: result.Schema, Tool: "xdpxe-bench compare", Command: []string{"xdpxe-bench", "compare"},
		Machine:  result.Machine{CPU: "A CPU", Cores: 2, Kernel: "6.18", System: "Debian", Programs: map[string]string{"other": "2.90", "xdpxe": "1"}},
		Settings: []result.Setting{{Name: WorkSetting, Value: "d"}, {Name: "load", Value: "bench d"}},
		Rows:     []result.Row{row, ratio}, Notes: []string{"its log:\nline"},
	}}
}

func TestWriteFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	works, runs := found()
	names, err := WriteFiles(dir, "all", works, runs, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(dir, "2026-11-24-all.json"), filepath.Join(dir, "2026-11-24-all.md")}; !slices.Equal(names, want) {
		t.Fatalf("wrote %q, want %q", names, want)
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	var back []*result.Run
	if err := json.Unmarshal(text, &back); err != nil || len(back) != 1 || len(back[0].Rows[0].Figures) != 2 {
		t.Errorf("JSON %+v, %v", back, err)
	}
	page, err := os.ReadFile(names[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"- Command: `xdpxe-bench compare`", "A CPU, 2 cores", "Linux 6.18", "other 2.90, xdpxe 1", "\n## d\n",
		"| | rate | p99 |\n|---|---|---|\n| xdpxe | 700/s |  |\n| xdpxe/other | 7 × |  |\n",
		"- xdpxe: the limit was the server: it lost some", "failed: timeout: 2", "- its log:\n  line\n", "- load: `bench d`"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if strings.Contains(string(page), "hidden") {
		t.Error("a figure that the work does not show is in the table")
	}
	works, runs = found()
	if Shown(runs[0], works[0]); len(runs[0].Rows[0].Figures) != 2 {
		t.Error("Shown has changed the run itself")
	}
}
