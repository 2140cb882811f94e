/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Is this message a request of a PXE or HTTP boot client? The vendor class
 * (option 60) says so, wherever it stands.
 */
#ifndef XDPXE_DHCP_H
#define XDPXE_DHCP_H

#include "maps.h"
#include "parse.h"
#include "stats.h"

/* RFC 2131 §2: offsets in the message. */
#define BOOTP_OP 0
#define BOOTP_SNAME 44
#define BOOTP_FILE 108
#define BOOTP_MAGIC 236
#define BOOTP_OPTIONS 240
#define BOOTREQUEST 1
#define DHCP_MAGIC 0x63825363

#define OPTION_PAD 0
#define OPTION_OVERLOAD 52
#define OPTION_CLASS 60
#define OPTION_END 255
#define OVERLOAD_FILE 1
#define OVERLOAD_SNAME 2

/* State of a walk over the options; offsets are in scratch.frame. */
struct walk {
	const struct scratch *s;
	__u32 message;   /* where the message begins */
	__u32 pos;
	__u32 end;       /* of the field that is walked */
	__u32 options;   /* how many have been seen */
	__u32 overload;  /* which fields are still to be walked */
	__u32 in_field;  /* in file or sname, where option 52 means nothing */
	__u32 class_at;  /* the first option 60: its text, 0 = none */
	__u32 class_len;
	enum reason bad; /* NUM_REASONS = nothing wrong */
	__u32 done;
};

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
	w->done = 1;
	return 1;
}

static __always_inline long bad(struct walk *w, enum reason reason)
{
	w->bad = reason;
	w->done = 1;
	return 1;
}

/* One option, pad or end. A callback of bpf_loop: a plain loop over options
 * costs the verifier more instructions than it allows. */
static long walk_step(__u32 index, struct walk *w)
{
	__u32 pos = w->pos, len;
	__u8 code;

	if (pos >= w->end)
		return next_field(w);
	code = byte_at(w->s, pos);
	if (code == OPTION_PAD) {
		w->pos = pos + 1;
		return 0;
	}
	if (code == OPTION_END)
		return next_field(w);
	if (w->options == MAX_OPTIONS)
		return bad(w, REASON_TOO_MANY_OPTIONS);
	w->options++;
	if (pos + 2 > w->end)
		return bad(w, REASON_MALFORMED);
	len = byte_at(w->s, pos + 1);
	pos += 2;
	if (pos + len > w->end)
		return bad(w, REASON_MALFORMED);
	if (code == OPTION_CLASS && !w->class_at) {
		w->class_at = pos;
		w->class_len = len;
	}
	if (code == OPTION_OVERLOAD && !w->in_field) {
		w->overload = byte_at(w->s, pos);
		if (len != 1 || w->overload - 1 > 2)
			return bad(w, REASON_MALFORMED);
	}
	w->pos = pos + len;
	return 0;
}

/* Every step moves on by a byte or a field, and the fields do not overlap:
 * MAX_FRAME steps see the end of any message. */
static __always_inline int walk_options(struct walk *w)
{
	bpf_loop(MAX_FRAME, walk_step, w, 0);
	if (w->bad != NUM_REASONS)
		return w->bad;
	if (!w->done)
		return REASON_MALFORMED;
	return w->class_at ? GO_ON : REASON_NO_CLASS;
}

static __always_inline int has_prefix(const struct walk *w, const struct class_entry *e)
{
	if (e->len > w->class_len)
		return 0;
	for (__u32 i = 0; i < MAX_CLASS_LEN; i++) {
		if (i >= e->len)
			break;
		if (byte_at(w->s, w->class_at + i) != e->prefix[i])
			return 0;
	}
	return 1;
}

static __always_inline int known_class(const struct walk *w)
{
	for (__u32 i = 0; i < MAX_CLASSES; i++) {
		__u32 key = i;
		struct class_entry *e = bpf_map_lookup_elem(&classes_map, &key);

		if (!e || !e->len)
			break;
		if (has_prefix(w, e))
			return 1;
	}
	return 0;
}

/* s holds the frame. The whole message is walked, also behind option 60: a
 * malformed one is never taken from the kernel. */
static __always_inline int check_message(const struct scratch *s, const struct datagram *d)
{
	struct walk w = {
		.s = s,
		.message = d->payload,
		.pos = d->payload + BOOTP_OPTIONS,
		.end = d->end,
		.bad = NUM_REASONS,
	};
	__u32 magic;
	int r;

	if (d->end - d->payload < BOOTP_OPTIONS)
		return REASON_SHORT_MESSAGE;
	if (byte_at(s, d->payload + BOOTP_OP) != BOOTREQUEST)
		return REASON_NOT_REQUEST;
	magic = byte_at(s, d->payload + BOOTP_MAGIC) << 24 |
		byte_at(s, d->payload + BOOTP_MAGIC + 1) << 16 |
		byte_at(s, d->payload + BOOTP_MAGIC + 2) << 8 |
		byte_at(s, d->payload + BOOTP_MAGIC + 3);
	if (magic != DHCP_MAGIC)
		return REASON_BAD_MAGIC;
	r = walk_options(&w);
	if (r != GO_ON)
		return r;
	return known_class(&w) ? GO_ON : REASON_OTHER_CLASS;
}

#endif
