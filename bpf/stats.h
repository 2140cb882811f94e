/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The one exit: a reason is counted, and decides the action. */
#ifndef XDPXE_STATS_H
#define XDPXE_STATS_H

#include "abi.h"
#include "maps.h"

/* Steps of the program return a reason to end with, or this. */
#define GO_ON NUM_REASONS

/* The program runs in softirq: nothing else on this CPU counts meanwhile. */
static __always_inline void count(__u32 reason)
{
	__u64 key = map_key(reason);
	__u64 *counter = bpf_map_lookup_elem(&counters_map, &key);

	if (counter)
		*counter += 1;
}

static __always_inline int action_of(enum reason reason)
{
	switch (reason) {
	case REASON_REDIRECTED:
	case REASON_ANSWERED_REDIRECT:
		return XDP_REDIRECT;
	case REASON_STOLEN:
	case REASON_IGNORED:
	case REASON_GUARD_SOURCE:
	case REASON_GUARD_REQUESTS:
	case REASON_GUARD_BROADCASTS:
	case REASON_GUARD_STRAY:
	case REASON_GUARD_TFTP_SOURCE:
	case REASON_GUARD_TFTP:
		return XDP_DROP;
	case REASON_ANSWERED:
		return XDP_TX;
	case REASON_BROKEN:
		return XDP_ABORTED;
	default:
		return XDP_PASS;
	}
}

#endif
