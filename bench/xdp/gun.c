//go:build ignore

/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The generator's XDP programs: the live sender and the counter of replies,
 * and what a machine's limits are measured with.
 */
#include "flood.h"
#include "frame.h"
#include "maps.h"
#include "reply.h"
#include "send.h"

SEC("xdp")
int xdpxe_send(struct xdp_md *ctx)
{
	return send_request(ctx);
}

SEC("xdp")
int xdpxe_flood(struct xdp_md *ctx)
{
	return send_flood(ctx);
}

SEC("xdp")
int xdpxe_replies(struct xdp_md *ctx)
{
	return count_reply(ctx);
}

/* Counts and drops every UDP datagram. */
SEC("xdp")
int xdpxe_sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;

	if (!find_udp(data, (void *)(long)ctx->data_end))
		return XDP_PASS;
	add(COUNTER_FRAMES, 1);
	add(COUNTER_BYTES, bpf_xdp_get_buff_len(ctx));
	return XDP_DROP;
}

/* Sends every UDP datagram back to where it came from: the least that answering can cost. */
SEC("xdp")
int xdpxe_bounce(struct xdp_md *ctx)
{
	struct eth_hdr *eth = (void *)(long)ctx->data;
	__u8 mac[6];

	if (!find_udp(eth, (void *)(long)ctx->data_end))
		return XDP_PASS;
	__builtin_memcpy(mac, eth->dst, sizeof(mac));
	__builtin_memcpy(eth->dst, eth->src, sizeof(mac));
	__builtin_memcpy(eth->src, mac, sizeof(mac));
	return XDP_TX;
}

/* What no map's type names gets into the object's BTF by these, for Go to compare. */
const enum counter *unused_counter __attribute__((unused));
const struct sample *unused_sample __attribute__((unused));

char _license[] SEC("license") = "Dual MIT/GPL";
