/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Tier 0, the look-up: which template a request fits, and so what to do with
 * it. abi.h says how the maps hang together.
 *
 * The work is done by global functions: the verifier takes each by itself and
 * once. What they say to each other is in scratch_map.
 */
#ifndef XDPXE_TEMPLATE_H
#define XDPXE_TEMPLATE_H

#include "answer.h"
#include "bounds.h"
#include "dhcp.h"
#include "event.h"
#include "guard.h"
#include "maps.h"
#include "parse.h"
#include "stats.h"

/* sname and file, which hardly differ, are compared but not hashed; nor is
 * the better part of chaddr. */
#define HASH_HEAD_END 4
#define HASH_TAIL 29
/* Between these words all bytes count (Template.Check). */
#define WHOLE_BEGIN 6
#define WHOLE_END 29
/* Words behind this are looked at in blocks, as far as the message goes. */
#define BLOCK 9
#define BLOCKS 5

/* NH (Black et al., UMAC, 1999): products of halves under keys that nobody
 * outside knows, which do not wait for each other. */
static __always_inline __u64 nh(__u64 word, __u64 key)
{
	word ^= key;
	return (word & 0xffffffff) * (word >> 32);
}

static __always_inline __u64 hash_message(const struct scratch *s, const struct layout *l, __u32 slot)
{
	const struct ask *a = &s->ask;
	__u64 sum;

	sum = nh(a->dst | (__u64)a->vid[0] << 32 | (__u64)a->vid[1] << 48, l->key[MESSAGE_WORDS]);
	sum += nh(a->port | (__u64)a->len << 16 | (__u64)slot << 32, l->key[MESSAGE_WORDS + 1]);
#pragma unroll
	for (int i = 0; i < HASH_HEAD_END; i++)
		sum += nh(s->words[i] & l->mask[i], l->key[i]);
#pragma unroll
	for (__u32 b = 0; b < BLOCKS; b++) {
		if (a->len <= 8 * (HASH_TAIL + b * BLOCK))
			break;
#pragma unroll
		for (__u32 i = HASH_TAIL + b * BLOCK; i < HASH_TAIL + (b + 1) * BLOCK; i++)
			sum += nh(s->words[i] & l->mask[i], l->key[i]);
	}
	return sum;
}

static __always_inline int same_message(const struct scratch *s, const struct layout *l, const struct pattern *p)
{
	__u64 differ = 0;

#pragma unroll
	for (int i = 0; i < WHOLE_BEGIN; i++)
		differ |= (s->words[i] & l->mask[i]) ^ p->message[i];
#pragma unroll
	for (int i = WHOLE_BEGIN; i < WHOLE_END; i++)
		differ |= s->words[i] ^ p->message[i];
#pragma unroll
	for (__u32 b = 0; b < BLOCKS; b++) {
		if (s->ask.len <= 8 * (HASH_TAIL + b * BLOCK))
			break;
#pragma unroll
		for (__u32 i = HASH_TAIL + b * BLOCK; i < HASH_TAIL + (b + 1) * BLOCK; i++)
			differ |= (s->words[i] & l->mask[i]) ^ p->message[i];
	}
	return !differ;
}

/* May the source of a request to 4011 have what a class of clients gets? */
static __always_inline int is_client(const struct scratch *s, const struct pattern *p)
{
	__be32 src = s->ask.src, ciaddr = s->halves[BOOTP_CIADDR / 4];

	if (src == p->own || (ciaddr && ciaddr != src))
		return 0;
#pragma unroll
	for (int i = 0; i < MAX_NETWORKS; i++) {
		__be32 mask = p->network[i].mask;

		if ((src & mask) == p->network[i].addr)
			return (src & ~mask) && (src & ~mask) != ~mask;
	}
	return 0;
}

static __always_inline const struct exact_value *find_exact(struct scratch *s, __u32 slot, const struct pattern *p)
{
	struct exact_key *key = &s->exact;
	int on4011 = s->ask.port == PORT_BINL;

	key->pattern = slot;
	__builtin_memcpy(key->chaddr, &s->halves[BOOTP_CHADDR / 4], sizeof(key->chaddr));
	key->src = on4011 ? s->ask.src : 0;
	key->ciaddr = on4011 ? s->halves[BOOTP_CIADDR / 4] : 0;
	copy_uuid(s, p->uuid_at, key->uuid);
	return bpf_map_lookup_elem(&exact_map, key);
}

/* Puts into ask what a pattern that the request fits says of it. Returns 0 if
 * it says nothing of this client. */
static __always_inline int find_verdict(struct scratch *s, __u32 slot, const struct pattern *p)
{
	if (s->ask.port == PORT_BINL && !s->ask.src_port)
		return 0; /* nowhere to answer to */
	s->ask.uuid_at = p->uuid_at;
	if (p->exact) {
		const struct exact_value *e = find_exact(s, slot, p);

		if (!e || e->generation != s->ask.generation)
			return 0;
		s->ask.verdict = e->verdict;
		return 1;
	}
	if (s->ask.port == PORT_BINL && !is_client(s, p))
		return 0;
	s->ask.verdict = p->verdict;
	return 1;
}

/* Looks for a pattern under one layout that the message fits in every byte,
 * and for what it says. Returns whether there is a verdict in ask. */
__noinline int find_template(__u32 slot)
{
	struct scratch *s = get_scratch();
	__u64 key = map_key(slot), hash;
	const struct layout *l = bpf_map_lookup_elem(&layouts_map, &key);
	const struct pattern *p;
	const struct ask *a;
	__u32 *found, at;

	if (!s || !l)
		return 0;
	hash = hash_message(s, l, slot);
	found = bpf_map_lookup_elem(&index_map, &hash);
	if (!found)
		return 0;
	at = *found;
	key = map_key(at);
	p = bpf_map_lookup_elem(&patterns_map, &key);
	if (!p)
		return 0;
	a = &s->ask;
	if (p->generation != a->generation || p->layout != slot || p->port != a->port || p->len != a->len ||
	    p->dst != a->dst || p->vid[0] != a->vid[0] || p->vid[1] != a->vid[1])
		return 0;
	return same_message(s, l, p) && find_verdict(s, at, p);
}

static __always_inline enum answer way_back(__u16 port, enum deliver how)
{
	__u64 key = 0;
	volatile struct settings *s = bpf_map_lookup_elem(&settings_map, &key);
	enum answer on67, on4011;

	/* Who is teed to would answer as well, and is not to be outrun. */
	if (!s || how == DELIVER_RING_TEE)
		return ANSWER_NOT;
	on67 = s->answer67;
	on4011 = s->answer4011;
	return port == PORT_DHCP ? on67 : on4011;
}

/* Does what the verdict in ask says, or goes on. */
__noinline enum reason obey(struct xdp_md *ctx)
{
	struct scratch *s = get_scratch();
	enum answer way;
	enum reason r;

	if (!s)
		return GO_ON;
	if (!s->ask.verdict.reply) {
		r = s->ask.how == DELIVER_RING_TEE ? REASON_IGNORED_TEED : REASON_IGNORED;
	} else {
		way = way_back(s->ask.port, s->ask.how);
		if (way == ANSWER_NOT)
			return GO_ON;
		r = guard(ctx, s->ask.payload, s->ask.port, s->ask.vid[0] | (__u32)s->ask.vid[1] << 16, WORK_ANSWER);
		if (r != GO_ON)
			return r;
		r = send_reply(ctx, s->ask.verdict.reply - 1);
		if (r != REASON_ANSWERED)
			return r;
		if (way == ANSWER_REDIRECT) {
			bpf_redirect(ctx->ingress_ifindex, 0); /* cannot fail without flags */
			r = REASON_ANSWERED_REDIRECT;
		}
	}
	count_outcome(s->ask.verdict.outcome);
	write_event(s);
	return r;
}

/* Does what a template says of the request in ask, or goes on. */
__noinline enum reason by_template(struct xdp_md *ctx)
{
	struct scratch *s = get_scratch();
	const struct length *l;
	__u64 len, key;

	if (!s)
		return GO_ON;
	len = s->ask.len;
	if (!in_range(&len, sizeof(struct bootp), MAX_MESSAGE))
		return GO_ON;
	key = map_key(s->ask.port == PORT_DHCP ? len : len + MAX_MESSAGE + 1);
	l = bpf_map_lookup_elem(&lengths_map, &key);
	if (!l || !l->layout[0])
		return GO_ON;
	if (bpf_xdp_load_bytes(ctx, s->ask.payload, s->words, len))
		return GO_ON;
#pragma unroll
	for (int i = 0; i < MAX_LAYOUTS_OF_LENGTH; i++) {
		__u32 slot = l->layout[i];

		if (!slot)
			break;
		if (find_template(slot - 1))
			return obey(ctx);
	}
	return GO_ON;
}

/* Tries the templates on a request for us. The number of those that hold is
 * read once, and before any of them. */
static __always_inline enum reason try_templates(struct xdp_md *ctx, const struct datagram *d, enum deliver how)
{
	__u64 key = 0;
	volatile __u64 *holds = bpf_map_lookup_elem(&generation_map, &key);
	__u64 generation = holds ? *holds : 0;
	struct scratch *s;
	struct ask *a;

	/* A group address is nobody's source: the answer would go to all of them. */
	if (!generation || d->end - d->payload > MAX_MESSAGE || d->eth->src[0] & 1)
		return GO_ON;
	s = get_scratch();
	if (!s)
		return GO_ON;
	a = &s->ask;
	a->generation = generation;
	a->src = d->ip->src;
	a->dst = d->ip->dst;
	a->vid[0] = d->vid[0];
	a->vid[1] = d->vid[1];
	a->port = d->port;
	a->src_port = d->udp->src;
	a->ip_at = d->ip_at;
	a->payload = d->payload;
	a->len = d->end - d->payload;
	a->frame_len = d->frame_len;
	a->now = d->now;
	a->how = how;
	return by_template(ctx);
}

#endif
