/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Is this message a request of a PXE or HTTP boot client? The vendor class
 * (option 60) says so, wherever it stands.
 */
#ifndef XDPXE_DHCP_H
#define XDPXE_DHCP_H

#include "bounds.h"
#include "maps.h"
#include "parse.h"
#include "stats.h"

/* RFC 2131 §2 */
struct bootp {
	__u8 op;
	__u8 fixed[43];
	__u8 sname[64];
	__u8 file[128];
	__be16 magic[2];
};

#define BOOTP_HLEN 2
#define BOOTP_XID 4
#define BOOTP_CIADDR 12
#define BOOTP_GIADDR 24
#define BOOTP_CHADDR 28
#define BOOTP_SNAME 44
#define BOOTP_FILE 108
#define BOOTP_MAGIC 236
#define BOOTP_OPTIONS 240
#define BOOTREQUEST 1
#define DHCP_MAGIC_0 0x6382
#define DHCP_MAGIC_1 0x5363

#define OPTION_PAD 0
#define OPTION_OVERLOAD 52
#define OPTION_CLASS 60
#define OPTION_END 255
#define OVERLOAD_FILE 1
#define OVERLOAD_SNAME 2

static __always_inline __u8 byte_at(const struct scratch *s, __u32 pos)
{
	return s->frame[pos & SCRATCH_MASK];
}

/* RFC 2131 §4.1: options, then file, then sname. A field without an end option
 * just ends, as old ROMs send it. */
static __always_inline long next_field(struct walk *w)
{
	w->in_field = 1;
	if (w->overload & OVERLOAD_FILE) {
		w->overload &= ~OVERLOAD_FILE;
		w->pos = w->message + BOOTP_FILE;
		w->end = w->message + BOOTP_MAGIC;
		return 0;
	}
	if (w->overload & OVERLOAD_SNAME) {
		w->overload &= ~OVERLOAD_SNAME;
		w->pos = w->message + BOOTP_SNAME;
		w->end = w->message + BOOTP_FILE;
		return 0;
	}
	w->result = GO_ON;
	return 1;
}

static __always_inline long bad(struct walk *w, enum reason reason)
{
	w->result = reason;
	return 1;
}

/* Without branches, which would cost the verifier; what stands behind the end
 * of the field may be read, and makes no difference. */
static __always_inline __u32 run_of_pads(const struct scratch *s, __u32 pos)
{
	__u8 bytes = 0;

#pragma unroll
	for (int i = 1; i < 8; i++)
		bytes |= byte_at(s, pos + i);
	return bytes ? 1 : 8;
}

/* One option, pad or end. A callback of bpf_loop: a plain loop over options
 * costs the verifier more instructions than it allows, and so do several
 * options a call where it follows speculation (no CAP_PERFMON). */
static long walk_step(__u32 index, struct scratch **ctx)
{
	struct scratch *s = *ctx;
	struct walk *w = &s->walk;
	__u32 pos = w->pos, len;
	__u8 code;

	if (pos >= w->end)
		return next_field(w);
	code = byte_at(s, pos);
	if (code == OPTION_PAD) {
		w->pos = pos + run_of_pads(s, pos);
		return 0;
	}
	if (code == OPTION_END)
		return next_field(w);
	if (w->options == MAX_OPTIONS)
		return bad(w, REASON_TOO_MANY_OPTIONS);
	w->options++;
	/* Where the length stands behind the end, so does what follows it. */
	len = byte_at(s, pos + 1);
	pos += 2;
	if (pos + len > w->end)
		return bad(w, REASON_MALFORMED);
	if (code == OPTION_CLASS && !w->class_at) {
		w->class_at = pos;
		w->class_len = len;
	}
	if (code == OPTION_OVERLOAD && !w->in_field) {
		if (len != 1)
			return bad(w, REASON_MALFORMED);
		w->overload = byte_at(s, pos);
		if (w->overload < OVERLOAD_FILE || w->overload > (OVERLOAD_FILE | OVERLOAD_SNAME))
			return bad(w, REASON_MALFORMED);
	}
	w->pos = pos + len;
	return 0;
}

/* Every step moves on by a byte or a field, and the fields do not overlap:
 * MAX_FRAME steps see the end of any message. */
static __always_inline enum reason walk_options(struct scratch *s, __u32 payload, __u32 end)
{
	struct walk *w = &s->walk;

	*w = (struct walk){
		.message = payload,
		.pos = payload + BOOTP_OPTIONS,
		.end = end,
		.result = REASON_MALFORMED,
	};
	bpf_loop(MAX_FRAME, walk_step, &s, 0);
	if (w->result != GO_ON)
		return w->result;
	return w->class_at ? GO_ON : REASON_NO_CLASS;
}

/* Does the vendor class begin with one of ours? Compared in words, so that it
 * costs neither the verifier nor the packet a loop over bytes; and unrolled,
 * because Linux 6.12 follows speculation (no CAP_PERFMON) beyond the end of a
 * loop, and then finds none. */
static __always_inline int known_class(struct xdp_md *ctx, const struct walk *w)
{
	__u64 text[MAX_CLASS_LEN / 8] = {};
	__u64 len = w->class_len;

	if (len > MAX_CLASS_LEN)
		len = MAX_CLASS_LEN;
	if (!in_range(&len, 1, MAX_CLASS_LEN) || bpf_xdp_load_bytes(ctx, w->class_at, text, len))
		return 0;
#pragma unroll
	for (__u32 i = 0; i < MAX_CLASSES; i++) {
		__u64 key = map_key(i);
		const struct class_entry *e = bpf_map_lookup_elem(&classes_map, &key);
		__u64 differ = 0;

		if (!e || !e->len)
			break;
#pragma unroll
		for (int j = 0; j < MAX_CLASS_LEN / 8; j++)
			differ |= (text[j] & e->mask[j]) ^ e->prefix[j];
		if (!differ && e->len <= len)
			return 1;
	}
	return 0;
}

/* Copies the frame, of at most MAX_FRAME bytes, to where it can be walked. */
static __always_inline struct scratch *copy_frame(struct xdp_md *ctx, __u64 len)
{
	struct scratch *s = get_scratch();

	if (!s || !in_range(&len, 1, MAX_FRAME) || bpf_xdp_load_bytes(ctx, 0, s->frame, len))
		return 0;
	return s;
}

/*
 * The fixed part of the message, which must stand in the frame's first buffer.
 * A driver that splits headers from data leaves it in the second: an AF_XDP
 * socket without XDP_USE_SG would drop that frame, so it is passed. Drivers
 * that do not split have room in the first buffer for an ordinary frame, so no
 * more than this is looked at: the length of that buffer cannot be had without
 * CAP_PERFMON.
 */
static __always_inline enum reason check_bootp(struct xdp_md *ctx, const struct datagram *d)
{
	void *end = (void *)(long)ctx->data_end;
	const struct bootp *m = (void *)(d->udp + 1);

	if (d->end - d->payload < sizeof(*m))
		return REASON_SHORT_MESSAGE;
	if ((void *)(m + 1) > end)
		return REASON_TOO_LONG;
	if (m->op != BOOTREQUEST)
		return REASON_NOT_REQUEST;
	if (m->magic[0] != bpf_htons(DHCP_MAGIC_0) || m->magic[1] != bpf_htons(DHCP_MAGIC_1))
		return REASON_BAD_MAGIC;
	return GO_ON;
}

/*
 * Copies the frame to scratch_map and judges the options of the message that
 * stands at [payload, end) in it. All of them are walked, also behind option
 * 60: a malformed message is never taken from the kernel.
 *
 * A global function: the verifier takes it by itself and once, instead of for
 * every way through the headers.
 */
__noinline enum reason check_options(struct xdp_md *ctx, __u32 payload, __u32 end, __u32 frame_len)
{
	struct scratch *s = copy_frame(ctx, frame_len);
	enum reason r;

	if (!s) /* cannot be: the lengths are right */
		return REASON_BAD_LENGTH;
	r = walk_options(s, payload, end);
	if (r != GO_ON)
		return r;
	return known_class(ctx, &s->walk) ? GO_ON : REASON_OTHER_CLASS;
}

#endif
