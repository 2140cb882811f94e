package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/deploy"
)

// Profiles returns those of the policy in force.
func (c *Client) Profiles(ctx context.Context) ([]api.Profile, error) {
	page, err := get[api.Page[api.Profile]](ctx, c, call{method: http.MethodGet, path: "/profiles"})
	if err != nil {
		return nil, err
	}
	return page.Items, nil
}

// Members returns the servers of the fleet.
func (c *Client) Members(ctx context.Context) (*api.Members, error) {
	return get[api.Members](ctx, c, call{method: http.MethodGet, path: "/members"})
}

// Drain has the others take over the daemon's machines.
func (c *Client) Drain(ctx context.Context) (*api.Members, error) {
	return get[api.Members](ctx, c, call{method: http.MethodPost, path: "/members/self/drain"})
}

// Resume undoes Drain.
func (c *Client) Resume(ctx context.Context) (*api.Members, error) {
	return get[api.Members](ctx, c, call{method: http.MethodPost, path: "/members/self/resume"})
}

// Explain says what the daemon would do with a client, and why.
func (c *Client) Explain(ctx context.Context, q api.Query) (*api.Explanation, error) {
	return get[api.Explanation](ctx, c, call{method: http.MethodGet, path: "/explain", query: q.Values()})
}

// Events returns what happens from now on, to all machines or to one (zero:
// all), until ctx ends or the daemon does. An Event with Dropped says that so
// many are missing here.
func (c *Client) Events(ctx context.Context, machine deploy.Identity) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		q := url.Values{}
		set(q, "machine", machine.String())
		resp, err := c.send(ctx, call{method: http.MethodGet, path: "/events", query: q})
		if err != nil {
			yield(api.Event{}, err)
			return
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		name := ""
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch field {
			case "event":
				name = value
			case "data":
				e, err := event(name, value)
				if err != nil {
					yield(api.Event{}, fmt.Errorf("%s: events: %w", c.where, err))
					return
				}
				if !yield(e, nil) {
					return
				}
			}
		}
		err = lines.Err()
		if err == nil {
			err = io.EOF
		}
		if ctx.Err() == nil && !errors.Is(err, io.EOF) {
			yield(api.Event{}, fmt.Errorf("%s: events: %w", c.where, err))
		}
	}
}

// event reads one; its data is on one line.
func event(name, data string) (e api.Event, err error) {
	if name == api.EventDropped {
		var d api.Dropped
		err = json.Unmarshal([]byte(data), &d)
		return api.Event{Dropped: d.Dropped}, err
	}
	return e, json.Unmarshal([]byte(data), &e)
}
