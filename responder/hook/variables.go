package hook

import (
	"sync"
	"time"
)

// given are the variables of the newest answer about each machine. A machine
// fetches its script long after the question, and by an address only: so they
// are filed by hardware address, and outlive the answer.
type given struct {
	mu   sync.Mutex
	most int
	to   map[hardware]variables
}

type hardware struct {
	mac [16]byte
	n   uint8
}

type variables struct {
	boot   string // what the program said that it boots
	values map[string]string
	at     time.Time // asked
}

// keepVariables bounds how long a machine may take from the question to its last template.
const keepVariables = time.Hour

func (g *given) put(k *key, a *Answer, asked time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	to := hardware{k.mac, k.n}
	if len(a.Variables) == 0 {
		delete(g.to, to)
		return
	}
	if g.to == nil {
		g.to = make(map[hardware]variables)
	}
	if _, known := g.to[to]; !known && len(g.to) >= g.most {
		for one := range g.to { // any: its machine's template says what is missing
			delete(g.to, one)
			break
		}
	}
	g.to[to] = variables{a.Boot, a.Variables, asked}
}

// Variables returns what the program's newest answer about a machine gave for
// the templates of a profile, if it said that the machine boots that; nil: nothing.
// The map is shared and for reading only.
func (h *Hook) Variables(mac []byte, profile string, now time.Time) map[string]string {
	if len(mac) == 0 {
		return nil
	}
	var to hardware
	to.n = uint8(copy(to.mac[:], mac))
	h.given.mu.Lock()
	defer h.given.mu.Unlock()
	v, ok := h.given.to[to]
	if !ok || v.boot != profile || now.Sub(v.at) > keepVariables {
		return nil
	}
	return v.values
}
