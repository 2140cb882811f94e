/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The reply counter, on the generator's interface. What it cannot see at this
 * speed, the options, user space judges on samples.
 */
#ifndef XDPXE_BENCH_REPLY_H
#define XDPXE_BENCH_REPLY_H

#include "frame.h"
#include "maps.h"

/* The number of the highest bit that is set. */
static __always_inline __u32 log2(__u64 v)
{
	__u32 n = 0;

#pragma unroll
	for (int step = 32; step; step /= 2) {
		if (v >> step) {
			v >>= step;
			n += step;
		}
	}
	return n;
}

static __always_inline __u32 bucket_of(__u64 ns)
{
	__u32 shift, bucket;

	if (ns >> SUB_BITS == 0)
		return ns;
	/* ns >> shift has its highest bit at SUB_BITS, so that the first group with
	 * a shift, of 0, goes on where the single values end. */
	shift = log2(ns) - SUB_BITS;
	bucket = (shift << SUB_BITS) + (ns >> shift);
	return bucket < NUM_BUCKETS ? bucket : NUM_BUCKETS - 1;
}

static __always_inline void record(__u64 ns)
{
	__u32 bucket = bucket_of(ns);
	__u64 *n = bpf_map_lookup_elem(&latency_map, &bucket);

	if (n)
		*n += 1;
}

/* Not a reply: it is left to the kernel. */
#define NO_REPLY NUM_COUNTERS

static __always_inline int is_magic(const __u8 *m)
{
	return m[0] == 99 && m[1] == 130 && m[2] == 83 && m[3] == 99;
}

static __always_inline int same_mac(const __u8 *a, const __u8 *b)
{
	int diff = 0;

#pragma unroll
	for (int i = 0; i < 6; i++)
		diff |= a[i] ^ b[i];
	return !diff;
}

/* Takes a good reply if it is the first; several CPUs may have one at once. */
static __always_inline enum counter take(struct slot *slot, const struct settings *s)
{
	__u64 now = bpf_ktime_get_ns(), age;

	if (__sync_bool_compare_and_swap(&slot->state, STATE_WRONG, STATE_ANSWERED))
		add(COUNTER_WRONG, -1);
	else if (!__sync_bool_compare_and_swap(&slot->state, STATE_OUTSTANDING, STATE_ANSWERED))
		return COUNTER_DUPLICATE;
	age = now > slot->sent ? now - slot->sent : 0;
	if (age > s->patience)
		return COUNTER_LATE;
	record(age);
	return COUNTER_ANSWERED;
}

static __always_inline enum counter wrong(struct slot *slot, enum counter why)
{
	if (__sync_bool_compare_and_swap(&slot->state, STATE_OUTSTANDING, STATE_WRONG))
		add(COUNTER_WRONG, 1);
	return why;
}

static __always_inline enum counter judge(struct bootp *m, void *end, struct sample *sample, const struct settings *s)
{
	__u32 zero = 0, serial, index;
	struct identity *id;
	struct slot *slot;
	__u64 *begun;

	if ((void *)(m + 1) > end || !is_magic(m->magic))
		return COUNTER_MALFORMED;
	begun = bpf_map_lookup_elem(&serial_map, &zero);
	if (!begun || !s->identities)
		return COUNTER_UNKNOWN;
	serial = bpf_ntohl(m->xid) - s->first_xid;
	if (serial >= *begun)
		return COUNTER_UNKNOWN;
	sample->serial = serial;
	index = serial & (s->slots - 1);
	slot = bpf_map_lookup_elem(&slots_map, &index);
	index = serial % s->identities;
	id = bpf_map_lookup_elem(&identities_map, &index);
	if (!slot || !id || slot->state == STATE_UNUSED)
		return COUNTER_UNKNOWN;
	if (slot->xid != s->first_xid + serial)
		return COUNTER_STALE;
	if (m->htype != 1 || m->hlen != 6 || !same_mac(m->chaddr, id->mac))
		return wrong(slot, COUNTER_WRONG_CHADDR);
	if (m->yiaddr)
		return wrong(slot, COUNTER_WRONG_YIADDR);
	return take(slot, s);
}

static __always_inline enum counter classify(void *data, void *end, struct sample *sample, const struct settings *s)
{
	struct udp_hdr *udp = find_udp(data, end);
	struct bootp *m;
	__u16 to;

	if (!udp)
		return NO_REPLY;
	if (s->bounced) {
		m = (void *)(udp + 1);
		return udp->dst == bpf_htons(PORT_DHCP_SERVER) ? judge(m, end, sample, s) : NO_REPLY;
	}
	if (udp->src != bpf_htons(PORT_DHCP_SERVER) && udp->src != bpf_htons(PORT_BINL))
		return NO_REPLY;
	to = bpf_ntohs(udp->dst);
	if (to != PORT_DHCP_CLIENT && to != PORT_DHCP_SERVER && to != PORT_BINL)
		return NO_REPLY;
	m = (void *)(udp + 1);
	if ((void *)&m->htype > end)
		return COUNTER_MALFORMED;
	if (m->op != BOOTREPLY)
		/* A relay's or another server's request has the server's port on both sides. */
		return to == PORT_DHCP_CLIENT ? COUNTER_WRONG_OP : NO_REPLY;
	return judge(m, end, sample, s);
}

/* Hands the frame to user space. */
static __always_inline void show(struct xdp_md *ctx, const struct sample *head)
{
	__u32 len = bpf_xdp_get_buff_len(ctx);
	struct sample *room;

	if (len > MAX_FRAME)
		len = MAX_FRAME;
	/* One size: what is reserved must be known to the verifier. */
	room = bpf_ringbuf_reserve(&samples_map, sizeof(*room) + MAX_FRAME, 0);
	if (!room) {
		add(COUNTER_UNSAMPLED, 1);
		return;
	}
	*room = *head;
	room->len = len;
	if (len == 0 || bpf_xdp_load_bytes(ctx, 0, room + 1, len))
		bpf_ringbuf_discard(room, 0);
	else
		bpf_ringbuf_submit(room, 0);
}

static __always_inline int count_reply(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct settings *s = bpf_map_lookup_elem(&settings_map, &zero);
	struct sample sample = {};
	enum counter verdict;

	if (!s)
		return XDP_PASS;
	verdict = classify((void *)(long)ctx->data, (void *)(long)ctx->data_end, &sample, s);
	if (verdict == NO_REPLY)
		return XDP_PASS;
	add(verdict, 1);
	sample.verdict = verdict;
	if (verdict != COUNTER_ANSWERED || (bpf_get_prandom_u32() & s->sample_mask) == 0)
		show(ctx, &sample);
	return XDP_DROP;
}

#endif
