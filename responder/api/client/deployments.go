package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/store"
)

// Deploy creates deployments. Without an error each has a result: it was
// created, it existed, or its Problem says why not.
func (c *Client) Deploy(ctx context.Context, ds ...api.NewDeployment) (*api.CreateResults, error) {
	out := new(api.CreateResults)
	if err := c.do(ctx, call{method: http.MethodPost, path: "/deployments", body: ds}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Deployments returns all that pass the filter, in order of their ids.
func (c *Client) Deployments(ctx context.Context, f api.DeploymentFilter) iter.Seq2[deploy.Status, error] {
	q := url.Values{}
	set(q, "state", string(f.State))
	set(q, "machine", f.Machine.String())
	set(q, "group", f.Group)
	set(q, "profile", f.Profile)
	return pages[deploy.Status](ctx, c, "/deployments", q)
}

// Deployment returns one.
func (c *Client) Deployment(ctx context.Context, id string) (*deploy.Status, error) {
	return get[deploy.Status](ctx, c, call{method: http.MethodGet, path: deployment(id)})
}

// Runs returns how far each machine of a group's deployment is.
func (c *Client) Runs(ctx context.Context, id string) iter.Seq2[deploy.GroupRun, error] {
	return pages[deploy.GroupRun](ctx, c, deployment(id)+"/machines", url.Values{})
}

// Cancel withdraws a deployment; rev is the revision that was seen, 0: any.
func (c *Client) Cancel(ctx context.Context, id string, rev store.Rev, reason string) (*deploy.Status, error) {
	return get[deploy.Status](ctx, c, call{method: http.MethodPost, path: deployment(id) + "/cancel", body: api.Reason{Reason: reason}, rev: rev})
}

// Arm lets a deployment run again; a group's for one machine.
func (c *Client) Arm(ctx context.Context, id string, machine deploy.Identity, rev store.Rev) (*deploy.Status, error) {
	return get[deploy.Status](ctx, c, call{method: http.MethodPost, path: deployment(id) + "/arm", body: api.Arm{Machine: machine}, rev: rev})
}

// CallBack tells how an installation went, as its installer would.
func (c *Client) CallBack(ctx context.Context, id string, word api.Callback) error {
	return c.do(ctx, call{method: http.MethodPost, path: deployment(id) + "/callback", body: word}, nil)
}

// Delete forgets a deployment that is over.
func (c *Client) Delete(ctx context.Context, id string, rev store.Rev) error {
	return c.do(ctx, call{method: http.MethodDelete, path: deployment(id), rev: rev}, nil)
}

func deployment(id string) string { return "/deployments/" + url.PathEscape(id) }

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func get[T any](ctx context.Context, c *Client, call call) (*T, error) {
	out := new(T)
	if err := c.do(ctx, call, out); err != nil {
		return nil, err
	}
	return out, nil
}

// pages asks for page after page as they are wanted.
func pages[T any](ctx context.Context, c *Client, path string, q url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		q.Set("limit", strconv.Itoa(deploy.MaxPage))
		for {
			page, err := get[api.Page[T]](ctx, c, call{method: http.MethodGet, path: path, query: q})
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.Set("after", page.Next)
		}
	}
}
