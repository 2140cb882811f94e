package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/responder/bootfile"
	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/script"
)

// source says where a command takes its configuration from: a file, or, with
// -i and --root alone, the boot programs found in a directory. Given together,
// the flags stand in for what the file says.
type source struct {
	file   string
	ifaces []string
	root   string
}

// bind adds the flags -c, -i and --root to cmd.
func (s *source) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&s.file, "config", "c", "", "configuration `FILE`")
	f.StringSliceVarP(&s.ifaces, "interface", "i", nil, "`INTERFACE` to serve, repeatable; \"auto\" for all that can be")
	f.StringVar(&s.root, "root", "", "`DIRECTORY` of the boot files")
	cmd.MarkFlagFilename("config", "yaml", "yml")
	cmd.MarkFlagDirname("root")
}

// load returns the configuration, checked but for the existence of boot files
// (checkFiles), and, if it was made of a directory, what was found there.
func (s *source) load() (*config.Config, []config.Found, error) {
	var cfg *config.Config
	var found []config.Found
	var err error
	switch {
	case s.file != "":
		cfg, err = config.Load(s.file)
		if errors.Is(err, fs.ErrNotExist) {
			err = userError(err, "")
		}
	case s.root != "":
		var root string
		if root, err = filepath.Abs(s.root); err != nil {
			return nil, nil, err
		}
		cfg, found, err = config.Discover(os.DirFS(root))
		if err != nil {
			err = userError(fmt.Errorf("%s: %w", root, err), "")
		}
	default:
		err = userError(errors.New("no configuration"), "give -c FILE, or -i INTERFACE and --root DIRECTORY")
	}
	if err != nil {
		return nil, nil, err
	}
	if err := cfg.Apply(config.Flags{Interfaces: s.ifaces, Root: s.root}); err != nil {
		return nil, nil, userError(err, "")
	}
	return cfg, found, nil
}

// checkUploads makes sure that the folder of uploads exists. Whether it may be
// written to is a question of who the daemon runs as.
func checkUploads(cfg *config.Config) error {
	if cfg.TFTP.Uploads == nil {
		return nil
	}
	root, err := os.OpenRoot(cfg.TFTP.Uploads.Dir)
	if err != nil {
		return cfg.Problem("tftp.uploads.dir", err, uploadsHint)
	}
	return root.Close()
}

// checkFiles makes sure that every boot file below the root exists, or the
// template that it is made from, and may be read, in the spelling that clients get
// or in another case, as TFTP finds it.
func checkFiles(cfg *config.Config) error {
	if cfg.Root == "" {
		return nil // Complete says whether that is wrong
	}
	root, err := content.Open(cfg.Root)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return cfg.Problem("root", fmt.Errorf("%s: %w", cfg.Root, err), "")
	}
	defer root.Close()
	return cfg.Check(func(name string) error {
		f, err := root.Lookup(name)
		if errors.Is(err, content.ErrNotFound) {
			f, err = root.Lookup(name + bootfile.TemplateSuffix)
		}
		switch {
		case err == nil:
			f.Release()
			return nil
		case errors.Is(err, content.ErrNotFound):
			return fmt.Errorf("not found below %s", cfg.Root)
		case errors.Is(err, content.ErrIsDir):
			return errors.New("is a directory")
		case errors.Is(err, content.ErrRefused):
			return errors.New("may not be read, or leads out of root")
		}
		return err
	})
}

// checkTemplates parses the templates that profiles name.
func checkTemplates(cfg *config.Config) error {
	if cfg.Root == "" {
		return nil
	}
	root, err := content.Open(cfg.Root)
	if err != nil {
		return nil // as checkFiles says
	}
	defer root.Close()
	var all config.Errors
	for _, problem := range bootfile.Check(root, cfg.Policy) {
		e := &config.Error{Msg: problem.Error(), Err: problem}
		var wrong *script.Error
		if errors.As(problem, &wrong) {
			e = &config.Error{File: wrong.File, Line: wrong.Line, Col: wrong.Col, Msg: wrong.Msg, Hint: wrong.Hint, Err: problem}
		}
		all = append(all, e)
	}
	if len(all) == 0 {
		return nil
	}
	return all
}
