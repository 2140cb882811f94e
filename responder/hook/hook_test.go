package hook

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/policy"
)

var t0 = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// program is a webhook that answers when it is let.
type program struct {
	url   string
	asked chan Question                  // one for each question, as it comes in
	say   chan func(http.ResponseWriter) // one for each that goes out
	total atomic.Int64
}

func startProgram(t *testing.T, socket string) *program {
	p := &program{asked: make(chan Question, 4096), say: make(chan func(http.ResponseWriter))}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q Question
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.Method != http.MethodPost {
			t.Errorf("%s: %v", r.Method, err)
		}
		p.total.Add(1)
		p.asked <- q
		select {
		case say := <-p.say:
			say(w)
		case <-r.Context().Done():
		}
	}))
	if socket != "" {
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		srv.Listener = l
	}
	srv.Start()
	t.Cleanup(srv.Close)
	p.url = srv.URL
	if socket != "" {
		p.url = "unix:" + socket
	}
	return p
}

func says(body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { fmt.Fprint(w, body) }
}

// harness is a hook of a program, and how many answers it has.
type harness struct {
	*Hook
	answered chan Answer
}

func start(t *testing.T, url string, change func(*Config)) *harness {
	t.Helper()
	h := &harness{answered: make(chan Answer, 4096)}
	cfg := Config{URL: url, Server: "boot1", Answered: func(_ Question, a Answer, _ time.Duration) { h.answered <- a }}
	// The deadline is Ask's clock's; the machine under the test may be slow.
	cfg.Deadline = time.Hour
	if change != nil {
		change(&cfg)
	}
	var err error
	if h.Hook, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func machine(i int) *policy.Machine {
	m := &policy.Machine{MAC: []byte{2, 0, 0, 0, byte(i >> 8), byte(i)}, NumArches: 1, VendorClass: []byte("PXEClient:Arch:00007"), CircuitID: []byte{0, 4}}
	m.Arches[0] = policy.ArchX64UEFI
	return m
}

func expect(t *testing.T, got Reply, want State) {
	t.Helper()
	if got.State != want {
		t.Fatalf("state %d (%v), want %d", got.State, got.Err, want)
	}
}

// TestThousandMachines: a program takes 500 ms for each; all machines have an
// answer when they ask again, 4 s later (PXE 2.1 §2.2.1: 4, 8, 16, 32 s), and
// none of their requests waited. The clock is the test's: each 500 ms of it the
// program answers what it has been asked by then.
func TestThousandMachines(t *testing.T) {
	const n, takes = 1000, 500 * time.Millisecond
	for _, concurrent := range []int{1000, 200} {
		t.Run(fmt.Sprint(concurrent), func(t *testing.T) {
			p := startProgram(t, filepath.Join(t.TempDir(), "sock"))
			h := start(t, p.url, func(c *Config) { c.Concurrent, c.Lifetime = concurrent, time.Hour })
			for i := range n {
				expect(t, h.Ask(machine(i), t0), Asking)
			}
			now := t0
			for range n / concurrent {
				for range concurrent {
					<-p.asked
				}
				now = now.Add(takes)
				for range concurrent {
					p.say <- says(`{"boot":"linux","variables":{"disk":"sda"}}`)
				}
				for range concurrent {
					<-h.answered
				}
			}
			if second := t0.Add(4 * time.Second); now.After(second) {
				t.Fatalf("the last answer came %v after the first request", now.Sub(t0))
			}
			for i := range n {
				got := h.Ask(machine(i), now)
				if expect(t, got, Known); got.Answer.Boot != "linux" || got.Answer.Variables["disk"] != "sda" {
					t.Fatalf("%+v", got.Answer)
				}
			}
			if p.total.Load() != n {
				t.Errorf("%d questions", p.total.Load())
			}
		})
	}
}

// TestQuestion: what the program is told, once however often a client asks.
func TestQuestion(t *testing.T) {
	p := startProgram(t, "")
	h := start(t, p.url, nil)
	m := machine(7)
	m.UUID = []byte("0123456789abcdef")
	m.Subnet, m.Relay = netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.1")
	var wg sync.WaitGroup
	for range 50 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			expect(t, h.Ask(m, t0), Asking)
		}()
	}
	wg.Wait()
	got, err := json.Marshal(<-p.asked)
	const want = `{"mac":"02:00:00:00:00:07","uuid":"30313233-3435-3637-3839-616263646566","architectures":["x64-uefi"],"http":false,"ipxe":false,` +
		`"vendor_class":"PXEClient:Arch:00007","subnet":"198.51.100.7","relay":"198.51.100.1","circuit_id":"0x0004","server":"boot1"}`
	if err != nil || string(got) != want {
		t.Errorf("asked %s (%v)", got, err)
	}
	p.say <- says(`{"boot":"next","reason":"not mine","color":"blue"}`)
	<-h.answered
	if got := h.Ask(m, t0); got.State != Known || got.Answer.Boot != Next || got.Answer.Reason != "not mine" {
		t.Errorf("%+v", got)
	}
	// iPXE on it is another question.
	m.IPXE = true
	expect(t, h.Ask(m, t0), Asking)
	if q := <-p.asked; !q.IPXE || p.total.Load() != 2 {
		t.Errorf("%+v, %d questions", q, p.total.Load())
	}
	p.say <- says(`{"boot":"x"}`)
}

// TestLifetime: of answers as the program names it, else as configured.
func TestLifetime(t *testing.T) {
	p := startProgram(t, "")
	h := start(t, p.url, func(c *Config) { c.Lifetime = time.Hour })
	for _, tc := range []struct {
		said string
		life time.Duration
	}{{`{"boot":"a"}`, time.Hour}, {`{"boot":"a","ttl":86400}`, 24 * time.Hour}, {`{"boot":"a","ttl":1e300}`, maxLifetime}} {
		expect(t, h.Ask(machine(1), t0), Asking)
		<-p.asked
		p.say <- says(tc.said)
		<-h.answered
		expect(t, h.Ask(machine(1), t0.Add(tc.life)), Known)
		// It is put again when it is out of date; asking took less than a minute.
		expect(t, h.Ask(machine(1), t0.Add(tc.life+time.Minute)), Asking)
		<-p.asked
		p.say <- says(tc.said)
		<-h.answered
		h.Forget()
	}
}

// TestVariables: templates get those of the newest answer, for the profile that
// it named, after it is out of date too.
func TestVariables(t *testing.T) {
	p := startProgram(t, "")
	h := start(t, p.url, func(c *Config) { c.Remember = shards })
	later, mac := t0.Add(keepVariables/2), machine(1).MAC
	say := func(i int, at time.Time, text string) {
		t.Helper()
		expect(t, h.Ask(machine(i), at), Asking)
		<-p.asked
		p.say <- says(text)
		<-h.answered
	}
	disk := func(mac []byte, profile string, at time.Time) string { return h.Variables(mac, profile, at)["disk"] }
	say(1, t0, `{"boot":"linux","ttl":1,"variables":{"disk":"sda"}}`)
	if got := disk(mac, "linux", later); got != "sda" {
		t.Errorf("disk %q", got)
	}
	if a, b, c := disk(mac, "other", later), disk(machine(2).MAC, "linux", later), disk(nil, "linux", later); a+b+c != "" {
		t.Errorf("of another profile %q, machine %q, of nobody %q", a, b, c)
	}
	if got := disk(mac, "linux", t0.Add(keepVariables+time.Second)); got != "" {
		t.Errorf("after an hour %q", got)
	}
	say(1, later, `{"boot":"linux","ttl":1,"variables":{"disk":"sdb"}}`)
	if got := disk(mac, "linux", later); got != "sdb" {
		t.Errorf("of the newer answer %q", got)
	}
	say(1, later.Add(10*time.Minute), `{"boot":"linux"}`)
	if got := disk(mac, "linux", later.Add(10*time.Minute)); got != "" {
		t.Errorf("of an answer without %q", got)
	}
	for i := range 3 * shards {
		say(10+i, t0, `{"boot":"linux","variables":{"disk":"sda"}}`)
	}
	if n := len(h.given.to); n != shards {
		t.Errorf("%d machines are remembered, at most %d", n, shards)
	}
}

// TestSlowDelaysItsOwn: a question that hangs keeps none but its client, which
// has failed by the deadline of Ask's clock; then it is put again.
func TestSlowDelaysItsOwn(t *testing.T) {
	for _, open := range []bool{false, true} {
		p := startProgram(t, "")
		h := start(t, p.url, func(c *Config) { c.FailOpen, c.Retry = open, 5*time.Second })
		slow, quick := machine(1), machine(2)
		expect(t, h.Ask(slow, t0), Asking)
		<-p.asked
		expect(t, h.Ask(quick, t0), Asking)
		<-p.asked
		p.say <- says(`{"boot":"linux"}`) // to either of the two
		<-h.answered
		a, b := h.Ask(slow, t0), h.Ask(quick, t0)
		if b.State != Known {
			slow, quick, a, b = quick, slow, b, a
		}
		expect(t, b, Known)
		expect(t, a, Asking)
		expect(t, h.Ask(slow, t0.Add(time.Hour-1)), Asking)
		got := h.Ask(slow, t0.Add(time.Hour))
		if expect(t, got, Failed); got.Open != open || !errors.Is(got.Err, errDeadline) {
			t.Errorf("%+v", got)
		}
		expect(t, h.Ask(slow, t0.Add(time.Hour+5*time.Second)), Asking)
		<-p.asked
		p.say <- says(`{"boot":"linux"}`)
		<-h.answered
		h.Close() // with a question out
	}
}

// TestDeadProgram: nobody listens.
func TestDeadProgram(t *testing.T) {
	h := start(t, "unix:"+filepath.Join(t.TempDir(), "none"), func(c *Config) { c.Retry = 5 * time.Second })
	expect(t, h.Ask(machine(1), t0), Asking)
	if a := <-h.answered; a.Err == nil {
		t.Fatal("an answer of nobody")
	}
	got := h.Ask(machine(1), t0)
	if expect(t, got, Failed); got.Err == nil || got.Open {
		t.Errorf("%+v", got)
	}
	expect(t, h.Ask(machine(1), t0.Add(time.Minute)), Asking)
	if st := h.Stats(); st.Failures == 0 || st.Kept != 1 {
		t.Errorf("%+v", st)
	}
}

func TestBadAnswers(t *testing.T) {
	p := startProgram(t, "")
	h := start(t, p.url, nil)
	for i, say := range []func(http.ResponseWriter){
		says(``), says(`no`), says(`{}`), says(`{"boot":7}`), says(`{"boot":"a","ttl":-1}`), says(`[]`),
		says(`{"boot":"` + strings.Repeat("x", maxBoot+1) + `"}`),
		says(`{"boot":"a","reason":"` + strings.Repeat("x", maxBody) + `"}`),
		func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) },
		func(w http.ResponseWriter) { http.Error(w, `{"boot":"a"}`, http.StatusInternalServerError) },
		func(w http.ResponseWriter) {
			w.Header().Set("Location", "/again")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
	} {
		expect(t, h.Ask(machine(i), t0), Asking)
		<-p.asked
		p.say <- say
		if a := <-h.answered; a.Err == nil {
			t.Errorf("answer %d is believed: %+v", i, a)
		}
		expect(t, h.Ask(machine(i), t0), Failed)
	}
	if p.total.Load() != 11 {
		t.Errorf("%d questions", p.total.Load())
	}
}

// TestBounds: what waits and what is kept.
func TestBounds(t *testing.T) {
	p := startProgram(t, "")
	h := start(t, p.url, func(c *Config) { c.Concurrent, c.Waiting, c.Remember = 1, 10, 2*shards })
	busy := 0
	for i := range 1000 {
		if h.Ask(machine(i), t0).State == Busy {
			busy++
		}
	}
	st := h.Stats()
	if busy < 900 || st.Busy != uint64(busy) || st.Waiting > 10 || st.Kept > 2*shards {
		t.Errorf("%d busy, %+v", busy, st)
	}
	for i, bad := range []string{"", "unix:sock", "ftp://x/", "http:///x", "http://[", "::"} {
		if h, err := New(Config{URL: bad}); err == nil {
			h.Close()
			t.Errorf("%d: %q is taken", i, bad)
		}
	}
}

func TestKeptIsBounded(t *testing.T) {
	h := start(t, "unix:"+filepath.Join(t.TempDir(), "none"), func(c *Config) { c.Remember = 2 * shards })
	for i := range 2000 {
		if h.Ask(machine(i), t0).State == Asking {
			<-h.answered
		}
	}
	if st := h.Stats(); st.Kept > 2*shards || st.Dropped < 1000 {
		t.Errorf("%+v", st)
	}
}

func TestKnownDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector's own allocations are not counted")
		return
	}
	p := startProgram(t, "")
	h := start(t, p.url, func(c *Config) { c.Lifetime = time.Hour })
	m := machine(1)
	expect(t, h.Ask(m, t0), Asking)
	<-p.asked
	p.say <- says(`{"boot":"a"}`)
	<-h.answered
	if n := testing.AllocsPerRun(100, func() { h.Ask(m, t0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"boot":"linux","ttl":300,"variables":{"disk":"sda"},"reason":"x"}`))
	f.Add([]byte(`{"boot":"","ttl":1e999}`))
	f.Fuzz(func(t *testing.T, said []byte) {
		a, err := parseAnswer(said)
		if err == nil && (a.Boot == "" || a.TTL < 0 || a.TTL > maxLifetime || len(a.Variables) > maxVariables || len(a.Reason) > maxReason) {
			t.Fatalf("%+v", a)
		}
	})
}

func BenchmarkAsk(b *testing.B) {
	h, err := New(Config{URL: "unix:/nonexistent", Deadline: time.Hour, Retry: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	m := machine(1)
	b.ReportAllocs()
	for b.Loop() {
		h.Ask(m, t0)
	}
}
