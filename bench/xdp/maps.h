/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The maps. open.go sets the sizes of those that hold requests. */
#ifndef XDPXE_BENCH_MAPS_H
#define XDPXE_BENCH_MAPS_H

#include "abi.h"

#include "headers/bpf_helpers.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings_map SEC(".maps");

/* Each sender changes its own copy. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct template);
} template_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct identity);
} identities_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slot);
} slots_map SEC(".maps");

/* The next serial number that no sender has. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} serial_map SEC(".maps");

/* The next serial number of this CPU's sender; a multiple of SERIALS: none left. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} own_serial_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pace);
} pace_map SEC(".maps");

/* By enum counter. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NUM_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters_map SEC(".maps");

/* Times from request to answer in time. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NUM_BUCKETS);
	__type(key, __u32);
	__type(value, __u64);
} latency_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} samples_map SEC(".maps");

/* Each sender changes its own copy. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flood);
} flood_map SEC(".maps");

static __always_inline void add(enum counter which, __u64 n)
{
	__u32 key = which;
	__u64 *counter = bpf_map_lookup_elem(&counters_map, &key);

	if (counter)
		*counter += n;
}

#endif
