package main

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/hook"
)

// webhook is a program that is asked, as it is configured.
type webhook struct {
	*hook.Hook
	config config.Webhook
	failed atomic.Pointer[string] // why it has no answer to the newest question; nil: it has
}

// openHooks returns the webhooks of a configuration, by name. Those that stay as
// they are stay open, with the answers that they know.
func openHooks(cfg *config.Config, server string, open map[string]*webhook, log *zap.Logger) (map[string]*webhook, error) {
	hooks := make(map[string]*webhook, len(cfg.Webhooks))
	for name, c := range cfg.Webhooks {
		if h := open[name]; h != nil && h.config == c {
			hooks[name] = h
			continue
		}
		h, err := openHook(name, c, server, log)
		if err != nil {
			closeHooks(hooks, open)
			return nil, cfg.Problem("webhooks."+name, err, "")
		}
		hooks[name] = h
	}
	return hooks, nil
}

func openHook(name string, c config.Webhook, server string, log *zap.Logger) (h *webhook, err error) {
	h = &webhook{config: c}
	log = log.With(zap.String("webhook", name))
	h.Hook, err = hook.New(hook.Config{
		URL: c.URL, Server: server, FailOpen: c.OnFailure == config.FailOpen,
		Deadline: c.Deadline, Lifetime: c.Lifetime, Retry: c.Retry, Concurrent: c.Concurrent,
		Answered: func(_ hook.Question, a hook.Answer, took time.Duration) { h.answered(a, took, log) },
	})
	return h, err
}

// answered logs when a program begins to fail, and when it answers again.
func (h *webhook) answered(a hook.Answer, took time.Duration, log *zap.Logger) {
	if a.Err == nil {
		if h.failed.Swap(nil) != nil {
			log.Info("the webhook answers", zap.Duration("took", took))
		}
		return
	}
	why := a.Err.Error()
	if h.failed.Swap(&why) == nil {
		log.Warn("the webhook does not answer: its clients are treated as on-failure says", zap.String("on_failure", h.config.OnFailure), zap.Error(a.Err))
	}
}

// variablesOf returns what templates get of what the webhooks have said of a machine.
func variablesOf(hooks map[string]*webhook) func([]byte, string, time.Time) map[string]string {
	names := slices.Sorted(maps.Keys(hooks))
	return func(mac []byte, profile string, now time.Time) map[string]string {
		for _, name := range names {
			if v := hooks[name].Variables(mac, profile, now); v != nil {
				return v
			}
		}
		return nil
	}
}

// closeHooks closes the webhooks that are not among others.
func closeHooks(hooks, but map[string]*webhook) {
	for name, h := range hooks {
		if but[name] != h {
			h.Close()
		}
	}
}

func hookStatus(hooks map[string]*webhook) (list []control.Webhook) {
	for _, name := range slices.Sorted(maps.Keys(hooks)) {
		h := hooks[name]
		st := h.Stats()
		w := control.Webhook{
			Name: name, Answers: st.Answers, Failures: st.Failures, Busy: st.Busy, Dropped: st.Dropped, Waiting: st.Waiting, Kept: st.Kept,
		}
		if why := h.failed.Load(); why != nil {
			w.Error = *why
		}
		list = append(list, w)
	}
	return list
}
