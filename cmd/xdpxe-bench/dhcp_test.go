package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

// Mistakes in the command line are the user's, and found before anything is sent.
func TestDHCPMistakes(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", "--interface is needed"},
		{"-i x --rate 300001", "--max-rate"},
		{"-i x --rate 0", "more than 0"},
		{"-i x --for 61s", "--max-for"},
		{"-i x --ramp 5", "FROM:TO"},
		{"-i x --ramp 5:abc", "FROM:TO"},
		{"-i x --ramp 5:400000", "--max-rate"},
		{"-i x --saturate --find-max", "exclude"},
		{"-i x --sender live --ramp 1:2", "no --ramp"},
		{"-i x --sender live --saturate", "--max-rate 0"},
		{"-i x --sender live --rate 10 --queues 2", "one CPU"},
		{"-i x --bounced", "--sender live"},
		{"-i x --find-max --server-pid 1", "not for --find-max"},
		{"-i lo --server-pid 999999999", "--server-pid"},
		{"-i x --sender pigeon", "xdp or packet"},
		{"-i x --what tea", "discover, bootserver or both"},
		{"-i x --arch x64", "x64-uefi"},
		{"-i x --arch x64-uefi=many", "no number"},
		{"-i x --server 192.0.2.10,zz", "no MAC"},
		{"-i x --server here", "--server"},
		{"-i x --circuit-id 7", "--relay is needed"},
		{"-i x --what bootserver --server 192.0.2.10", "network for them"},
		{"-i x --relay 198.51.100.1", "address is needed"},
		{"-i x --queues 65", "--queues"},
		{"-i x --require fast", "bound"},
	} {
		var stderr bytes.Buffer
		if code := run(append([]string{"dhcp"}, strings.Fields(c.args)...), &bytes.Buffer{}, &stderr); code != fault.UserCode || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%q: exit %d, %s, want %q", c.args, code, &stderr, c.want)
		}
	}
}

// A run against nobody says so, as JSON and by the exit code.
func TestDHCPAgainstNobody(t *testing.T) {
	xsktest.Namespace(t)
	near, _ := xsktest.Veth(t, 1)
	var stdout, stderr bytes.Buffer
	code := run(strings.Fields("dhcp -q --json --server-pid "+strconv.Itoa(os.Getpid())+" --require answered>=50% --rate 500 --for 100ms --late 20ms --what discover -i "+near.Name), &stdout, &stderr)
	if code != fault.UserCode || !strings.Contains(stderr.String(), "answered>=50%") {
		t.Errorf("exit %d: %s", code, &stderr)
	}
	var got result.Run
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, &stdout)
	}
	figure := func(name string) float64 {
		f, ok := got.Rows[0].Figure(name)
		if !ok {
			t.Errorf("no figure %q", name)
		}
		return f.Value
	}
	// On a busy machine the gun comes to fewer than it was asked for.
	if sent := figure("requests"); sent < 1 || sent > 50 || figure("lost") != sent || figure("answered") != 0 {
		t.Errorf("%+v", got.Rows[0].Figures)
	}
	if figure("server CPU") < 0 {
		t.Error("time ran backwards")
	}
	if got.Schema != result.Schema || got.Tool != "xdpxe-bench dhcp" || got.Rows[0].Limit.By != result.ByServer || len(got.Notes) != 1 {
		t.Errorf("%+v", got)
	}
}
