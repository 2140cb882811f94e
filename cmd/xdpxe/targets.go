package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/xdpxe/xdpxe/responder/deploy"
)

// maxInput bounds a list of machines or deployments, in bytes.
const maxInput = 64 << 20

// recipient is whom a deployment is for, and what is its own only.
type recipient struct {
	deploy.Target
	vars map[string]string
}

// targetOf is the target that names one machine.
func targetOf(id deploy.Identity) deploy.Target {
	if id.IsUUID() {
		return deploy.Target{UUID: id}
	}
	return deploy.Target{MAC: id}
}

// readInput reads a file whole; "-" is in.
func readInput(path string, in io.Reader) (name string, text []byte, err error) {
	name = path
	if path == "-" {
		name = "standard input"
	} else {
		file, err := os.Open(path)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return name, nil, userError(err, "")
			}
			return name, nil, machineError(err, "")
		}
		defer file.Close()
		in = file
	}
	text, err = io.ReadAll(io.LimitReader(in, maxInput+1))
	switch {
	case err != nil:
		return name, nil, machineError(fmt.Errorf("read %s: %w", name, err), "")
	case len(text) > maxInput:
		return name, nil, userError(fmt.Errorf("%s has more than %s", name, bytesText(maxInput)), "divide it")
	}
	return name, text, nil
}

// isJSON reports whether a list is deployments in JSON, not lines.
func isJSON(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n\ufeff")
	return len(text) > 0 && (text[0] == '[' || text[0] == '{')
}

// parseTargets reads one machine per line, with variables of its own behind it:
//
//	52:54:00:12:34:56 hostname=web1
func parseTargets(name string, text []byte) ([]recipient, error) {
	var targets []recipient
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	lines.Buffer(nil, maxInput)
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		mistake := func(word string, err error) error {
			return userError(fmt.Errorf("%s:%d:%d: %w", name, n, strings.Index(line, word)+1, err),
				"one machine per line: a hardware address or a UUID, and behind it NAME=VALUE of variables")
		}
		id, err := deploy.ParseIdentity(words[0])
		if err == nil && !wholeIdentity(id) {
			err = fmt.Errorf("%s is no hardware address of 6 or 8 bytes", words[0])
		}
		if err != nil {
			return nil, mistake(words[0], err)
		}
		t := recipient{Target: targetOf(id)}
		for _, word := range words[1:] {
			if t.vars, err = addVariable(t.vars, word); err != nil {
				return nil, mistake(word, err)
			}
		}
		targets = append(targets, t)
	}
	if err := lines.Err(); err != nil {
		return nil, userError(fmt.Errorf("%s: %w", name, err), "")
	}
	if len(targets) == 0 {
		return nil, userError(fmt.Errorf("%s names no machine", name), "")
	}
	return targets, nil
}

// addVariable adds NAME=VALUE.
func addVariable(vars map[string]string, text string) (map[string]string, error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return vars, fmt.Errorf("%q is no variable: NAME=VALUE", text)
	}
	if _, twice := vars[name]; twice {
		return vars, fmt.Errorf("variable %s is given twice", name)
	}
	if vars == nil {
		vars = make(map[string]string)
	}
	vars[name] = value
	return vars, nil
}

// parseDeployments reads deployments in the API's JSON: an array of them, or
// one behind the other. Who reads it has them checked by the daemon.
func parseDeployments(name string, text []byte) ([]json.RawMessage, error) {
	var all []json.RawMessage
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	in := json.NewDecoder(bytes.NewReader(text))
	for {
		var one json.RawMessage
		err := in.Decode(&one)
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			at := in.InputOffset()
			if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
				at = max(syntax.Offset-1, 0) // that of the character that is wrong
			}
			line, col := position(text, at)
			return nil, userError(fmt.Errorf("%s:%d:%d: %w", name, line, col, err), "")
		}
		if one[0] != '[' {
			all = append(all, one)
			continue
		}
		var list []json.RawMessage
		if err := json.Unmarshal(one, &list); err != nil {
			return nil, userError(fmt.Errorf("%s: %w", name, err), "")
		}
		all = append(all, list...)
	}
}

// position is the line and column of an offset.
func position(text []byte, offset int64) (line, col int) {
	before := text[:min(int(offset), len(text))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}
