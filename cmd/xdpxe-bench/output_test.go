package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
)

// measuring runs a command that found a rate of 5/s, with a command line.
func measuring(args ...string) (stdout string, err error) {
	var o output
	cmd := &cobra.Command{Use: "count", SilenceErrors: true, SilenceUsage: true, RunE: func(cmd *cobra.Command, _ []string) error {
		if err := o.begin(); err != nil {
			return err
		}
		row := result.Row{Name: "all"}
		row.Add("rate", result.PerSecond, 5)
		return o.finish(cmd, &result.Run{Rows: []result.Row{row}})
	}}
	o.addFlags(cmd)
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err = cmd.Execute()
	return out.String(), err
}

func TestOutput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.html")
	stdout, err := measuring("--html", file, "--json", "--require", "rate >= 6")
	if fault.Code(err) != fault.UserCode || !strings.Contains(err.Error(), "missed: it is 5") {
		t.Errorf("a missed bound: %v", err)
	}
	var run result.Run
	if err := json.Unmarshal([]byte(stdout), &run); err != nil || run.Schema != result.Schema || run.Rows[0].Figures[0].Value != 5 {
		t.Errorf("%v in\n%s", err, stdout)
	}
	page, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(page), "<dd>5/s</dd>") {
		t.Errorf("the report: %v\n%s", err, page)
	}

	stdout, err = measuring("--require", "rate >= 5")
	if err != nil || stdout != "rate  5/s\n" {
		t.Errorf("%v, %q", err, stdout)
	}
}

func TestOutputMistakes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"--html " + dir, "it is a directory"},
		{"--html " + dir + "/none/report.html", "no such file or directory"},
		{"--html " + file + "/report.html", "is no directory"},
		{"--require rate", "bound \"rate\""},
	} {
		stdout, err := measuring(strings.Fields(c.args)...)
		if fault.Code(err) != fault.UserCode || !strings.Contains(err.Error(), c.want) || stdout != "" {
			t.Errorf("%s: %v, and it ran: %q", c.args, err, stdout)
		}
	}
}
