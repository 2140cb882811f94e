package store

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

func openBolt(t *testing.T, path string) *Bolt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	b, err := OpenBolt(ctx, path)
	must(t, err)
	t.Cleanup(func() { b.Close() })
	return b
}

func TestBolt(t *testing.T) {
	conform(t, func(t *testing.T) Store { return openBolt(t, filepath.Join(t.TempDir(), "xdpxe.db")) })
}
