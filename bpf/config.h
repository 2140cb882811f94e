/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What is fixed while the program is loaded; the loader may set it before. */
#ifndef XDPXE_CONFIG_H
#define XDPXE_CONFIG_H

#include "kernel.h"

/* Age of the heartbeat from which the daemon counts as dead. */
volatile const __u64 stale_ns = 2000000000ULL;

/* How many events a CPU writes in 2^EVENT_WINDOW ns at most. */
#define EVENT_WINDOW 30
volatile const __u32 event_rate = 2000;

#endif
