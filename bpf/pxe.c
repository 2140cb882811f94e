//go:build ignore

/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The XDP program: finds the requests of PXE and HTTP boot clients that are
 * for us, and hands them to user space as settings_map says. Everything else,
 * and whatever leaves a doubt, is passed on untouched.
 */
#include "abi.h"
#include "config.h"
#include "dhcp.h"
#include "maps.h"
#include "parse.h"
#include "stats.h"
#include "steer.h"

/* Copies the frame, of at most MAX_FRAME bytes, to where it can be walked. */
static __always_inline struct scratch *copy_frame(struct xdp_md *ctx, __u64 len)
{
	__u32 key = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch_map, &key);

	if (!s || len == 0 || len > MAX_FRAME || bpf_xdp_load_bytes(ctx, 0, s->frame, len))
		return 0;
	return s;
}

static __always_inline int handle(struct xdp_md *ctx)
{
	struct datagram d = {};
	struct scratch *s;
	enum deliver how;
	int r;

	if (!alive())
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
	s = copy_frame(ctx, d.frame_len);
	if (!s) /* cannot be: the lengths were right */
		return REASON_BAD_LENGTH;
	r = check_message(s, &d);
	if (r != GO_ON)
		return r;

	switch (how) {
	case DELIVER_XSK:
		return to_socket(ctx);
	case DELIVER_RING_STEAL:
		return to_ring(ctx, s, d.frame_len, REASON_STOLEN);
	case DELIVER_RING_TEE:
		return to_ring(ctx, s, d.frame_len, REASON_TEED);
	default:
		return REASON_NOT_STEERED;
	}
}

SEC("xdp.frags")
int xdpxe(struct xdp_md *ctx)
{
	int reason = handle(ctx);

	count(reason);
	return action_of(reason);
}

char _license[] SEC("license") = "Dual MIT/GPL";
