/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps that all objects share: created by the first object, reused by the others. The only
 * header with SEC(".maps"). Sizes marked "set by the loader" come from the settings.
 */
#ifndef TPY_MAPS_BPF_H
#define TPY_MAPS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "abi/event.h"
#include "abi/process.h"
#include "abi/policy.h"
#include "abi/stats.h"

#define RING(name)                                                                                 \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_RINGBUF);                                                \
		__uint(max_entries, 4096); /* bytes, set by the loader */                          \
	} name SEC(".maps")

/* One ring buffer per lane, see enum event_lane. */
RING(lifecycle);
RING(verdicts);
RING(policy_events);

/* Every live process: tgid -> process_entry. Preallocated: tracing programs may not allocate. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536); /* set by the loader */
	__type(key, __u32);
	__type(value, struct process_entry);
} processes SEC(".maps");

/* How many records each CPU tried to post, per lane. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LANE_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} sequences SEC(".maps");

/* How many records were lost: index LOSS_INDEX(cause, type). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSS_INDEX_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

/* How many records the stand-ins told, see process.bpf.c: index enum event_type. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_TYPE_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} stand_ins SEC(".maps");

/* Whose records were lost. LRU: an attacker with many processes cannot fill it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct loss_source);
	__type(value, __u64);
} loss_sources SEC(".maps");

/* Where walk_path() leaves a path: its text ends at the end of "text" (see lib/path.bpf.h). */
struct path_walk {
	__u64 dentry;	   /* to be named next */
	__u64 mount;	   /* that it is on */
	__u64 root_dentry; /* where to stop */
	__u64 root_mount;
	__u32 start;	/* of the text so far: counts down from PATH_MAX_BYTES */
	__u32 flags;	/* PATH_* */
	__u64 key_room; /* the beginning of struct text_key, if the path is one */
	/* Verifier: 256 more than start's mask can reach. Behind the path is always a NUL. */
	char text[PATH_MAX_BYTES + 256];
	struct text_key key; /* work space of stage/binary.bpf.h */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct path_walk);
} path_walks SEC(".maps");

#endif
