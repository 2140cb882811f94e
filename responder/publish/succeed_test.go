package publish

import (
	"errors"
	"slices"
	"testing"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// formerKernel is a kernel with a former daemon's templates.
type formerKernel struct {
	*fakeKernel
	held, kept []*Template
	broken     error
}

func (k *formerKernel) IfIndex() int                 { return 2 }
func (k *formerKernel) Former() ([]*Template, error) { return k.held, nil }

func (k *formerKernel) Keep(t *Template) bool {
	same := slices.ContainsFunc(k.held, func(h *Template) bool {
		return h.Tag == t.Tag && string(h.Mask) == string(t.Mask) && string(h.Reply) == string(t.Reply) && h.Outcome == t.Outcome && h.fits(&packet.Packet{Meta: requests()["uefi"].Meta, Payload: t.Request})
	})
	if same {
		k.kept = append(k.kept, t)
	}
	return same
}

func (k *formerKernel) Adopt() (uint64, error) { return k.Generation(), k.broken }

// left is what a publisher made of some requests.
func left(t *testing.T, names ...string) (list []*Template) {
	b := newBench(t)
	for _, name := range names {
		b.offer(b.Generation(), requests()[name])
		list = append(list, <-b.kernel.published)
	}
	return list
}

func TestSucceed(t *testing.T) {
	held := left(t, "uefi")
	r := answers(t, files())
	by := func(*packet.Meta) (*dhcp.Responder, *dhcp.Link) { return r, lan() }
	for name, tc := range map[string]struct {
		edit          func(k *formerKernel)
		by            Decider
		kept, changed int
		void          bool
	}{
		"the same":           {func(*formerKernel) {}, by, 1, 0, false},
		"another reply":      {func(k *formerKernel) { k.held[0].Reply = nil }, by, 0, 1, false},
		"a tag out of range": {func(k *formerKernel) { k.held[0].Tag = maxTags }, by, 0, 0, true},
		"no tag":             {func(k *formerKernel) { k.held[0].Tag = 0 }, by, 0, 1, false},
		"nobody answers":     {func(*formerKernel) {}, func(*packet.Meta) (*dhcp.Responder, *dhcp.Link) { return nil, nil }, 0, 0, false},
		"a fault":            {func(k *formerKernel) { k.broken = errors.New("no") }, by, 0, 0, true},
		"nothing is held":    {func(k *formerKernel) { k.held = nil }, by, 0, 0, true},
	} {
		one := *held[0]
		k := &formerKernel{fakeKernel: newKernel(), held: []*Template{&one}}
		k.generation = 41
		tc.edit(k)
		tag := one.Tag
		p := New()
		before := k.Generation()
		kept, changed, err := p.Succeed(k, Limits{}, tc.by)
		if kept != tc.kept || changed != tc.changed || !errors.Is(err, k.broken) || (k.Generation() != before) != tc.void || !p.State().Attached {
			t.Errorf("%s: %d kept, %d changed, %v, generation %d after %d", name, kept, changed, err, k.Generation(), before)
		}
		if f, ok := p.Facts(tag); ok != (tc.kept == 1) || ok && f.Decision.File != "snponly.efi" {
			t.Errorf("%s: facts %+v, %v", name, f, ok)
		}
	}
}
