// Package config reads the configuration file and turns it into values that
// the daemon can use as they are: checked, with defaults, the policy compiled.
//
// Parse is strict. Keys that it does not know, keys written twice, values of
// the wrong kind or out of bounds are errors, each with line and column, and
// all of them are reported, not only the first. What is suspicious but can be
// meant is in Config.Warnings. example.yaml shows every key.
//
// A file name is not looked up here: Config.Check asks its caller whether boot
// files exist, since names below the root follow the rules of responder/content.
//
// Without a file, Discover makes a configuration of the boot programs that it
// finds in a directory. Watch tells when the file changes.
package config
