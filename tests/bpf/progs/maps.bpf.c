// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One map of each kind that the agent uses, and constants.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 number = 7;
const volatile __u64 long_number = 8;

#define MAP(name, kind, entries)                                                                   \
	struct {                                                                                   \
		__uint(type, kind);                                                                \
		__uint(max_entries, entries);                                                      \
		__type(key, __u32);                                                                \
		__type(value, __u64);                                                              \
	} name SEC(".maps")

MAP(numbers, BPF_MAP_TYPE_HASH, 10000);
MAP(slots, BPF_MAP_TYPE_ARRAY, 5);
MAP(recent, BPF_MAP_TYPE_LRU_HASH, 1000);
MAP(counters, BPF_MAP_TYPE_PERCPU_ARRAY, 3);

/* A value that is not a multiple of 8 bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 100);
	__type(key, __u32);
	__type(value, __u32);
} small_counters SEC(".maps");

/* Counts its runs on this CPU; returns its constants. */
SEC("raw_tp")
int count(void *context)
{
	__u32 zero = 0;
	__u64 *counter = bpf_map_lookup_elem(&counters, &zero);

	if (counter)
		*counter += 1;
	return number + long_number;
}

/* The verifier refuses it: the pointer may be NULL. */
SEC("?raw_tp")
int refused(void *context)
{
	__u32 zero = 0;
	__u64 *found = bpf_map_lookup_elem(&numbers, &zero);

	return *found;
}
