package tftp

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/responder/content"
)

// maxMade bounds the bytes of contents that the gate has made and that are being sent.
const maxMade = 256 << 20

var errMade = errors.New("too much is being sent that was made for one client each")

// memory returns a file of what the gate has made.
func (o *opener) memory(name string, data []byte) (*content.File, error) {
	n := int64(len(data))
	if o.made.Add(n) > maxMade {
		o.made.Add(-n)
		return nil, errMade
	}
	path, err := content.Clean(name)
	if err != nil {
		path = name // the gate's own idea
	}
	return content.Memory(path, data, func() { o.made.Add(-n) }), nil
}

// asked is what the gate is to know of a transfer beside the name.
type asked struct {
	client, server netip.AddrPort
	started        time.Time
	request        uint64
	write          bool
	was            *content.Identity // of a transfer that a former process began
}

func (a *asked) opening(name string, root *content.Root) Opening {
	return Opening{Client: a.client, Server: a.server.Addr(), Name: name, Write: a.write, Restored: a.was != nil, Root: root,
		ID: fmt.Sprintf("%v>%v/%x/%x", a.client, a.server, a.started.UnixNano(), a.request)}
}

// asked describes a transfer to the gate; nil: there is none.
func (w *worker) asked(s *slot, was *content.Identity) *asked {
	if w.server.opener.gate == nil {
		return nil
	}
	server := netip.AddrPortFrom(netip.AddrFrom16(s.local).Unmap(), w.endpoints[s.peer.endpoint].tid)
	return &asked{client: s.peer.addrPort(), server: server, started: w.server.epoch.Add(time.Duration(s.started)), request: s.id, was: was}
}
