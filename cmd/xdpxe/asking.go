package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/api/client"
	"github.com/xdpxe/xdpxe/responder/deploy"
)

// oneArg is for commands that need one argument.
func oneArg(what string) cobra.PositionalArgs {
	some := someArgs(what)
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return userError(fmt.Errorf("%d arguments, and only one %s is expected", len(args), what), "see "+cmd.CommandPath()+" --help")
		}
		return some(cmd, args)
	}
}

// someArgs is for commands that need at least one.
func someArgs(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return userError(fmt.Errorf("no %s", what), "see "+cmd.CommandPath()+" --help")
		}
		return nil
	}
}

// each does something to each argument, until one fails, and says so.
func (r *remote) each(asJSON *bool, done string, do func(ctx context.Context, c *client.Client, arg string) (any, error)) func(*cobra.Command, []string) error {
	return r.ask(func(cmd *cobra.Command, c *client.Client, args []string) error {
		for _, arg := range args {
			result, err := do(cmd.Context(), c, arg)
			if err != nil {
				return err
			}
			switch out := cmd.OutOrStdout(); {
			case *asJSON && result == nil:
				err = printLine(out, map[string]string{"id": arg, "done": done})
			case *asJSON:
				err = printLine(out, result)
			default:
				_, err = fmt.Fprintln(out, clean(arg)+": "+done)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// findMachine is the machine that an operator names: by hardware address, by
// UUID, or as it was described.
func findMachine(ctx context.Context, c *client.Client, text string) (deploy.Identity, error) {
	id, err := deploy.ParseIdentity(text)
	if err == nil && wholeIdentity(id) {
		return id, nil
	}
	if err == nil {
		err = fmt.Errorf("%s is no hardware address of 6 or 8 bytes", text)
	}
	var found []deploy.Identity
	for m, err := range c.Machines(ctx, api.MachineFilter{}) {
		if err != nil {
			return id, err
		}
		if m.Name == text {
			found = append(found, m.ID)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return id, userError(err, "nor has a machine that name; xdpxe machines list shows all")
	}
	return id, userError(fmt.Errorf("%d machines have the name %s: %s", len(found), text, identities(found)), "give the address")
}

// wholeIdentity refuses parts of a hardware address, which nobody has.
func wholeIdentity(id deploy.Identity) bool {
	n := len(id.Bytes())
	return id.IsUUID() || n == 6 || n == 8
}

// machineFlag is findMachine for a flag that may be left out.
func machineFlag(ctx context.Context, c *client.Client, flag, text string) (deploy.Identity, error) {
	if text == "" {
		return deploy.Identity{}, nil
	}
	id, err := findMachine(ctx, c, text)
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		return id, userError(fmt.Errorf("--%s: %w", flag, f.Err), f.Hint)
	}
	return id, err
}

// collect reads a list to its end; keep (nil: all) says what is of interest.
func collect[T any](list iter.Seq2[T, error], keep func(T) bool) ([]T, error) {
	kept := []T{}
	for item, err := range list {
		if err != nil {
			return nil, err
		}
		if keep == nil || keep(item) {
			kept = append(kept, item)
		}
	}
	return kept, nil
}

// bindJSON adds --json to cmd.
func bindJSON(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print JSON")
}

// printJSON prints one object, for people too.
func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printItems prints a list as the API has it, in one page.
func printItems[T any](out io.Writer, items []T) error {
	return printJSON(out, api.Page[T]{Items: items})
}

// printLine prints one object of several on a line of its own.
func printLine(out io.Writer, v any) error { return json.NewEncoder(out).Encode(v) }

// isNotFound reports that what was asked for is not there.
func isNotFound(err error) bool {
	p := (*api.Problem)(nil)
	return errors.As(err, &p) && p.Code == api.CodeNotFound
}
