/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Lengths for helpers, compared as the verifier of Linux 6.1 can follow. Left to
 * itself, clang compares len - min alone, makes "at least 1" a "not 0", or drops
 * what it knows from elsewhere: from none of these that verifier learns bounds.
 */
#ifndef XDPXE_BOUNDS_H
#define XDPXE_BOUNDS_H

#include "headers/bpf_helpers.h"
#include "kernel.h"

/* Is *len in [min, max]? */
static __always_inline int in_range(__u64 *len, __s64 min, __u64 max)
{
	barrier_var(*len);
	if (*len > max)
		return 0;
	barrier_var(*len);
	return (__s64)*len >= min;
}

#endif
