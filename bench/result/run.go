// Package result is what a run of xdpxe-bench found, whatever it measured: one
// model that is printed as a table, written as JSON, drawn as HTML and held
// against bounds (Require).
//
// Figures are in base units: seconds, bytes, bytes or packets a second, counts,
// and shares between 0 and 1. Only printing knows of milliseconds and per cent.
package result

import (
	"math"
	"time"
)

// Schema is the version of the JSON form. It goes up when a field changes its
// meaning or goes away; new fields do not raise it.
const Schema = 1

// Run is one run of one command.
type Run struct {
	Schema   int       `json:"schema"`
	Tool     string    `json:"tool"` // "xdpxe-bench dhcp"
	Version  string    `json:"version"`
	Command  []string  `json:"command"` // as it was typed
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"`
	Machine  Machine   `json:"machine"`
	Settings []Setting `json:"settings,omitempty"` // what was asked for, defaults filled in
	Rows     []Row     `json:"rows"`
	Notes    []string  `json:"notes,omitempty"`
}

// Setting is one parameter of a run, for a reader.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Machine is where a run was made.
type Machine struct {
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Memory   int64             `json:"memory"` // bytes
	Kernel   string            `json:"kernel"`
	System   string            `json:"system"` // PRETTY_NAME of os-release
	Go       string            `json:"go"`
	Programs map[string]string `json:"programs,omitempty"` // versions of the peers that took part
}

// Row is one thing that was measured: the run itself, one peer, one firmware
// profile, one step of a ramp.
type Row struct {
	Name    string   `json:"name"`
	Figures []Figure `json:"figures"`
	// Limit says what kept the figures from being better.
	Limit  *Limit   `json:"limit,omitempty"`
	Curves []Curve  `json:"curves,omitempty"`
	Series []Series `json:"series,omitempty"`
	Spans  []Span   `json:"spans,omitempty"`
	// Failures counts by reason what went wrong.
	Failures map[string]uint64 `json:"failures,omitempty"`
}

// Unit is a figure's base unit.
type Unit string

// Units.
const (
	Count      Unit = "count"
	PerSecond  Unit = "1/s"
	Seconds    Unit = "s"
	Bytes      Unit = "B"
	ByteRate   Unit = "B/s"
	Share      Unit = "share" // 0 to 1, printed as per cent
	Ratio      Unit = "ratio" // of two rows, printed with ×
	SecsPerGiB Unit = "s/GiB"
)

// Figure is one number. Low and High are its spread where it is the median of
// several rounds.
type Figure struct {
	Name  string   `json:"name"`
	Unit  Unit     `json:"unit"`
	Value float64  `json:"value"`
	Low   *float64 `json:"low,omitempty"`
	High  *float64 `json:"high,omitempty"`
}

// Who was the bottleneck.
const (
	ByServer    = "server"
	ByGenerator = "generator" // the server may be better than the figure
	ByRequest   = "request"   // everything that was offered was served
)

// Limit says who was the bottleneck, and how that is known.
type Limit struct {
	By  string `json:"by"`
	Why string `json:"why"`
}

// Curve is a distribution, by percentiles.
type Curve struct {
	Name   string       `json:"name"`
	Unit   Unit         `json:"unit"`
	Points []Percentile `json:"points"`
}

// Percentile says that a share P (0 to 1) of all values is at most V.
type Percentile struct {
	P float64 `json:"p"`
	V float64 `json:"v"`
}

// Series is a quantity over the run's time.
type Series struct {
	Name   string  `json:"name"`
	Unit   Unit    `json:"unit"`
	Points []Point `json:"points"`
}

// Point is a value at T seconds after the start.
type Point struct {
	T float64 `json:"t"`
	V float64 `json:"v"`
}

// Span is one client's life, in seconds after the start.
type Span struct {
	Client  string  `json:"client"`
	From    float64 `json:"from"`
	To      float64 `json:"to"`
	Marks   []Mark  `json:"marks,omitempty"`
	Outcome string  `json:"outcome"` // "ok", or the reason of its failure
}

// Mark is something that happened to a client.
type Mark struct {
	T    float64 `json:"t"`
	What string  `json:"what"`
}

// Add appends a figure. A value that is no number, as a rate over no time is
// none, was not measured and is left out; JSON has no word for it either.
func (r *Row) Add(name string, unit Unit, value float64) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return
	}
	r.Figures = append(r.Figures, Figure{Name: name, Unit: unit, Value: value})
}

// Fail counts n failures for a reason; none are not noted.
func (r *Row) Fail(reason string, n uint64) {
	if n == 0 {
		return
	}
	if r.Failures == nil {
		r.Failures = map[string]uint64{}
	}
	r.Failures[reason] += n
}

// Figure returns a figure by name.
func (r *Row) Figure(name string) (Figure, bool) {
	for _, f := range r.Figures {
		if f.Name == name {
			return f, true
		}
	}
	return Figure{}, false
}

// Row returns a row by name, nil if there is none.
func (r *Run) Row(name string) *Row {
	for i := range r.Rows {
		if r.Rows[i].Name == name {
			return &r.Rows[i]
		}
	}
	return nil
}
