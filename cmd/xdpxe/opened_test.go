package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/loader"
)

func TestPortError(t *testing.T) {
	denied := fmt.Errorf("listen: %w", syscall.EACCES)
	var f *fault.Error
	if err := portError(denied, 69); !errors.As(err, &f) || f.Code != fault.MachineCode || !strings.Contains(f.Hint, "CAP_NET_BIND_SERVICE") {
		t.Errorf("port 69 denied: %v", err)
	}
	if err := portError(denied, 4011); err != denied {
		t.Errorf("port 4011 needs no capability: %v", err)
	}
	var taken *loader.PortTakenError
	if err := portError(fmt.Errorf("bind: %w", syscall.EADDRINUSE), 67); !errors.As(err, &taken) || taken.Port != 67 || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("port 67 in use: %v", err)
	}
}
