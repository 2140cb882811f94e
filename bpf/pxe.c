//go:build ignore

/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The XDP program: finds the requests of PXE and HTTP boot clients that are
 * for us, answers those that a template is there for, and hands the others to
 * user space as settings_map says. Everything else, and whatever leaves a
 * doubt, is passed on untouched.
 */
#include "abi.h"
#include "config.h"
#include "dhcp.h"
#include "guard.h"
#include "maps.h"
#include "parse.h"
#include "stats.h"
#include "steer.h"
#include "template.h"

static __always_inline enum reason check_message(struct xdp_md *ctx, struct datagram *d)
{
	enum reason r = check_datagram(ctx, d);

	return r == GO_ON ? check_bootp(ctx, d) : r;
}

static __always_inline enum reason deliver(struct xdp_md *ctx, const struct datagram *d, enum deliver how)
{
	switch (how) {
	case DELIVER_XSK:
		return to_socket(ctx);
	case DELIVER_RING_STEAL:
		return to_ring(ctx, d->frame_len, REASON_STOLEN);
	case DELIVER_RING_TEE:
		return to_ring(ctx, d->frame_len, REASON_TEED);
	default:
		return REASON_NOT_STEERED;
	}
}

static __always_inline enum reason guard_file(struct xdp_md *ctx, const struct datagram *d)
{
	enum reason r = to_file_server(ctx, d) ? guard_work(ctx, d, WORK_FILE) : GO_ON;

	return r == GO_ON ? REASON_OTHER_PORT : r;
}

/* What is for us and yet passed, for a reason. */
static __always_inline enum reason guard_stray(struct xdp_md *ctx, const struct datagram *d, enum reason pass)
{
	enum reason r = is_ours(d->port) ? guard_work(ctx, d, WORK_STRAY) : GO_ON;

	return r == GO_ON ? pass : r;
}

static __always_inline enum reason handle(struct xdp_md *ctx)
{
	struct datagram d = {};
	enum deliver how;
	enum reason r;

	d.now = bpf_ktime_get_coarse_ns();
	if (!alive(d.now))
		return REASON_HEARTBEAT_STALE;
	r = parse(ctx, &d);
	if (r == REASON_OTHER_PORT)
		return guard_file(ctx, &d);
	if (r != GO_ON)
		return r;
	how = delivery(d.port);
	if (how == DELIVER_NONE)
		return REASON_NOT_STEERED;
	if (!for_us(&d))
		return REASON_NOT_FOR_US;
	r = check_message(ctx, &d);
	if (r != GO_ON)
		return guard_stray(ctx, &d, r);
	r = try_templates(ctx, &d, how);
	if (r != GO_ON)
		return r;
	r = check_options(ctx, d.payload, d.end, d.frame_len);
	if (r != GO_ON)
		return guard_stray(ctx, &d, r);
	r = guard_work(ctx, &d, WORK_REQUEST);
	if (r != GO_ON)
		return how == DELIVER_RING_TEE ? withheld(r) : r;
	return deliver(ctx, &d, how);
}

SEC("xdp.frags")
int xdpxe(struct xdp_md *ctx)
{
	enum reason reason = handle(ctx);

	count(reason);
	return action_of(reason);
}

char _license[] SEC("license") = "Dual MIT/GPL";
