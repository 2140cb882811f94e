/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What tier 0 tells user space: exact counters, and events as far as they go. */
#ifndef XDPXE_EVENT_H
#define XDPXE_EVENT_H

#include "config.h"
#include "dhcp.h"
#include "maps.h"

static __always_inline void count_outcome(__u32 outcome)
{
	__u64 key = map_key(outcome);
	__u64 *counter = bpf_map_lookup_elem(&outcomes_map, &key);

	if (counter)
		*counter += 1;
}

/* At most event_rate in a window of time, so that a storm costs user space no
 * more than that. */
static __always_inline int event_due(struct scratch *s, __u64 now)
{
	__u64 window = now >> EVENT_WINDOW;

	if (s->event_window != window) {
		s->event_window = window;
		s->event_count = 0;
	}
	if (s->event_count >= event_rate)
		return 0;
	s->event_count++;
	return 1;
}

/* The message must still be in scratch.words. Nobody is woken: user space
 * looks when it has the time. */
static __always_inline void write_event(struct scratch *s)
{
	struct event *e = &s->event;
	__u64 now = s->ask.now;

	if (!event_due(s, now)) {
		count_outcome(OUTCOME_EVENTS_DROPPED);
		return;
	}
	e->ktime_ns = now;
	e->tag = s->ask.verdict.tag;
	e->xid = s->halves[BOOTP_XID / 4];
	e->src = s->ask.src;
	e->relay = s->halves[BOOTP_GIADDR / 4];
	e->vid[0] = s->ask.vid[0];
	e->vid[1] = s->ask.vid[1];
	e->src_port = bpf_ntohs(s->ask.src_port);
	e->hlen = s->frame[BOOTP_HLEN];
	e->has_uuid = s->ask.uuid_at != 0;
	__builtin_memcpy(e->chaddr, &s->halves[BOOTP_CHADDR / 4], sizeof(e->chaddr));
	copy_uuid(s, s->ask.uuid_at, e->uuid);
	if (bpf_ringbuf_output(&events_map, e, sizeof(*e), BPF_RB_NO_WAKEUP))
		count_outcome(OUTCOME_EVENTS_DROPPED);
}

#endif
