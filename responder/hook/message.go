package hook

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/xdpxe/xdpxe/responder/policy"
)

// Question is what the program is asked.
type Question struct {
	MAC           string     `json:"mac,omitempty"`
	UUID          string     `json:"uuid,omitempty"`
	Architectures []string   `json:"architectures,omitempty"`
	HTTP          bool       `json:"http"`
	IPXE          bool       `json:"ipxe"`
	VendorClass   string     `json:"vendor_class,omitempty"`
	UserClass     string     `json:"user_class,omitempty"`
	Subnet        netip.Addr `json:"subnet,omitzero"`
	Relay         netip.Addr `json:"relay,omitzero"`
	CircuitID     string     `json:"circuit_id,omitempty"`
	RemoteID      string     `json:"remote_id,omitempty"`
	Server        string     `json:"server,omitempty"`
}

// Answer is what the program said.
type Answer struct {
	Boot      string            // a profile, or one of the words below
	Variables map[string]string // for templates
	Reason    string            // for people
	TTL       time.Duration     // how long it is good for; 0: Config.Lifetime
	Err       error             // there is none
}

// What Boot can be beside the name of a profile.
const (
	Ignore = "ignore" // silence
	Local  = "local"  // from its disk
	Next   = "next"   // no opinion: the rules go on
)

// Bounds of an answer.
const (
	maxBody      = 64 << 10
	maxBoot      = 255
	maxReason    = 1024
	maxVariables = 64
	maxShown     = 200 // bytes of what a program said in place of an answer
)

// questionOf copies what a request says of its machine.
func questionOf(m *policy.Machine, server string) Question {
	q := Question{HTTP: m.HTTP, IPXE: m.IPXE, VendorClass: text(m.VendorClass), UserClass: text(m.UserClass),
		Subnet: m.Subnet, Relay: m.Relay, CircuitID: text(m.CircuitID), RemoteID: text(m.RemoteID), Server: server}
	for i, b := range m.MAC {
		if i > 0 {
			q.MAC += ":"
		}
		q.MAC += hex.EncodeToString([]byte{b})
	}
	if len(m.UUID) == 16 {
		d := hex.EncodeToString(m.UUID)
		q.UUID = d[:8] + "-" + d[8:12] + "-" + d[12:16] + "-" + d[16:20] + "-" + d[20:]
	}
	for _, a := range m.Arches[:max(0, min(m.NumArches, policy.MaxArches))] {
		if a != policy.ArchUnknown {
			q.Architectures = append(q.Architectures, a.String())
		}
	}
	return q
}

// text writes what a machine sent: as text if it is, else its digits after 0x.
func text(raw []byte) string {
	if s := string(raw); utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	return "0x" + hex.EncodeToString(raw)
}

// post puts a question and reads the answer.
func (h *Hook) post(ctx context.Context, q Question) (Answer, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return Answer{}, fmt.Errorf("webhook: question: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.target, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("webhook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("webhook: %w", err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return Answer{}, fmt.Errorf("webhook: read the answer: %w", err)
	case len(said) > maxBody:
		return Answer{}, fmt.Errorf("webhook: the answer has more than %d bytes", maxBody)
	case resp.StatusCode != http.StatusOK:
		return Answer{}, fmt.Errorf("webhook: status %d: %q", resp.StatusCode, said[:min(len(said), maxShown)])
	}
	return parseAnswer(said)
}

// parseAnswer reads an answer; fields that are not known are let be, for
// programs that serve a newer xdpxe too.
func parseAnswer(said []byte) (Answer, error) {
	var got struct {
		Boot      string            `json:"boot"`
		TTL       float64           `json:"ttl"`
		Variables map[string]string `json:"variables"`
		Reason    string            `json:"reason"`
	}
	if err := json.Unmarshal(said, &got); err != nil {
		return Answer{}, fmt.Errorf("webhook: answer %q: %w", said[:min(len(said), maxShown)], err)
	}
	switch {
	case got.Boot == "":
		return Answer{}, fmt.Errorf("webhook: answer %q: boot is missing", said[:min(len(said), maxShown)])
	case len(got.Boot) > maxBoot:
		return Answer{}, fmt.Errorf("webhook: boot has %d bytes, at most %d", len(got.Boot), maxBoot)
	case len(got.Variables) > maxVariables:
		return Answer{}, fmt.Errorf("webhook: %d variables, at most %d", len(got.Variables), maxVariables)
	case got.TTL < 0:
		return Answer{}, fmt.Errorf("webhook: ttl %v is negative", got.TTL)
	}
	ttl := time.Duration(min(got.TTL, maxLifetime.Seconds()) * float64(time.Second))
	return Answer{Boot: got.Boot, Variables: got.Variables, Reason: got.Reason[:min(len(got.Reason), maxReason)], TTL: ttl}, nil
}
