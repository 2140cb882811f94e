package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
)

func TestLimits(t *testing.T) {
	labtest.Need(t, false)
	var out, errs bytes.Buffer
	code := run([]string{"limits", "--for", "100ms", "--queues", "1", "--blocks", "16", "--receivers", "4", "--bytes", "65536", "--json",
		"--require", "XDP_TX bounce, 1 queue: returned > 0", "--require", "AF_XDP echo, 1 queue: share > 101%"}, &out, &errs)
	if code != fault.UserCode || !strings.Contains(errs.String(), "AF_XDP echo") {
		t.Errorf("code %d: %s", code, &errs)
	}
	var r result.Run
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	var names []string
	for _, row := range r.Rows {
		names = append(names, row.Name)
	}
	want := "XDP_TX bounce, 1 queue; AF_XDP echo, 1 queue; UDP echo, 1 queue; UDP_SEGMENT blast of 16 blocks, 1 thread"
	if got := strings.Join(names, "; "); got != want || r.Schema != result.Schema {
		t.Errorf("schema %d, rows %s", r.Schema, got)
	}
	// How much of it arrives in 100 ms is the machine's affair; TestBlastArrives has the rest.
	if f, ok := r.Rows[3].Figure("share"); !ok || f.Value < 0 || f.Value > 1 {
		t.Errorf("64 KiB for each receiver: share %+v", f)
	}
}

func TestLimitsMistakes(t *testing.T) {
	for flags, want := range map[string]string{
		"--queues 0":    "0 queues",
		"--for 1ms":     "length",
		"--blocks 99":   "99 blocks",
		"--require x":   "x",
		"--receivers x": "receivers",
	} {
		var out, errs bytes.Buffer
		if code := run(append([]string{"limits"}, strings.Fields(flags)...), &out, &errs); code != fault.UserCode || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: code %d: %s", flags, code, &errs)
		}
	}
}
