package tftp

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// statement runs the test of statements of PROTOCOL.md section 8, named by id
// ("G1", or "G8 G9" for several).
func statement(t *testing.T, ids, what string, test func(t *testing.T)) {
	t.Helper()
	t.Run(strings.ReplaceAll(ids, " ", "+")+" "+what, test)
}

// TestEveryStatementIsTested reads the tests' sources: no id of G, H and I may be missing.
func TestEveryStatementIsTested(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test sources: %v", err)
	}
	literal := regexp.MustCompile(`"([GHI]\d+(?: [GHI]\d+)*)"`)
	tested := map[string]bool{}
	for _, f := range files {
		if f == "statement_test.go" {
			continue
		}
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range literal.FindAllStringSubmatch(string(src), -1) {
			for id := range strings.FieldsSeq(m[1]) {
				tested[id] = true
			}
		}
	}
	for group, n := range map[string]int{"G": 21, "H": 22, "I": 8} {
		for i := 1; i <= n; i++ {
			id := group + itoa(i)
			if !tested[id] {
				t.Errorf("statement %s has no test", id)
			}
			delete(tested, id)
		}
	}
	for id := range tested {
		t.Errorf("%s is no statement", id)
	}
}
