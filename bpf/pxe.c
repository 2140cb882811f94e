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
#include "maps.h"
#include "parse.h"
#include "stats.h"
#include "steer.h"
#include "template.h"

static __always_inline enum reason handle(struct xdp_md *ctx)
{
	struct datagram d = {};
	enum deliver how;
	enum reason r;

	d.now = bpf_ktime_get_coarse_ns();
	if (!alive(d.now))
		return REASON_HEARTBEAT_STALE;
	r = parse(ctx, &d);
	if (r != GO_ON)
		return r;
	how = delivery(d.port);
	if (how == DELIVER_NONE)
		return REASON_NOT_STEERED;
	if (!for_us(&d))
		return REASON_NOT_FOR_US;
	r = check_datagram(ctx, &d);
	if (r != GO_ON)
		return r;
	r = check_bootp(ctx, &d);
	if (r != GO_ON)
		return r;
	r = try_templates(ctx, &d, how);
	if (r != GO_ON)
		return r;
	r = check_options(ctx, d.payload, d.end, d.frame_len);
	if (r != GO_ON)
		return r;

	switch (how) {
	case DELIVER_XSK:
		return to_socket(ctx);
	case DELIVER_RING_STEAL:
		return to_ring(ctx, d.frame_len, REASON_STOLEN);
	case DELIVER_RING_TEE:
		return to_ring(ctx, d.frame_len, REASON_TEED);
	default:
		return REASON_NOT_STEERED;
	}
}

SEC("xdp.frags")
int xdpxe(struct xdp_md *ctx)
{
	enum reason reason = handle(ctx);

	count(reason);
	return action_of(reason);
}

char _license[] SEC("license") = "Dual MIT/GPL";
