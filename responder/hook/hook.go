package hook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/xdpxe/xdpxe/responder/policy"
)

// Config says whom to ask, and how long an answer may take and is good for.
// Zero fields are the defaults.
type Config struct {
	URL    string // http://…, https://…, or unix:/path of a socket
	Server string // who asks
	Client *http.Client

	FailOpen bool // Reply.Open of a failure

	Deadline   time.Duration // of an answer; default 3 s
	Lifetime   time.Duration // of an answer that names none; default 1 min
	Retry      time.Duration // how long a failure counts as the answer; default 5 s
	Concurrent int           // questions out at a time; default 1024
	Waiting    int           // questions that wait for one of these; default 16384
	Remember   int           // answers kept; default 65536

	// Answered is called with each answer, by several goroutines.
	Answered func(Question, Answer, time.Duration)
}

// maxLifetime bounds what the program may ask for.
const maxLifetime = 24 * time.Hour

// Hook is one outside program.
type Hook struct {
	cfg    Config
	target string
	client *http.Client
	queue  chan *entry

	shards [shards]shard
	given  given

	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// New returns a hook that asks until it is closed.
func New(c Config) (*Hook, error) {
	setDefault(&c.Deadline, 3*time.Second)
	setDefault(&c.Lifetime, time.Minute)
	setDefault(&c.Retry, 5*time.Second)
	setDefault(&c.Concurrent, 1024)
	setDefault(&c.Waiting, 16_384)
	setDefault(&c.Remember, 65_536)
	if c.Answered == nil {
		c.Answered = func(Question, Answer, time.Duration) {}
	}
	target, socket, err := parseURL(c.URL)
	if err != nil {
		return nil, err
	}
	h := &Hook{cfg: c, target: target, client: c.Client, queue: make(chan *entry, c.Waiting)}
	if h.client == nil {
		h.client = newClient(socket, c.Concurrent)
	}
	h.init()
	h.given.most = c.Remember
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.done.Add(1)
	go h.dispatch()
	return h, nil
}

func setDefault[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// CheckURL says what is wrong with a Config.URL.
func CheckURL(text string) error {
	_, _, err := parseURL(text)
	return err
}

// parseURL returns what to post to, and the socket to connect to if it is one.
func parseURL(text string) (target, socket string, err error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			return "", "", fmt.Errorf("webhook %q: a socket is unix:/path", text)
		}
		return "http://localhost/", path, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", "", fmt.Errorf("webhook: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", "", fmt.Errorf("webhook %q: neither http://host/…, https://host/… nor unix:/path", text)
	}
	return text, "", nil
}

func newClient(socket string, conns int) *http.Client {
	dialer := &net.Dialer{}
	transport := &http.Transport{DialContext: dialer.DialContext, MaxIdleConns: conns, MaxIdleConnsPerHost: conns, IdleConnTimeout: time.Minute}
	if socket != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Close stops asking, and waits for questions that are out.
func (h *Hook) Close() {
	h.cancel()
	h.done.Wait()
	h.client.CloseIdleConnections()
}

// State says what Ask has.
type State uint8

const (
	Known  State = iota // an answer
	Asking              // not yet: the client asks again
	Failed              // none, and Reply.Err says why
	Busy                // too many questions wait: the client asks again
)

// Reply is what is known of a client's question.
type Reply struct {
	State  State
	Answer *Answer // Known; shared, for reading only
	Err    error   // Failed
	Open   bool    // Failed: the rules go on as if the program had no opinion; else silence
}

var errDeadline = errors.New("no answer by the deadline")

// Ask returns the answer to a client's question as far as it is known. It never
// waits, and allocates only where it has to ask.
func (h *Hook) Ask(m *policy.Machine, now time.Time) Reply {
	k := h.keyOf(m)
	s := &h.shards[k.rest%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if reply, ok := h.look(s, k, now); ok {
		return reply
	}
	delete(s.entries, k) // who still works on it finds it gone
	e := &entry{key: k, question: questionOf(m, h.cfg.Server), asked: now, deadline: now.Add(h.cfg.Deadline)}
	select {
	case h.queue <- e:
	default:
		s.busy++
		return Reply{State: Busy}
	}
	s.add(e, now, h.cfg.Remember/shards)
	return Reply{State: Asking}
}

// Look returns what Ask would, but asks nothing: what is not known is Asking.
func (h *Hook) Look(m *policy.Machine, now time.Time) Reply {
	k := h.keyOf(m)
	s := &h.shards[k.rest%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	reply, ok := h.look(s, k, now)
	if !ok {
		return Reply{State: Asking}
	}
	return reply
}

// look returns what is known or under way; the caller holds the shard's lock.
func (h *Hook) look(s *shard, k key, now time.Time) (Reply, bool) {
	e := s.entries[k]
	switch {
	case e == nil:
	case e.answered && now.Before(e.until):
		return h.reply(e), true
	case e.answered: // out of date
	case now.Before(e.deadline):
		return Reply{State: Asking}, true
	case now.Before(e.deadline.Add(h.cfg.Retry)):
		return Reply{State: Failed, Err: errDeadline, Open: h.cfg.FailOpen}, true
	}
	return Reply{}, false
}

// dispatch puts questions to the program, so many at a time.
func (h *Hook) dispatch() {
	defer h.done.Done()
	slots := make(chan struct{}, h.cfg.Concurrent)
	for {
		var e *entry
		select {
		case <-h.ctx.Done():
			return
		case e = <-h.queue:
		}
		select {
		case <-h.ctx.Done():
			return
		case slots <- struct{}{}:
		}
		h.done.Add(1)
		go func() {
			defer h.done.Done()
			h.put(e)
			<-slots
		}()
	}
}

// put asks one question and files the answer.
func (h *Hook) put(e *entry) {
	if !h.wanted(e) {
		return
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(h.ctx, h.cfg.Deadline)
	defer cancel()
	answer, err := h.post(ctx, e.question)
	took := time.Since(began)
	if h.ctx.Err() != nil {
		return
	}
	h.file(e, answer, err, took)
	answer.Err = err
	h.cfg.Answered(e.question, answer, took)
}
