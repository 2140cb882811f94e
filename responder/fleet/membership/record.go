package membership

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/responder/fleet"
)

// prefix of the members' records in the store.
const prefix = "members/"

const maxName = 128

// record is what a member says of itself.
type record struct {
	Name      string    `json:"name"`
	Host      string    `json:"host"`     // the machine that it runs on
	Instance  string    `json:"instance"` // this run of it
	Draining  bool      `json:"draining,omitempty"`
	Addresses []string  `json:"addresses,omitempty"`
	Version   string    `json:"version,omitempty"`
	Since     time.Time `json:"since"`
}

func (r record) member() fleet.Member {
	return fleet.Member{Name: r.Name, Draining: r.Draining, Addresses: r.Addresses, Version: r.Version, Since: r.Since}
}

func key(name string) string { return prefix + name }

func (r record) encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and a time of our own making
	}
	return b
}

// decode reads a record. Fields that this xdpxe does not know are a newer one's.
func decode(at string, value []byte) (record, error) {
	var r record
	if err := json.Unmarshal(value, &r); err != nil {
		return record{}, fmt.Errorf("%s: %w", at, err)
	}
	if key(r.Name) != at {
		return record{}, fmt.Errorf("%s is of %q", at, r.Name)
	}
	return r, nil
}

func validName(name string) error {
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c == '/' || c == 0x7f }) {
		return fmt.Errorf("server name %q: it must have 1 to %d characters, without spaces and slashes", name, maxName)
	}
	return nil
}
