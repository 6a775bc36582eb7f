/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps that hold the policy set, see abi/policy.h. Created once by tables.bpf.c, reused by all
 * objects with hooks. Sizes marked "set by the loader" come from the settings.
 */
#ifndef TPY_TABLES_BPF_H
#define TPY_TABLES_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "abi/policy.h"

#define BPF_F_NO_PREALLOC 1 /* an anonymous enum of the kernel: not in vmlinux.h */

#define TABLE(name, kind, key_type, value_type, entries)                                           \
	struct {                                                                                   \
		__uint(type, kind);                                                                \
		__uint(max_entries, entries);                                                      \
		__type(key, key_type);                                                             \
		__type(value, value_type);                                                         \
	} name SEC(".maps")
#define ROWS(name, value_type, entries) TABLE(name, BPF_MAP_TYPE_ARRAY, __u32, value_type, entries)

/* The generation that hooks read; its lowest bit chooses the half of what has two. */
ROWS(active, __u32, 1);
/* Twice HOOKS_MAX: half, number of the hook -> row of hook_configs; 0: nobody wants it. */
ROWS(hook_index, __u32, 2 * HOOKS_MAX);
ROWS(hook_configs, struct hook_config, 4096);
ROWS(steps, struct resolve_step, 4096);
ROWS(selectors, struct selector, 32768);
ROWS(vectors, struct vector, 32768);
ROWS(bounds, struct bound, 262144);
ROWS(rows, __u32, 131072);
ROWS(automata, struct automaton_state, 4096);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct selector_counters);
} counters SEC(".maps");

/* How often each hook was hit, whatever its policies made of it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HOOKS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} hook_hits SEC(".maps");

/* Values are numbers of vectors, or classes of processes. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct text_key);
	__type(value, __u32);
} texts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct address_key);
	__type(value, __u32);
} addresses SEC(".maps");

TABLE(short_texts, BPF_MAP_TYPE_HASH, struct short_text_key, __u32, 4096);
TABLE(long_texts, BPF_MAP_TYPE_HASH, struct long_text_key, __u32, 512);

/* How processes are classified: one row per half. */
ROWS(class_configs, struct class_config, 2);
ROWS(follow_rows, __u64, 16384);
TABLE(followed_pids, BPF_MAP_TYPE_HASH, struct pid_key, __u64, 1024);

/* Address of a struct sock -> its owner. LRU: who opens too many sockets loses his own. */
TABLE(sock_owners, BPF_MAP_TYPE_LRU_HASH, __u64, struct sock_owner, 32768);

/* Which hook decides about a system call in an LSM hook. */
TABLE(guards, BPF_MAP_TYPE_HASH, struct guard_key, __u32, 16384);

/* By thread; preallocated, so that only a full table can lose a verdict, which is told. */
TABLE(verdict_notes, BPF_MAP_TYPE_HASH, __u32, struct enforcer_verdict, 32768);

/* Preallocated: where it is full, each hit is told. */
TABLE(repeats, BPF_MAP_TYPE_HASH, struct repeat_key, struct repeat, 8192);

/* Of each system call the hook's number: native and 32-bit. */
ROWS(syscalls, struct syscall_hooks, SYSCALL_NUMBERS);

#endif
