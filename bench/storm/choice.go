package storm

import (
	"time"
)

// choice is how a kind of firmware chooses. Nothing of it keeps a datagram's
// payload but by an offer, whose payload is its own.
type choice struct {
	// judge reads an offer; the error is why the firmware throws it away.
	judge func(m *Machine, s *Step, d Datagram) (*offer, error)
	// decide is asked after each offer, and when a wait has expired. It sets lease,
	// and plan, boot or failure, and returns true; or false: wait on.
	decide func(m *Machine, since time.Duration, expired bool) bool
	// answer reads the answer of a boot server on 4011.
	answer func(m *Machine, asked *offer, d Datagram) (bootFile, error)
}

// httpChoice is the one that ends at a URL.
const httpChoice = "http"

var choices = map[string]choice{
	"edk2":         {judgeEDK2, decideEDK2, answerEDK2},
	"ipxe":         {judgeIPXE, decideIPXE, answerIPXE},
	"rom":          {judgeROM, decideROM, answerROM},
	httpChoice:     {judgeHTTP, decideHTTP, nil},
	"raspberry-pi": {judgePi, decidePi, nil},
}
