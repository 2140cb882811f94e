package tftpc

import "fmt"

// Outcome is how a transfer stands or ended.
type Outcome uint8

// Outcomes.
const (
	Running     Outcome = iota
	Done                // the file is there and right; of a probe: the size is known
	TimedOut            // nothing that was waited for came, after all retries
	Refused             // the server sent an ERROR
	BadOACK             // the OACK breaks a rule
	NoOptions           // DATA came where the client needs an OACK
	NoTsize             // the OACK has no tsize, or not in lower case
	WrongBytes          // Check said so
	WrongSize           // more or fewer bytes than Size or tsize
	Unreachable         // ICMP said so
	Aborted             // by Abort
)

var outcomeNames = [...]string{"running", "ok", "timeout", "refused", "bad OACK", "no OACK", "no tsize in OACK", "wrong bytes", "wrong size",
	"ICMP unreachable", "aborted"}

func (o Outcome) String() string { return outcomeNames[o] }

// Detail says more about a failure: the server's ERROR, what is wrong with its OACK.
type Detail struct {
	Code   uint16 // of an ERROR
	Text   string // of an ERROR, or of what is wrong; made of printable ASCII
	Offset int64  // in the file, where bytes are wrong
}

// Reason is the outcome and its detail, for counting failures by it.
func (c *Client) Reason() string {
	switch {
	case c.outcome == Refused:
		return fmt.Sprintf("ERROR %d %s", c.detail.Code, c.detail.Text)
	case c.detail.Text != "":
		return c.outcome.String() + ": " + c.detail.Text
	}
	return c.outcome.String()
}

// printable makes text from the wire fit for a line of a report.
func printable(b []byte) string {
	const most = 64
	b = b[:min(len(b), most)]
	s := make([]byte, len(b))
	for i, c := range b {
		if c < ' ' || c > '~' {
			c = '?'
		}
		s[i] = c
	}
	return string(s)
}
