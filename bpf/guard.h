/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The guard: how much of what is for us gets any work at all. It is asked before
 * a request costs user space anything, and refuses nothing but what would
 * otherwise be answered, handed up, or end in a socket of ours.
 *
 * Who asks for the first time only leaves a mark in filter_map, so that a flood
 * of random identities fills no table. Who asked before, in the last 6 to 12 s (all
 * firmware asks again within 4 s: PXE 2.1 §2.2.3, edk2, iPXE), has a token bucket
 * of its own in sources_map. What is left counts against budgets, of the interface
 * and all CPUs, and of each a share is for those who asked before alone. So a
 * client's second request does not compete with strangers, however many they are.
 *
 * At 500,000 strangers a second, a generation holds 3,000,000 marks, and one
 * stranger in 2,000 looks as if he had asked before; with both generations one
 * in 1,000 at most. Up to 500 a second then compete for the share, which has to be
 * chosen with room for them. Who asks twice with each of his identities
 * competes there too: so the hash need not withstand somebody who knows how it is
 * made, and what holds in any case is the budget.
 */
#ifndef XDPXE_GUARD_H
#define XDPXE_GUARD_H

#include "dhcp.h"
#include "headers/bpf_endian.h"
#include "maps.h"
#include "parse.h"
#include "steer.h"

#define ETH_SRC 6
#define IP_SRC_BEFORE 16 /* the payload of UDP */
#define TFTP_DATA 3
#define TFTP_ERROR 5

static __always_inline __u64 mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 32;
}

/* Where the bits of the i-th word are, by the i-th 16 bits of a hash. */
static __always_inline __u64 filter_bits(__u64 hash, int i)
{
	__u64 one = ((hash >> 16 * i) & 0xff) * FILTER_BITS >> 8;
	__u64 two = ((hash >> (16 * i + 8)) & 0xff) * FILTER_BITS >> 8;

	return 1ULL << one | 1ULL << two;
}

/* Are all bits of the hash in an entry that was written in this turn? */
static __always_inline int filter_has(volatile const struct filter_entry *e, __u64 turn, __u64 hash)
{
	__u64 missing = 0;

#pragma unroll
	for (int i = 0; i < FILTER_WORDS; i++) {
		__u64 is = e->word[i];

		missing |= is >> FILTER_BITS ^ (turn & 0xff);
		missing |= filter_bits(hash, i) & ~is;
	}
	return !missing;
}

/* Sets the bits of the hash. Who loses the race to empty a word finds it emptied. */
static __always_inline void filter_mark(struct filter_entry *e, __u64 turn, __u64 hash)
{
#pragma unroll
	for (int i = 0; i < FILTER_WORDS; i++) {
		__u64 was = *(volatile __u64 *)&e->word[i];
		__u64 bits = filter_bits(hash, i);
		__u64 first = (turn & 0xff) << FILTER_BITS | bits;

		if (!((was ^ first) >> FILTER_BITS) || __sync_val_compare_and_swap(&e->word[i], was, first) != was)
			__sync_fetch_and_or(&e->word[i], bits);
	}
}

/* Was a hash marked before, in a filter of mask+1 entries? From now on it is. A
 * global function, as check_options is. */
__noinline __u64 marked_before(__u64 hash, __u64 bits, __u64 turn, __u32 mask)
{
	__u32 now = (hash & mask) << 1 | (turn & 1);
	__u64 key = map_key(now);
	struct filter_entry *e = bpf_map_lookup_elem(&filter_map, &key);

	if (!e)
		return 0;
	if (filter_has(e, turn, bits))
		return 1;
	filter_mark(e, turn, bits);
	key = map_key(now ^ 1);
	e = bpf_map_lookup_elem(&filter_map, &key);
	return e && filter_has(e, turn - 1, bits);
}

/* Has this one asked before? From now on it has. */
static __always_inline __u64 asked_before(const struct guard *g, const struct source *who, __u64 now)
{
	const __u64 *words = (const void *)who;
	__u64 hash = mix(mix(mix(g->seed, words[0]), words[1]), words[2]);

	return marked_before(hash, mix(hash, g->seed), now / FILTER_NS, g->filter_mask);
}

/*
 * Takes a token, or returns 0. A refusal writes nothing, so that CPUs that are
 * flooded share the word for reading. Who loses four races in a row passes: it is
 * those who win that tokens go to, and there are no more losers than CPUs.
 */
static __always_inline int take(__u64 *bucket, const struct limit *l, __u64 now)
{
	__u64 cost = l->cost, depth = l->depth;

	if (!cost)
		return 1;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		__u64 was = *(volatile __u64 *)bucket;
		__s64 empty = was;

		if (!was || empty < (__s64)(now - depth))
			empty = now - depth;
		if ((__s64)now - empty < (__s64)cost)
			return 0;
		if (__sync_val_compare_and_swap(bucket, was, empty + cost) == was)
			return 1;
	}
	return 1;
}

static __always_inline int take_from(__u32 budget, __u64 now)
{
	__u64 key = map_key(budget);
	struct bucket *b = bpf_map_lookup_elem(&buckets_map, &key);

	return !b || take(&b->empty, &b->limit, now);
}

/* Takes from a budget: who asked before from their share, and like all from the rest. */
__noinline __u64 spend(enum budget budget, __u64 known, __u64 now)
{
	return (known && take_from(budget + 1, now)) || take_from(budget, now);
}

/* The bucket of its own of somebody who asked before. */
static __always_inline int own_bucket(const struct source *who, const struct limit *l, __u64 now)
{
	__u64 *bucket, fresh;

	if (!l->cost)
		return 1;
	bucket = bpf_map_lookup_elem(&sources_map, who);
	if (bucket)
		return take(bucket, l, now);
	fresh = now - l->depth + l->cost;
	bpf_map_update_elem(&sources_map, who, &fresh, BPF_NOEXIST);
	return 1;
}

/* What the guard is asked about. */
enum work {
	WORK_REQUEST, /* a request that has passed check_options, for user space to decide */
	WORK_ANSWER,  /* the same, and its answer is at hand: only what all on the segment hear costs much */
	WORK_FILE,    /* a datagram to the file server */
	WORK_STRAY,   /* what is passed to 4011, for us, and no request */
};

/*
 * InfiniBand's clients have no hardware address in their messages (RFC 4390
 * §2.1): they are told apart by the xid, which firmware keeps while it asks again.
 */
static __always_inline long load_source(struct xdp_md *ctx, __u32 payload, enum work work, struct source *who)
{
	const __u64 *chaddr = (const void *)who->chaddr;
	long failed;

	switch (work) {
	case WORK_FILE:
		who->kind = SOURCE_TFTP;
		return bpf_xdp_load_bytes(ctx, payload - IP_SRC_BEFORE, &who->addr, sizeof(who->addr));
	case WORK_STRAY:
		who->kind = SOURCE_STRAY;
		return bpf_xdp_load_bytes(ctx, payload - IP_SRC_BEFORE, &who->addr, sizeof(who->addr));
	default:
		failed = bpf_xdp_load_bytes(ctx, payload + BOOTP_GIADDR, &who->addr,
					    sizeof(who->addr) + sizeof(who->chaddr));
		if (!failed && !(chaddr[0] | chaddr[1]))
			failed = bpf_xdp_load_bytes(ctx, payload + BOOTP_XID, who->chaddr, 4);
		return failed;
	}
}

static __always_inline enum reason judge(const struct guard *g, const struct source *who, enum work work, __u32 port,
					 __u64 known, __u64 now)
{
	int to_all = port == PORT_DHCP && !who->addr;

	switch (work) {
	case WORK_FILE:
		if (known && !own_bucket(who, &g->tftp_source, now))
			return REASON_GUARD_TFTP_SOURCE;
		return spend(BUDGET_TFTP, known, now) ? GO_ON : REASON_GUARD_TFTP;
	case WORK_STRAY:
		/* No client asks so: none of it may take from the clients' share. */
		if (known && !own_bucket(who, &g->source, now))
			return REASON_GUARD_STRAY;
		return spend(BUDGET_REQUESTS, 0, now) ? GO_ON : REASON_GUARD_STRAY;
	default:
		if (known && !own_bucket(who, &g->source, now))
			return REASON_GUARD_SOURCE;
		if (to_all && !spend(BUDGET_BROADCASTS, known, now))
			return REASON_GUARD_BROADCASTS;
		if (work == WORK_REQUEST && !spend(BUDGET_REQUESTS, known, now))
			return REASON_GUARD_REQUESTS;
		return GO_ON;
	}
}

/* Keeps one of a few of what is refused, by which user space names the flood's
 * source; that is in the sample already. */
static __always_inline void keep_sample(struct xdp_md *ctx, __u32 payload, __u32 vids, struct sample *s, __u64 known,
					enum reason reason)
{
	s->ktime_ns = bpf_ktime_get_coarse_ns();
	s->reason = reason;
	s->known = known;
	s->vid[0] = vids;
	s->vid[1] = vids >> 16;
	s->ifindex = ctx->ingress_ifindex;
	if (bpf_xdp_load_bytes(ctx, ETH_SRC, s->mac, sizeof(s->mac)) ||
	    bpf_xdp_load_bytes(ctx, payload - IP_SRC_BEFORE, &s->src, sizeof(s->src)))
		return;
	bpf_ringbuf_output(&samples_map, s, sizeof(*s), BPF_RB_NO_WAKEUP);
}

/*
 * May this be worked on? GO_ON, or the reason to refuse it. vids holds the two
 * of struct datagram, the first in the lower half. A global function, as
 * check_options is, and so without the caller's pointers.
 */
__noinline enum reason guard(struct xdp_md *ctx, __u32 payload, __u32 port, __u32 vids, enum work work)
{
	__u64 key = 0;
	struct guard *g = bpf_map_lookup_elem(&guard_map, &key);
	struct scratch *s = get_scratch();
	struct source *who;
	__u64 now, known;
	enum reason r;

	if (!g || !g->on || !s)
		return GO_ON;
	who = &s->sample.who;
	*who = (struct source){};
	if (load_source(ctx, payload, work, who))
		return GO_ON;
	if (work == WORK_ANSWER && (port != PORT_DHCP || who->addr))
		return GO_ON;
	now = bpf_ktime_get_coarse_ns() + g->clock_add;
	known = asked_before(g, who, now);
	r = judge(g, who, work, port, known, now);
	if (r != GO_ON && spend(BUDGET_SAMPLES, 0, now))
		keep_sample(ctx, payload, vids, &s->sample, known, r);
	return r;
}

static __always_inline enum reason guard_work(struct xdp_md *ctx, const struct datagram *d, enum work work)
{
	return guard(ctx, d->payload, d->port, d->vid[0] | (__u32)d->vid[1] << 16, work);
}

/* The same refusal, where the original is passed on and only its copy withheld. */
static __always_inline enum reason withheld(enum reason r)
{
	switch (r) {
	case REASON_GUARD_SOURCE:
		return REASON_WITHHELD_SOURCE;
	case REASON_GUARD_BROADCASTS:
		return REASON_WITHHELD_BROADCASTS;
	case REASON_GUARD_REQUESTS:
		return REASON_WITHHELD_REQUESTS;
	default:
		return r;
	}
}

/*
 * Is a datagram to another port than those of DHCP a request to our file server?
 * Whatever is in it counts, but for what belongs to transfers where those share
 * the port.
 */
static __always_inline int to_file_server(struct xdp_md *ctx, const struct datagram *d)
{
	__u64 key = 0;
	struct guard *g = bpf_map_lookup_elem(&guard_map, &key);
	struct scratch *s;
	__be16 *opcode;

	if (!g || !g->on || !g->tftp_port || g->tftp_port != d->port || !for_us(d))
		return 0;
	s = get_scratch();
	if (!g->tftp_single || !s)
		return 1;
	opcode = (void *)s->frame;
	return bpf_xdp_load_bytes(ctx, d->payload, opcode, sizeof(*opcode)) || bpf_ntohs(*opcode) < TFTP_DATA ||
	       bpf_ntohs(*opcode) > TFTP_ERROR;
}

/* Does what is passed to this port end in our own socket? */
static __always_inline int is_ours(__u16 port)
{
	__u64 key = 0;
	struct guard *g = bpf_map_lookup_elem(&guard_map, &key);

	return port == PORT_BINL && g && g->strays;
}

#endif
