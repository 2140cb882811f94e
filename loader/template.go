package loader

import (
	"errors"

	"github.com/xdpxe/xdpxe/bpf"
)

// Template says which requests the program answers or ignores by itself, and how.
type Template = bpf.Template

// Echo is a piece of a request that a Template's reply repeats.
type Echo = bpf.Echo

// Event is what a template did to one request.
type Event = bpf.Event

// Why Publish takes no template; there are errors with more words around these.
var (
	// ErrTemplate: the program cannot hold it, whatever else it holds.
	ErrTemplate = bpf.ErrTemplate
	// ErrTemplatesFull: no room. Where the last time is long enough ago, a
	// new generation has begun, and what is published in it has room.
	ErrTemplatesFull = errors.New("no room for more templates")
	// ErrGeneration: the template is of another generation than Generation says.
	ErrGeneration = errors.New("template of another generation")
	// ErrConflict: other templates say otherwise of the same requests.
	ErrConflict = errors.New("another template for the same requests")
	// ErrNoTemplates: there is no program.
	ErrNoTemplates = errors.New("no program that could hold templates")
)

// TemplateInfo is what status shows of the templates of an interface.
type TemplateInfo struct {
	Generation    uint64 `json:"generation"`
	Active        bool   `json:"active"` // the program looks at them
	Patterns      int    `json:"patterns"`
	MaxPatterns   int    `json:"max_patterns"`
	Exact         int    `json:"exact"`
	MaxExact      int    `json:"max_exact"`
	Replies       int    `json:"replies"`
	MaxReplies    int    `json:"max_replies"`
	Layouts       int    `json:"layouts"`
	MaxLayouts    int    `json:"max_layouts"`
	EventsDropped uint64 `json:"events_dropped"`
	Answer67      bool   `json:"answer_67"`
	Answer4011    bool   `json:"answer_4011"`
}

// Methods of Datapath to come, by which others can build:
//
//	Publish(t *Template) error                  // may block for some 10 ms in a new generation
//	Void() uint64                               // all templates are void at once; the new generation
//	Generation() uint64                         // 0: no program
//	StandAside(on bool)                         // the program looks at no template meanwhile; they stay
//	SetAnswer(on67, on4011 bool) error          // may the program answer (XDP_TX)? First: no
//	Outcomes() ([bpf.MaxOutcomes]uint64, error) // exact, by Template.Outcome
//	Events(each func(*Event)) error             // what there is now; never waits
//	Templates() (TemplateInfo, error)
