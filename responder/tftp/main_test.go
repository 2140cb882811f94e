package tftp

import (
	"fmt"
	"os"
	"testing"
)

// children are what the test binary does instead of testing when a variable of
// the environment is set; they are given its value.
var children = map[string]func(string) error{
	childEnv:      serveChild,
	coldServerEnv: coldServer,
}

func TestMain(m *testing.M) {
	for name, run := range children {
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		if err := run(value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}
