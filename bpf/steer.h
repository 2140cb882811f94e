/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Who a request is for, and how it gets to user space. */
#ifndef XDPXE_STEER_H
#define XDPXE_STEER_H

#include "bounds.h"
#include "config.h"
#include "maps.h"
#include "parse.h"
#include "stats.h"

/* A dead daemon swallows nothing. The coarse clock is CLOCK_MONOTONIC as of the
 * last tick: it costs every packet 18 ns less than the exact one, and the beat
 * may seem to come from the future by a tick. One that is further ahead than
 * stale_ns is no beat. */
static __always_inline int alive(__u64 now)
{
	__u64 key = 0;
	volatile __u64 *beat = bpf_map_lookup_elem(&heartbeat_map, &key);
	__u64 last = beat ? *beat : 0;

	return last && now - last + stale_ns <= 2 * stale_ns;
}

static __always_inline enum deliver delivery(__u16 port)
{
	__u64 key = 0;
	/* Volatile, so that both are read: a computed address is more than the
	 * verifier allows without CAP_PERFMON. */
	volatile struct settings *s = bpf_map_lookup_elem(&settings_map, &key);
	enum deliver on67, on4011;

	if (!s)
		return DELIVER_NONE;
	on67 = s->deliver67;
	on4011 = s->deliver4011;
	return port == PORT_DHCP ? on67 : on4011;
}

static __always_inline int same_mac(const __u8 *a, const __u8 *b)
{
	__u8 differ = 0;

#pragma unroll
	for (int i = 0; i < 6; i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

static __always_inline int is_broadcast(const __u8 *mac)
{
	return (mac[0] & mac[1] & mac[2] & mac[3] & mac[4] & mac[5]) == 0xff;
}

/* struct addr_key, as map_key has it. */
static __always_inline __u64 addr_key(__be32 ip, __u16 outer, __u16 inner)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return ip | (__u64)outer << 32 | (__u64)inner << 48;
#else
	return (__u64)ip << 32 | (__u32)outer << 16 | inner;
#endif
}

/* The limited broadcast on both layers, or an address of ours with its MAC:
 * what a switch floods to us for others is not touched. */
static __always_inline int for_us(const struct datagram *d)
{
	__be32 ip = d->ip->dst;
	__u64 key = addr_key(ip, d->vid[0], d->vid[1]);
	struct addr_value *addr;

	if (ip == 0xffffffff && is_broadcast(d->eth->dst))
		return 1;
	addr = bpf_map_lookup_elem(&addrs_map, &key);
	if (addr && same_mac(addr->mac, d->eth->dst))
		return 1;
	key = addr_key(ip, ANY_VID, ANY_VID);
	addr = bpf_map_lookup_elem(&addrs_map, &key);
	return addr && same_mac(addr->mac, d->eth->dst);
}

static __always_inline enum reason to_socket(struct xdp_md *ctx)
{
	/* XDP_PASS is what it returns where the queue has no socket. */
	if (bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS) == XDP_REDIRECT)
		return REASON_REDIRECTED;
	return REASON_NO_SOCKET;
}

/* What check_options left in scratch_map, of len bytes. */
static __always_inline enum reason to_ring(struct xdp_md *ctx, __u64 len, enum reason delivered)
{
	struct scratch *s = get_scratch();

	if (!s || !in_range(&len, 1, MAX_FRAME))
		return REASON_RING_FULL;
	s->head.ktime_ns = bpf_ktime_get_ns();
	s->head.ifindex = ctx->ingress_ifindex;
	s->head.len = len;
	if (bpf_ringbuf_output(&requests_map, s, sizeof(s->head) + len, 0))
		return REASON_RING_FULL;
	return delivered;
}

#endif
