package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/api/client"
	"github.com/xdpxe/xdpxe/responder/deploy"
)

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

// optionalMachine reads a flag that may be left out.
func optionalMachine(flag, text string) (deploy.Identity, error) {
	if text == "" {
		return deploy.Identity{}, nil
	}
	id, err := deploy.ParseIdentity(text)
	if err != nil {
		return id, userError(fmt.Errorf("--%s: %w", flag, err), "")
	}
	return id, nil
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
