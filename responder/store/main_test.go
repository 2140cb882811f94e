package store

import (
	"os"
	"testing"
)

// The test binary is also the process that TestKill kills.
func TestMain(m *testing.M) {
	if path := os.Getenv(writerEnv); path != "" {
		write(path)
		return
	}
	os.Exit(m.Run())
}
