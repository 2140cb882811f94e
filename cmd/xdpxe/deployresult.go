package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/responder/api"
)

// maxShown is how many deployments of one call are told of one by one.
const maxShown = 20

// printCreated says what becomes of each deployment.
func printCreated(out io.Writer, results *api.CreateResults, ds []api.NewDeployment, now time.Time) error {
	if len(ds) > maxShown {
		_, err := fmt.Fprintf(out, "%d deployments created, %d existed already, %d not created\n", results.Created, results.Existed, results.Failed)
		return err
	}
	for i, item := range results.Items {
		text := nextText(&ds[i], now)
		switch {
		case item.Problem != nil:
			continue
		case item.Existed:
			text = "existed already, and is the same; \"xdpxe deploy show " + item.ID + "\" says how far it is"
		}
		if _, err := fmt.Fprintf(out, "%s: %s\n", item.ID, clean(text)); err != nil {
			return err
		}
	}
	return nil
}

// notCreated is an error that tells of those that were not created.
func notCreated(results *api.CreateResults, ds []api.NewDeployment) error {
	var text strings.Builder
	told := 0
	var first *api.Problem
	for i, item := range results.Items {
		if item.Problem == nil {
			continue
		}
		if told++; told == 1 {
			first = item.Problem
		}
		if told <= maxShown {
			fmt.Fprintf(&text, "\n  %s: %s", ds[i].Target, item.Problem.Error())
		}
	}
	if told == 0 {
		return nil
	}
	if told > maxShown {
		fmt.Fprintf(&text, "\n  and %d more", told-maxShown)
	}
	err := fmt.Errorf("%s not created:%s", count(told, "deployment"), text.String())
	if first.Status >= 500 {
		return machineError(err, problemHints[first.Code])
	}
	return userError(err, problemHints[first.Code])
}

// forPeople makes mistakes say which machine's deployment they are in:
// "[3].profile" is "52:54:00:12:34:56: profile".
func forPeople(err error, ds []api.NewDeployment) error {
	p := (*api.Problem)(nil)
	if !errors.As(err, &p) {
		return err
	}
	told := *p
	told.Errors = nil
	for _, e := range p.Errors {
		if index, field, ok := strings.Cut(strings.TrimPrefix(e.Field, "["), "]."); ok && strings.HasPrefix(e.Field, "[") {
			if i, err := strconv.Atoi(index); err == nil && i >= 0 && i < len(ds) {
				e.Field = ds[i].Target.String() + ": " + field
			}
		}
		told.Errors = append(told.Errors, e)
	}
	return &told
}
