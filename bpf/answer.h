/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Tier 0, the reply: written over the request, whose Ethernet header and tags
 * stay in place. It is the frame that responder/packet builds: TTL 64, DF
 * clear, and the UDP checksum as identification.
 */
#ifndef XDPXE_ANSWER_H
#define XDPXE_ANSWER_H

#include "bounds.h"
#include "dhcp.h"
#include "maps.h"
#include "parse.h"
#include "stats.h"

/* RFC 1071 */
static __always_inline __u32 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

#define MAX_ECHO_LEN 255

static __always_inline __u32 message_byte(const struct scratch *s, __u32 at)
{
	return s->frame[at & MESSAGE_MASK];
}

/* The sum of a piece of the request, as it counts at an even offset, or at an
 * odd one (RFC 1071 §2, byte order independence). bpf_csum_diff takes
 * multiples of 4 bytes. */
static __always_inline __u32 piece_sum(struct scratch *s, __u32 from, __u32 len, int odd)
{
	__u32 whole = len & 0xfc, rest = len & 3, at = from + whole;
	__u64 sum = (__u32)bpf_csum_diff(0, 0, (__u32 *)(s->frame + (from & MESSAGE_MASK)), whole, 0);

	if (rest > 0)
		sum += bpf_htons(message_byte(s, at) << 8);
	if (rest > 1)
		sum += bpf_htons(message_byte(s, at + 1));
	if (rest > 2)
		sum += bpf_htons(message_byte(s, at + 2) << 8);
	sum = fold(sum);
	return odd ? __builtin_bswap16(sum) : sum;
}

static __always_inline __u64 echo_sums(struct scratch *s, const struct reply *r)
{
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < MAX_ECHOES; i++) {
		if (!r->echo[i].len)
			break;
		sum += piece_sum(s, r->echo[i].from, r->echo[i].len, r->echo[i].to & 1);
	}
	return sum;
}

/* The first REPLY_HEAD bytes behind Ethernet and tags: IPv4, UDP, BOOTP. */
struct reply_head {
	__u8 version_ihl, tos;
	__be16 ip_len;
	__be16 ip_id, frag_off;
	__u8 ttl, protocol;
	__be16 ip_check;
	__be32 src, dst;
	__be16 src_port, dst_port;
	__be16 udp_len, udp_check;
	__u8 op, htype, hlen, hops;
	__be32 xid;
	__be16 secs, flags;
	__be32 ciaddr, yiaddr, siaddr, giaddr;
	__u32 chaddr[4];
};

/* The checksums of the reply: UDP's, and IPv4's in the upper half. */
static __always_inline __u32 checksums(struct scratch *s, const struct reply *r)
{
	__u64 udp = r->udp_sum, ip = r->ip_sum;
	__u32 check;

	udp += s->halves[BOOTP_XID / 4];
#pragma unroll
	for (int i = 0; i < 4; i++)
		udp += s->halves[BOOTP_CHADDR / 4 + i];
	if (r->to_source) {
		udp += (__u64)s->halves[BOOTP_CIADDR / 4] + s->ask.src + s->ask.src_port;
		ip += s->ask.src;
	}
	check = ~fold(udp + echo_sums(s, r)) & 0xffff;
	/* 0 would say that there is none (RFC 768). */
	if (!check)
		check = 0xffff;
	return check | ~fold(ip + check) << 16;
}

static __always_inline int write_head_at(struct xdp_md *ctx, __u32 at, const struct scratch *s, const struct reply *r,
					 __u32 checks)
{
	struct reply_head *h = (void *)(long)ctx->data + at;
	const __u32 *from = (void *)r->head;
	__u32 *to = (void *)h;

	if ((void *)(h + 1) > (void *)(long)ctx->data_end)
		return 0;
#pragma unroll
	for (int i = 0; i < REPLY_HEAD / 4; i++)
		to[i] = from[i];
	h->xid = s->halves[BOOTP_XID / 4];
#pragma unroll
	for (int i = 0; i < 4; i++)
		h->chaddr[i] = s->halves[BOOTP_CHADDR / 4 + i];
	if (r->to_source) {
		h->ciaddr = s->halves[BOOTP_CIADDR / 4];
		h->dst = s->ask.src;
		h->dst_port = s->ask.src_port;
	}
	h->ip_id = checks;
	h->udp_check = checks;
	h->ip_check = checks >> 16;
	return 1;
}

/* Behind none, one or two tags: without CAP_PERFMON a pointer into the packet
 * takes constants only. */
static __always_inline int write_head(struct xdp_md *ctx, const struct scratch *s, const struct reply *r, __u32 checks)
{
	switch (s->ask.ip_at) {
	case sizeof(struct eth_hdr):
		return write_head_at(ctx, sizeof(struct eth_hdr), s, r, checks);
	case sizeof(struct eth_hdr) + sizeof(struct vlan_hdr):
		return write_head_at(ctx, sizeof(struct eth_hdr) + sizeof(struct vlan_hdr), s, r, checks);
	default:
		return write_head_at(ctx, sizeof(struct eth_hdr) + 2 * sizeof(struct vlan_hdr), s, r, checks);
	}
}

/* Is all of the frame in its first buffer? Its length cannot be had without
 * CAP_PERFMON, but be tried in steps. */
static __always_inline int one_buffer(struct xdp_md *ctx, __u32 len)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

#pragma unroll
	for (__u32 i = 5; i <= 12; i++) {
		if (len >= 64 * i && data + 64 * i > end)
			return 0;
	}
	return 1;
}

static __always_inline int write_ethernet(struct xdp_md *ctx, const struct reply *r)
{
	struct eth_hdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return 0;
	if (r->broadcast)
		__builtin_memset(eth->dst, 0xff, sizeof(eth->dst));
	else
		__builtin_memcpy(eth->dst, eth->src, sizeof(eth->dst));
	__builtin_memcpy(eth->src, r->src_mac, sizeof(eth->src));
	return 1;
}

static __always_inline int write_echoes(struct xdp_md *ctx, const struct scratch *s, const struct reply *r)
{
#pragma unroll
	for (int i = 0; i < MAX_ECHOES; i++) {
		__u64 len = r->echo[i].len;

		if (!len)
			break;
		if (!in_range(&len, 1, MAX_ECHO_LEN) ||
		    bpf_xdp_store_bytes(ctx, s->ask.payload + r->echo[i].to,
					(void *)(s->frame + (r->echo[i].from & MESSAGE_MASK)), len))
			return 0;
	}
	return 1;
}

/* Turns the request in ask into a reply. Where the frame cannot get the
 * reply's length it is as it was, and goes on; from then on there is no way
 * back. */
__noinline enum reason send_reply(struct xdp_md *ctx, __u32 slot)
{
	struct scratch *s = get_scratch();
	__u64 key = map_key(slot);
	const struct reply *r = bpf_map_lookup_elem(&replies_map, &key);
	__u32 checks;
	__u64 rest;
	int grow;

	if (!s || !r)
		return GO_ON;
	rest = (__u64)r->len - BOOTP_SNAME;
	if (!in_range(&rest, 1, sizeof(r->rest)) || !one_buffer(ctx, s->ask.frame_len))
		return GO_ON;
	checks = checksums(s, r);
	grow = s->ask.payload + r->len - s->ask.frame_len;
	if (grow && bpf_xdp_adjust_tail(ctx, grow))
		return GO_ON;
	if (!write_ethernet(ctx, r) || !write_head(ctx, s, r, checks) ||
	    bpf_xdp_store_bytes(ctx, s->ask.payload + BOOTP_SNAME, (void *)r->rest, rest) || !write_echoes(ctx, s, r))
		return REASON_BROKEN;
	return REASON_ANSWERED;
}

#endif
