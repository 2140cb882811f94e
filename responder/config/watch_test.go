package config

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// patience bounds a wait that a correct program ends long before.
const patience = 20 * time.Second

// TestWatch: the ways in which configuration files are changed.
func TestWatch(t *testing.T) {
	write := func(t *testing.T, path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name   string
		path   string // what is watched, below the directory
		before func(t *testing.T, dir string)
		change []func(t *testing.T, dir string)
	}{
		{"edited in place", "a.yaml", nil, []func(*testing.T, string){
			func(t *testing.T, dir string) { write(t, dir+"/a.yaml", "longer than before") },
		}},
		{"replaced by rename, again and again", "a.yaml", nil, []func(*testing.T, string){
			func(t *testing.T, dir string) {
				write(t, dir+"/a.yaml.new", "two")
				must(t, os.Rename(dir+"/a.yaml.new", dir+"/a.yaml"))
			},
			func(t *testing.T, dir string) {
				write(t, dir+"/a.yaml.new", "six")
				must(t, os.Rename(dir+"/a.yaml.new", dir+"/a.yaml"))
			},
			func(t *testing.T, dir string) { write(t, dir+"/a.yaml", "and in place") },
		}},
		{"removed and written", "a.yaml", nil, []func(*testing.T, string){
			func(t *testing.T, dir string) {
				must(t, os.Remove(dir+"/a.yaml"))
				write(t, dir+"/a.yaml", "anew")
			},
		}},
		{"kept as a backup, then written", "a.yaml", nil, []func(*testing.T, string){
			func(t *testing.T, dir string) {
				must(t, os.Rename(dir+"/a.yaml", dir+"/a.yaml~"))
				write(t, dir+"/a.yaml", "anew")
			},
		}},
		{"ConfigMap", "b.yaml", func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir+"/..1", 0o700))
			write(t, dir+"/..1/b.yaml", "one")
			must(t, os.Symlink("..1", dir+"/..data"))
			must(t, os.Symlink("..data/b.yaml", dir+"/b.yaml"))
		}, []func(*testing.T, string){
			func(t *testing.T, dir string) {
				must(t, os.Mkdir(dir+"/..2", 0o700))
				write(t, dir+"/..2/b.yaml", "two")
				must(t, os.Symlink("..2", dir+"/..new"))
				must(t, os.Rename(dir+"/..new", dir+"/..data"))
				must(t, os.RemoveAll(dir+"/..1"))
			},
			func(t *testing.T, dir string) {
				must(t, os.Mkdir(dir+"/..3", 0o700))
				write(t, dir+"/..3/b.yaml", "three")
				must(t, os.Symlink("..3", dir+"/..new"))
				must(t, os.Rename(dir+"/..new", dir+"/..data"))
			},
		}},
		{"link to another folder", "b.yaml", func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir+"/other", 0o700))
			write(t, dir+"/other/c.yaml", "one")
			must(t, os.Symlink(dir+"/other/c.yaml", dir+"/b.yaml"))
		}, []func(*testing.T, string){
			func(t *testing.T, dir string) { write(t, dir+"/other/c.yaml", "longer than before") },
		}},
		{"folder made again", "sub/a.yaml", func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir+"/sub", 0o700))
			write(t, dir+"/sub/a.yaml", "one")
		}, []func(*testing.T, string){
			func(t *testing.T, dir string) {
				must(t, os.RemoveAll(dir+"/sub"))
				must(t, os.Mkdir(dir+"/sub", 0o700))
				write(t, dir+"/sub/a.yaml", "anew")
			},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir+"/a.yaml", "one")
			if tc.before != nil {
				tc.before(t, dir)
			}
			path := filepath.Join(dir, tc.path)
			seen := make(chan string, 100)
			err := Watch(t.Context(), path, func() {
				text, _ := os.ReadFile(path)
				seen <- string(text)
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, change := range tc.change {
				change(t, dir)
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				timeout := time.After(patience)
				for got := ""; got != string(want); {
					select {
					case got = <-seen:
					case <-timeout:
						t.Fatalf("change %d was not seen", i)
					}
				}
			}
		})
	}
}

// TestWatchOthers: what happens to other files of the folder, and to this one's
// mode, is not reported as a change.
func TestWatchOthers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan string, 100)
	if err := Watch(ctx, path, func() {
		text, _ := os.ReadFile(path)
		seen <- string(text)
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b.yaml", "a.yaml.swp", "b.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-seen:
		if got != "second" {
			t.Errorf("reported with the content %q", got)
		}
	case <-time.After(patience):
		t.Fatal("the change was not seen")
	}
}

func TestWatchNothing(t *testing.T) {
	if err := Watch(t.Context(), filepath.Join(t.TempDir(), "none", "a.yaml"), func() {}); err == nil {
		t.Error("a folder that is not there can be watched")
	}
}
