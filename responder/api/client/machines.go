package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/store"
)

// Machines returns all recorded machines that pass the filter, in order.
func (c *Client) Machines(ctx context.Context, f api.MachineFilter) iter.Seq2[deploy.MachineStatus, error] {
	q := url.Values{}
	set(q, "state", f.State)
	set(q, "group", f.Group)
	return pages[deploy.MachineStatus](ctx, c, "/machines", q)
}

// Machine returns all that is known of one, its timeline too.
func (c *Client) Machine(ctx context.Context, id deploy.Identity) (*api.Machine, error) {
	return get[api.Machine](ctx, c, call{method: http.MethodGet, path: machine(id)})
}

// Describe gives a machine a name and a note.
func (c *Client) Describe(ctx context.Context, id deploy.Identity, rev store.Rev, p api.MachinePatch) error {
	return c.do(ctx, call{method: http.MethodPatch, path: machine(id), body: p, rev: rev}, nil)
}

// Forget removes what is recorded of a machine, its approval too.
func (c *Client) Forget(ctx context.Context, id deploy.Identity, rev store.Rev) error {
	return c.do(ctx, call{method: http.MethodDelete, path: machine(id), rev: rev}, nil)
}

// Approve lets a machine boot.
func (c *Client) Approve(ctx context.Context, id deploy.Identity, rev store.Rev, a api.Approve) error {
	return c.do(ctx, call{method: http.MethodPost, path: machine(id) + "/approve", body: a, rev: rev}, nil)
}

func machine(id deploy.Identity) string { return "/machines/" + url.PathEscape(id.String()) }

// Ignored returns the ignore list, vendors first.
func (c *Client) Ignored(ctx context.Context) iter.Seq2[deploy.IgnoredStatus, error] {
	return pages[deploy.IgnoredStatus](ctx, c, "/ignored", url.Values{})
}

// Ignore puts a machine or a vendor on the ignore list.
func (c *Client) Ignore(ctx context.Context, p deploy.Pattern, reason string) error {
	return c.do(ctx, call{method: http.MethodPut, path: "/ignored/" + url.PathEscape(p.String()), body: api.Reason{Reason: reason}}, nil)
}

// Unignore takes it off again.
func (c *Client) Unignore(ctx context.Context, p deploy.Pattern) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/ignored/" + url.PathEscape(p.String())}, nil)
}

// Groups returns all groups, in order of their names.
func (c *Client) Groups(ctx context.Context) iter.Seq2[deploy.GroupStatus, error] {
	return pages[deploy.GroupStatus](ctx, c, "/groups", url.Values{})
}

// Group returns one.
func (c *Client) Group(ctx context.Context, name string) (*deploy.GroupStatus, error) {
	return get[deploy.GroupStatus](ctx, c, call{method: http.MethodGet, path: group(name)})
}

// PutGroup creates a group, or changes its note.
func (c *Client) PutGroup(ctx context.Context, name string, rev store.Rev, note string) (*deploy.GroupStatus, error) {
	return get[deploy.GroupStatus](ctx, c, call{method: http.MethodPut, path: group(name), body: api.GroupNote{Note: note}, rev: rev})
}

// DeleteGroup removes a group that no deployment is for any more.
func (c *Client) DeleteGroup(ctx context.Context, name string, rev store.Rev) error {
	return c.do(ctx, call{method: http.MethodDelete, path: group(name), rev: rev}, nil)
}

// GroupMembers returns a group's machines, in order.
func (c *Client) GroupMembers(ctx context.Context, name string) iter.Seq2[deploy.Identity, error] {
	return pages[deploy.Identity](ctx, c, group(name)+"/members", url.Values{})
}

// ChangeGroupMembers adds machines to a group and takes others out.
func (c *Client) ChangeGroupMembers(ctx context.Context, name string, change api.MembersChange) (*deploy.GroupStatus, error) {
	return get[deploy.GroupStatus](ctx, c, call{method: http.MethodPost, path: group(name) + "/members", body: change})
}

func group(name string) string { return "/groups/" + url.PathEscape(name) }
