package keeper

import "strings"

// message is what the program says in one datagram (sd_notify(3)).
type message struct {
	store, remove bool
	name          string
	ready         bool
	stopping      bool
	pass          string // for the keeper's own manager
}

// defaultName is what systemd calls descriptors without a name.
const defaultName = "stored"

// parse reads a datagram.
func parse(text string) message {
	m := message{name: defaultName}
	var pass []string
	for line := range strings.SplitSeq(text, "\n") {
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		switch key {
		case "FDSTORE":
			m.store = value == "1"
		case "FDSTOREREMOVE":
			m.remove = value == "1"
		case "FDNAME":
			if validName(value) {
				m.name = value
			}
		case "STOPPING":
			m.stopping = true
		case "READY":
			m.ready = value == "1"
			pass = append(pass, line)
		case "STATUS", "RELOADING", "MONOTONIC_USEC", "WATCHDOG", "EXTEND_TIMEOUT_USEC", "ERRNO":
			pass = append(pass, line)
		}
	}
	m.pass = strings.Join(pass, "\n")
	return m
}

// validName says what sd_pid_notify_with_fds(3) takes for a name: LISTEN_FDNAMES
// separates them by colons.
func validName(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return true
}
