package dhcp_test

import (
	"fmt"
	"regexp"
	"testing"
)

// statement is one numbered statement of PROTOCOL.md section 8.
type statement struct {
	id    string
	check func(t *testing.T, s *server)
}

var allStatements = [][]statement{discoverStatements, requestStatements, bootServerStatements, relayStatements, interfaceStatements}

func TestStatements(t *testing.T) {
	for _, table := range allStatements {
		for _, st := range table {
			t.Run(st.id, func(t *testing.T) { st.check(t, newServer(t)) })
		}
	}
}

// notHere are the statements about menus, multicast and WDS, which are not served.
var notHere = map[string]bool{"B5": true, "B6": true, "B7": true, "B8": true, "C8": true, "C11": true, "C16": true}

// inPart are the statements of which a pure function can only show its share,
// and what shows the rest.
var inPart = map[string]string{
	"A33": "Handle answers within the call; the delay on the wire is for measurements: no test asserts times",
	"B9":  "4011 answers without 67; which sockets are opened is cmd/xdpxe's",
	"C13": "there is no load balancing yet",
	"C14": "long names; refusing them for shim profiles is the configuration's",
	"E2":  "the reply names the ingress interface; that it leaves there is responder/conn's",
	"E5":  "a request without a link; which interfaces have one is the server's",
}

func TestEveryStatementHasACase(t *testing.T) {
	ids := make(map[string]int)
	for _, table := range allStatements {
		for _, st := range table {
			ids[st.id]++
		}
	}
	format := regexp.MustCompile(`^[A-E][0-9]+$`)
	for id, n := range ids {
		if n != 1 || !format.MatchString(id) || notHere[id] {
			t.Errorf("%s: %d cases", id, n)
		}
	}
	for section, last := range map[string]int{"A": 37, "B": 9, "C": 16, "D": 11, "E": 6} {
		for i := 1; i <= last; i++ {
			if id := fmt.Sprint(section, i); ids[id] == 0 && !notHere[id] {
				t.Errorf("%s has no case", id)
			}
		}
	}
	for id := range inPart {
		if ids[id] == 0 {
			t.Errorf("%s has no case for its pure part", id)
		}
	}
}
