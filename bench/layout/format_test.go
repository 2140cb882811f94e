package layout

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The format check finds what is wrong also where git does not list the files:
// in a copy of the tree, and in a checkout that belongs to somebody else.
func TestFormatCheck(t *testing.T) {
	if _, err := exec.LookPath("clang-format-14"); err != nil {
		t.Skip("needs clang-format-14")
	}
	const goodGo, goodC = "package x\n\nvar a = 1\n", "int one(void)\n{\n\treturn 1;\n}\n"
	for _, c := range []struct{ name, goFile, cFile, want string }{
		{"good", goodGo, goodC, "format: ok"},
		{"bad Go", "package x\n\nvar  a = 1\n", goodC, "x.go"},
		{"no Go", "package x\n\nvar a = \n", goodC, "x.go"},
		{"bad C", goodGo, "int one(void) { return 1; }\n", "x.c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for path, text := range map[string]string{
				".ci/test": source(t, ".ci/test"), ".ci/find-go": source(t, ".ci/find-go"), ".clang-format": source(t, ".clang-format"),
				"x.go": c.goFile, "bpf/x.c": c.cFile, "bpf/x.h": "\n",
			} {
				path = filepath.Join(dir, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(filepath.Join(dir, ".ci/test"), "format")
			cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
			out, err := cmd.CombinedOutput()
			if good := c.name == "good"; (err == nil) != good || !strings.Contains(string(out), c.want) {
				t.Errorf("%v, want %q in\n%s", err, c.want, out)
			}
		})
	}
}

// source reads a file of the repository.
func source(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
