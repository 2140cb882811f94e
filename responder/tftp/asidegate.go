package tftp

import (
	"github.com/xdpxe/xdpxe/responder/content"
)

// gateError is what the gate has against a request that was set aside.
type gateError struct {
	how  Outcome
	text string
	err  error
}

func (e *gateError) Error() string {
	if e.err != nil {
		return e.err.Error()
	}
	return plain(e.text, e.how.String())
}

func (e *gateError) Unwrap() error { return e.err }

// asked describes a session to the gate; nil: there is none.
func (h *aside) asked(t *session) *asked {
	if h.server.opener.gate == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return &asked{client: t.peer.addrPort(), server: t.server, started: t.started, request: t.id, write: t.write}
}

// open opens the file of a read. A file whose last block is held back is only
// for those who read octets: what pin/tftp sends is its own affair.
func (h *aside) open(t *session, name string) (*content.File, error) {
	f := h.server.opener.open(lookup{name: name, asked: h.asked(t)})
	switch {
	case f.how == running && f.follow != nil && f.follow.Holds():
		f.file.Release()
		return nil, &gateError{how: Refused, text: "this file is served in mode octet only"}
	case f.how != running && lookupOutcome(f.err) != f.how:
		return nil, &gateError{f.how, f.text, f.err}
	case f.follow != nil:
		t.follow = h.server.followers.follow(f.follow)
		if f.file != nil {
			t.follow.tell(tiding{kind: tellBegan, bytes: f.file.Size()})
		}
	}
	return f.file, f.err
}

// mayWrite asks the gate about an upload.
func (h *aside) mayWrite(t *session, name string) error {
	a := h.asked(t)
	if a == nil {
		return nil
	}
	root := h.server.root.Load()
	if g := h.server.opener.gate.Open(a.opening(name, root)); g.How != running {
		return &gateError{g.How, g.Text, g.Err}
	}
	return nil
}
