/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The flood: a live frame with random numbers in some places, and nothing that
 * counts what comes back.
 */
#ifndef XDPXE_BENCH_FLOOD_H
#define XDPXE_BENCH_FLOOD_H

#include "frame.h"
#include "maps.h"
#include "send.h"

/* What the IPv4 header at that offset sums up to, in one's complement. */
static __always_inline __u16 header_check(struct flood *f, __u32 offset)
{
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += *(__u16 *)(f->frame + ((offset + 2 * i) & FRAME_MASK));
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Offsets are user space's, and right; the masks are for the verifier. */
static __always_inline int send_flood(struct xdp_md *ctx)
{
	__u32 zero = 0, len;
	struct flood *f = bpf_map_lookup_elem(&flood_map, &zero);

	if (!f)
		return XDP_ABORTED;
	for (int i = 0; i < FLOOD_WORDS; i++) {
		__u32 word = bpf_get_prandom_u32();

#pragma unroll
		for (int j = 0; j < FLOOD_PLACES; j++) {
			const struct place *p = &f->place[i & (FLOOD_WORDS - 1)][j];
			__u32 value = p->base | (word & p->mask);

			if (p->at)
				__builtin_memcpy(f->frame + (p->at & FRAME_MASK), &value, sizeof(value));
		}
	}
	if (f->ip_at) {
		__u16 check = 0;

		__builtin_memcpy(f->frame + ((f->ip_at + 10) & FRAME_MASK), &check, sizeof(check));
		check = header_check(f, f->ip_at);
		__builtin_memcpy(f->frame + ((f->ip_at + 10) & FRAME_MASK), &check, sizeof(check));
	}
	len = f->len;
	if (len < sizeof(struct eth_hdr) || len > MAX_FRAME || set_length(ctx, len) ||
	    bpf_xdp_store_bytes(ctx, 0, f->frame, len))
		return XDP_ABORTED;
	add(COUNTER_SENT, 1);
	return XDP_TX;
}

#endif
