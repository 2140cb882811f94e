/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The live sender: BPF_PROG_RUN with BPF_F_TEST_XDP_LIVE_FRAMES calls it once
 * for each frame, and XDP_TX sends the frame out of the device that the
 * context names.
 */
#ifndef XDPXE_BENCH_SEND_H
#define XDPXE_BENCH_SEND_H

#include "frame.h"
#include "maps.h"

/* The next serial number. Senders take them SERIALS at a time, so that they do
 * not fight for one cache line with every frame. */
static __always_inline __u64 *own_serial(void)
{
	__u32 zero = 0;
	__u64 *own = bpf_map_lookup_elem(&own_serial_map, &zero);
	__u64 *shared = bpf_map_lookup_elem(&serial_map, &zero);

	if (!own || !shared)
		return 0;
	if (*own % SERIALS == 0)
		*own = __sync_fetch_and_add(shared, SERIALS);
	return own;
}

/* Offsets are user space's, and right; the mask is for the verifier. */
static __always_inline __u8 *at(struct template *t, __u32 offset)
{
	return t->frame + (offset & FRAME_MASK);
}

static __always_inline void write_request(struct template *t, const struct identity *id, __u32 xid)
{
	__be32 wire = bpf_htonl(xid);

	__builtin_memcpy(at(t, t->xid_at), &wire, sizeof(wire));
	if (t->ether_src)
		__builtin_memcpy(t->frame + 6, id->mac, sizeof(id->mac));
#pragma unroll
	for (int i = 0; i < MAX_MACS; i++) {
		if (!t->mac_at[i])
			break;
		__builtin_memcpy(at(t, t->mac_at[i]), id->mac, sizeof(id->mac));
	}
	if (t->uuid_at)
		__builtin_memcpy(at(t, t->uuid_at), id->uuid, sizeof(id->uuid));
}

#define NSEC_PER_SEC 1000000000ULL

/*
 * Whether the next request is due, at a rate: request k (from 0) is due k/rate
 * after the first frame. A frame that is not needed costs some 100 ns; to wait
 * here would keep the replies of earlier ones waiting on this CPU.
 */
static __always_inline int due(const struct settings *s)
{
	__u32 zero = 0;
	struct pace *p = bpf_map_lookup_elem(&pace_map, &zero);
	__u64 now, elapsed;

	if (!p)
		return 0;
	now = bpf_ktime_get_ns();
	if (!p->begun)
		p->begun = now;
	p->last = now;
	p->frames++;
	elapsed = now - p->begun;
	if (p->sent >= s->total || elapsed >= s->until || elapsed * s->rate < p->sent * NSEC_PER_SEC)
		return 0;
	p->sent++;
	p->ended = now;
	return 1;
}

/*
 * A page may come back with the length that an earlier receiver gave its frame,
 * in the struct xdp_frame of which the kernel (xdp_test_run_batch) sends what
 * the program has made. It looks at the program's bounds only where they were
 * changed: so user space hands in frames of another length, and they always are.
 */
static __always_inline int set_length(struct xdp_md *ctx, __u32 len)
{
	__u32 now = bpf_xdp_get_buff_len(ctx);

	return now == len ? 0 : bpf_xdp_adjust_tail(ctx, (int)len - (int)now);
}

/*
 * The page may hold anything that an earlier receiver of it left: the whole
 * frame is written each time.
 */
static __always_inline int send_request(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct settings *s = bpf_map_lookup_elem(&settings_map, &zero);
	struct template *t = bpf_map_lookup_elem(&template_map, &zero);
	struct identity *id;
	struct slot *slot;
	__u64 *serial;
	__u32 len, index, xid;

	if (!s || !t || !s->identities)
		return XDP_ABORTED;
	if (s->rate && !due(s))
		return XDP_DROP;
	serial = own_serial();
	if (!serial)
		return XDP_ABORTED;
	index = *serial % s->identities;
	id = bpf_map_lookup_elem(&identities_map, &index);
	index = *serial & (s->slots - 1);
	slot = bpf_map_lookup_elem(&slots_map, &index);
	if (!id || !slot)
		return XDP_ABORTED;
	xid = s->first_xid + *serial;
	len = t->len;
	if (len < sizeof(struct eth_hdr) || len > MAX_FRAME)
		return XDP_ABORTED;
	write_request(t, id, xid);
	if (set_length(ctx, len) || bpf_xdp_store_bytes(ctx, 0, t->frame, len))
		return XDP_ABORTED;

	slot->sent = bpf_ktime_get_ns();
	slot->xid = xid;
	barrier(); /* a reply that comes on another CPU must not find half of it */
	slot->state = STATE_OUTSTANDING;
	*serial += 1;
	add(COUNTER_SENT, 1);
	return XDP_TX;
}

#endif
