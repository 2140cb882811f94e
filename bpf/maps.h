/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The maps. spec.go repeats their names; the loader may change the sizes. They
 * ask to be pinned for the sake of other loaders (libbpf's, as xdp-loader has
 * it); LoadSpec drops that. */
#ifndef XDPXE_MAPS_H
#define XDPXE_MAPS_H

#include "abi.h"
#include "headers/bpf_helpers.h"

/* When the daemon last said that it lives: CLOCK_MONOTONIC ns, 0 = never.
 * Mapped by the daemon, which beats with a plain 64-bit store. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} heartbeat_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, MAX_ADDRS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct addr_key);
	__type(value, struct addr_value);
} addrs_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, MAX_CLASSES);
	__type(key, __u32);
	__type(value, struct class_entry);
} classes_map SEC(".maps");

/* By RX queue. A socket that closes leaves the map by itself. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 4 << 20);
} requests_map SEC(".maps");

/* By enum reason. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, NUM_REASONS);
	__type(key, __u32);
	__type(value, __u64);
} counters_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct guard);
} guard_map SEC(".maps");

/* By enum budget. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NUM_BUDGETS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct bucket);
} buckets_map SEC(".maps");

/* Who asked before; 8 MiB a generation. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 19);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct filter_entry);
} filter_map SEC(".maps");

/* The token bucket of each who asked before, as bucket.empty. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 16);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct source);
	__type(value, __u64);
} sources_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 17);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} samples_map SEC(".maps");

/* The number of the templates that hold; 0: none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} generation_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 2 * (MAX_MESSAGE + 1));
	__type(key, __u32);
	__type(value, struct length);
} lengths_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, NUM_LAYOUTS);
	__type(key, __u32);
	__type(value, struct layout);
} layouts_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, NUM_PATTERNS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u32);
} index_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, NUM_PATTERNS);
	__type(key, __u32);
	__type(value, struct pattern);
} patterns_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, NUM_EXACT);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct exact_key);
	__type(value, struct exact_value);
} exact_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, NUM_REPLIES);
	__type(key, __u32);
	__type(value, struct reply);
} replies_map SEC(".maps");

/* By verdict.outcome. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, MAX_OUTCOMES + 1);
	__type(key, __u32);
	__type(value, __u64);
} outcomes_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 1 << 20);
} events_map SEC(".maps");

/* State of a walk over DHCP options; offsets are in scratch.frame. It is kept
 * in a map, whose content the verifier does not follow: on the stack, each of
 * its values would multiply the states of the loop. */
struct walk {
	__u32 message; /* where the message begins */
	__u32 pos;
	__u32 end;      /* of the field that is walked */
	__u32 options;  /* how many have been seen */
	__u32 overload; /* which fields are still to be walked */
	__u32 in_field; /* in file or sname, where option 52 means nothing */
	__u32 class_at; /* the first option 60: its text, 0 = none */
	__u32 class_len;
	enum reason result; /* GO_ON when the end was reached */
};

/* What tier 0 knows of the request in hand, besides the message in
 * scratch.words. */
struct ask {
	__u64 generation;
	__u64 now;
	__be32 src;
	__be32 dst;
	__u16 vid[2];
	__u16 port;
	__be16 src_port;
	__u32 ip_at; /* in the frame, as payload */
	__u32 payload;
	__u32 len; /* of the message */
	__u32 frame_len;
	enum deliver how;
	__u32 uuid_at; /* what the pattern says */
	struct verdict verdict;
};

/* Room for a frame and the head of its record: 2,048 so that an offset can be
 * bounded by a mask, which the verifier understands in a loop over options. */
#define SCRATCH_SIZE 2048
#define SCRATCH_MASK (SCRATCH_SIZE - 1)

struct scratch {
	struct request head;
	union {
		__u8 frame[SCRATCH_SIZE];
		/* A message alone, for tier 0; never read beyond its length
		 * but under a mask of zeros. */
		__u64 words[SCRATCH_SIZE / 8];
		__u32 halves[SCRATCH_SIZE / 4];
	};
	struct walk walk;
	struct ask ask;
	struct exact_key exact;
	struct event event;
	__u64 event_window; /* what ktime >> EVENT_WINDOW was */
	__u32 event_count;  /* written in it */
	struct sample sample;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch_map SEC(".maps");

/*
 * A key of 32 bits, as a whole word. Only such are ever stored on the stack, on
 * which clang lays out things as it likes: without CAP_PERFMON, kernels before
 * 6.13 let no part of a word be overwritten that holds a spilled register, or
 * anything that their verifier takes for one (b0e66977dc07 mended that). So
 * what helpers fill is in scratch_map, and gen.go has -mcpu=v2.
 */
static __always_inline __u64 map_key(__u32 key)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return key;
#else
	return (__u64)key << 32;
#endif
}

static __always_inline struct scratch *get_scratch(void)
{
	__u64 key = 0;

	return bpf_map_lookup_elem(&scratch_map, &key);
}

/* An offset in a message that stands alone in scratch.words, for the verifier:
 * behind it there is room for the longest option. */
#define MESSAGE_MASK 1023

/* The 16 bytes at an offset of the message, which need not be aligned; zeros if
 * it is 0. */
static __always_inline void copy_uuid(const struct scratch *s, __u32 at, __u8 *to)
{
	const __u8 *from = s->frame + (at & MESSAGE_MASK);

#pragma unroll
	for (int i = 0; i < 16; i++)
		to[i] = at ? from[i] : 0;
}

#endif
