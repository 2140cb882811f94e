package metrics

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/control"
)

type snapshot control.Status

func (s *snapshot) Status() control.Status { return control.Status(*s) }

// full has a value for every metric, and label sets that occur twice.
func full() *snapshot {
	return &snapshot{
		Version: "v1.2.3",
		Config:  control.Config{Loaded: time.Unix(1700000000, 0), ReloadsOK: 2, ReloadsFailed: 1, LastError: "boot.yaml:3:1: unknown key"},
		Interfaces: []control.Interface{
			{
				Name: "eth0", State: control.StateServing, Alive: true, Tier: "native", Attach: "native", Deliver: "steal", ZeroCopy: true, Queues: 4, BeatAge: 0.25,
				Kernel: &control.Kernel{Active: true, Patterns: 5, Machines: 6, EventsDropped: 7, Refused: []control.KernelRefusal{{Why: "noted", Count: 8}}},
				XDP:    []control.XDPCount{{Reason: "redirected", Packets: 10}, {Reason: "not_pxe", Packets: 20}},
				Wire:   control.Wire{Received: 10, Sent: 9, BadFrames: 1, Stale: 2, SendErrors: 3, Dropped: 4},
			},
			{Name: "eth1\xff", State: "interface gone", BeatAge: -1},
		},
		Requests: []control.Requests{
			{Iface: "eth0", Tier: "native", Stage: "discover", Reason: "answered", Count: 5},
			{Iface: "eth0", Tier: "native", Stage: "discover", Reason: "answered", Count: 2},
			{Iface: "eth0", Tier: "socket", Stage: "boot_server", Reason: "rule_ignore", Count: 1},
		},
		Notes: []control.Note{{Iface: "eth0", Note: "relay_info_dropped", Count: 2}},
		Diagnoses: []control.Diagnosis{
			{Kind: "server_claims_pxe", Server: "192.0.2.1", Count: 3}, {Kind: "server_claims_pxe", Server: "192.0.2.2", Count: 4},
		},
		OutcomesLost: 6, CaptureDrops: 7,
		Store: &control.Store{Kind: "etcd", Loaded: true, Since: time.Unix(1700000100, 0), Error: "gone", Problems: []string{"deploy/d/x: torn"}},
		Deployments: &control.Deployments{
			States:   []control.DeploymentState{{State: "done", Count: 7}, {State: "waiting", Count: 3}},
			Machines: 20, Held: 4, Groups: 2, Ignored: 1, EventsLost: 5, SeenLost: 6, SeenWait: 8,
		},
		Memory:   &control.Memory{Bindings: 9, Addresses: 7, Contested: 2, Pushed: 3, Timelines: 11, Forgotten: 4, EventsDropped: 5},
		Fleet:    &control.Fleet{Name: "boot1", Member: true, Members: []control.Member{{Name: "boot1"}, {Name: "boot2"}, {Name: "boot3", Draining: true}}},
		Webhooks: []control.Webhook{{Name: "cmdb", Answers: 9, Failures: 2, Busy: 1, Dropped: 3, Waiting: 4, Kept: 11}},
		TFTP: control.TFTP{
			Active: 2, Requests: 12, BytesSent: 1 << 33, Uploads: 14, BytesReceived: 15, Retransmissions: 8, SendErrors: 1, Dropped: 3,
			Restored: 4, Lost: 1,
			Queued: 4, Waited: 13, Repeated: 14, Timeouts: 15, Capped: 16, Strangers: 17, DiskReads: 18, DiskWaits: 19, LoopFaults: 20,
			Outcomes: []control.TFTPOutcome{{Outcome: "complete", Count: 9}, {Outcome: "not_found", Count: 1}},
		},
	}
}

func TestGolden(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(NewCollector(full()))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	got := regexp.MustCompile(`goversion="[^"]*"`).ReplaceAllString(b.String(), `goversion="go"`)
	want, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("metrics differ from testdata/metrics.txt, which dashboards rely on; got:\n%s", got)
	}
}

func TestLint(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(NewCollector(full()))
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// An empty status, as before the first interface is open, is a good scrape too.
func TestEmptyStatus(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(NewCollector(&snapshot{}))
	if _, err := reg.Gather(); err != nil {
		t.Error(err)
	}
}

func TestHealth(t *testing.T) {
	up := control.Interface{Name: "eth0", State: control.StateServing, Alive: true}
	hung := control.Interface{Name: "eth1", State: control.StateServing}
	gone := control.Interface{Name: "eth2", State: "interface gone"}
	for _, c := range []struct {
		name   string
		ifaces []control.Interface
		loops  int // of TFTP that hang
		code   int
		body   string
	}{
		{"serving", []control.Interface{up}, 0, 200, "ok\n"},
		{"one gone, one serving", []control.Interface{gone, up}, 0, 200, "ok\n"},
		{"all gone", []control.Interface{gone}, 0, 503, "eth2: interface gone\n"},
		{"worker hangs", []control.Interface{up, hung}, 0, 503, "eth0: serving\neth1: a worker hangs\n"},
		{"loop hangs", []control.Interface{up}, 1, 503, "eth0: serving\ntftp: a loop hangs\n"},
		{"none", nil, 0, 503, "no interface\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			Handler(&snapshot{Interfaces: c.ifaces, TFTP: control.TFTP{Hung: c.loops}}).ServeHTTP(rec, httptest.NewRequest("GET", "/healthz", nil))
			if rec.Code != c.code || rec.Body.String() != c.body {
				t.Errorf("%d %q, want %d %q", rec.Code, rec.Body, c.code, c.body)
			}
		})
	}
}

// What is missed beyond this host is told by a server that serves.
func TestHealthOfStore(t *testing.T) {
	for want, st := range map[string]snapshot{
		"ok\n": {Store: &control.Store{Loaded: true, Available: true}, Fleet: &control.Fleet{Name: "boot1", Member: true}},
		"ok\nstore: does not answer, deployments for once are held back\n": {Store: &control.Store{Loaded: true}},
		"ok\nstore: does not answer, rules with deployments answer nobody\nfleet: boot1 is no member\n": {
			Store: &control.Store{}, Fleet: &control.Fleet{Name: "boot1"},
		},
	} {
		st.Interfaces = []control.Interface{{Name: "eth0", State: control.StateServing, Alive: true}}
		rec := httptest.NewRecorder()
		Handler(&st).ServeHTTP(rec, httptest.NewRequest("GET", "/healthz", nil))
		if rec.Code != 200 || rec.Body.String() != want {
			t.Errorf("%d %q, want %q", rec.Code, rec.Body, want)
		}
	}
}

func TestServer(t *testing.T) {
	s, err := Listen("127.0.0.1:0", full(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	resp, err := http.Get("http://" + s.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !strings.Contains(string(body), "\nxdpxe_requests_total{") || !strings.Contains(string(body), "\ngo_goroutines ") {
		t.Errorf("%v: %.200s", err, body)
	}
	if _, err := Listen(s.Addr().String(), full(), zap.NewNop()); err == nil || !strings.Contains(err.Error(), s.Addr().String()) {
		t.Errorf("address in use: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
