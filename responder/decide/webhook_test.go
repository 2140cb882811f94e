package decide

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/hook"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// program is a webhook that says one thing to everybody.
func program(t *testing.T, status int, says string, open bool) (h *hook.Hook, answered chan hook.Question) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, says)
	}))
	t.Cleanup(s.Close)
	answered = make(chan hook.Question, 64)
	h, err := hook.New(hook.Config{URL: s.URL, FailOpen: open, Deadline: time.Hour, Retry: time.Hour, Lifetime: time.Hour,
		Answered: func(q hook.Question, _ hook.Answer, _ time.Duration) { answered <- q }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h, answered
}

func TestWebhook(t *testing.T) {
	ask := policy.Rule{Name: "cmdb", Webhook: "cmdb", Boot: "linux"}
	closed := policy.Rule{Name: "cmdb", Webhook: "cmdb"}
	tracked := policy.Rule{Name: "cmdb", Webhook: "cmdb", Boot: "deployed", Unknown: "hold"}
	after := policy.Rule{Name: "after", Boot: "winpe"}
	const ok, down = http.StatusOK, http.StatusBadGateway
	for _, tc := range []struct {
		name   string
		rule   policy.Rule
		status int
		says   string
		open   bool
		want   string // with rule and detail
	}{
		{"a profile", ask, ok, `{"boot":"winpe"}`, false, "~winpe.efi cmdb webhook"},
		{"ignore", ask, ok, `{"boot":"ignore"}`, false, "~rule_ignore cmdb webhook"},
		{"local", ask, ok, `{"boot":"local"}`, false, "~local_boot cmdb webhook"},
		{"no such profile", ask, ok, `{"boot":"gone"}`, false, "~no_file_for_arch cmdb no_such_profile"},
		{"next", ask, ok, `{"boot":"next"}`, false, "~winpe.efi after "},
		{"fails closed", ask, down, "", false, "~webhook_failed cmdb "},
		{"fails open", ask, down, "", true, "~linux.efi cmdb webhook_failed"},
		{"fails open to nothing", closed, down, "", true, "~rule_ignore cmdb webhook_failed"},
		{"fails open to what is deployed", tracked, down, "", true, "~machine_held cmdb unknown_machine"},
		{"a profile for an unknown machine", tracked, ok, `{"boot":"winpe"}`, false, "~winpe.efi cmdb webhook"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBed(t)
			h, answered := program(t, tc.status, tc.says, tc.open)
			d := New(Config{Policy: compile(t, policy.Spec{Rules: []policy.Rule{tc.rule, after}, Webhooks: []string{"cmdb"}}),
				Catalogue: b.Catalogue, Webhooks: map[string]*hook.Hook{"cmdb": h}})
			m := x64(mac(1), b.now)
			look := *m
			look.Trial = true
			for range 3 { // a trial asks nobody
				if got := d.Decide(&look); said(got) != "~webhook_waits" {
					t.Fatalf("trial: %+v", got)
				}
				d.Explain(m)
			}
			if st := h.Stats(); st.Kept != 0 || st.Answers+st.Failures != 0 {
				t.Fatalf("a trial has asked: %+v", st)
			}
			if got := d.Decide(m); said(got) != "~webhook_waits" || got.Detail != notAnswered {
				t.Fatalf("before it is asked: %+v", got)
			}
			select {
			case <-answered:
			case <-time.After(patience):
				t.Fatal("it is not asked")
			}
			for _, m := range []*policy.Machine{m, &look} {
				got := d.Decide(m)
				if text := said(got) + " " + got.Rule + " " + got.Detail; text != tc.want {
					t.Errorf("%s, want %s", text, tc.want)
				}
			}
			var chain []string
			for _, s := range d.Explain(m) {
				chain = append(chain, s.String())
			}
			if text := strings.Join(chain, "\n"); !strings.Contains(text, "webhook cmdb: ") || strings.Contains(text, "rule after") != (tc.name == "next") {
				t.Errorf("explained by\n%s", text)
			}
		})
	}
}

// Questions beyond what can wait are not put, and a webhook that is not there fails closed.
func TestWebhookCannotBeAsked(t *testing.T) {
	stuck := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(stuck) })
	h, err := hook.New(hook.Config{URL: s.URL, Deadline: time.Hour, Concurrent: 1, Waiting: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	rules := compile(t, policy.Spec{Rules: []policy.Rule{{Webhook: "cmdb"}}, Webhooks: []string{"cmdb"}})
	d := New(Config{Policy: rules, Webhooks: map[string]*hook.Hook{"cmdb": h}})
	for i := byte(0); ; i++ {
		got := d.Decide(x64(mac(i), time.Now()))
		if got.Detail == tooMany && said(got) == "~webhook_waits" {
			break
		}
		if got.Detail != notAnswered || i == 10 {
			t.Fatalf("machine %d: %+v", i, got)
		}
	}
	if got := New(Config{Policy: rules}).Decide(x64(mac(1), time.Now())); said(got) != "~webhook_failed" {
		t.Errorf("without it: %+v", got)
	}
}
