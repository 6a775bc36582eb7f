/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One hit of a hook on its way through the stages: the raw arguments, the record that grows, the
 * selectors that are still content. One per CPU and object: the kernel does not enter a program
 * again on the CPU where it runs, so nobody else writes here. (Not so for LSM programs, see
 * lsm.bpf.c.)
 *
 * Verifier: stages are global functions, which are checked once and by themselves. They may take no
 * pointers on 5.10, so each finds the hit of its CPU again.
 */
#ifndef TPY_HIT_BPF_H
#define TPY_HIT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "abi/policy.h"
#include "lib/bound.bpf.h"

#define REGISTERS 6
#define SYSCALL_REGISTERS 6 /* behind them: those of the system call that a guard is in */
/* Verifier: a text that begins below ARGUMENTS_BYTES_MAX may be read and written this far behind it */
#define ARGUMENT_SLACK (2 * ARGUMENT_TEXT_MAX)
#define RAW_COUNT (REGISTERS + SYSCALL_REGISTERS)
#define NOT_CAPTURED 0

/* When a policy's selector acts: at the entry, or with the value that the function returned. */
enum phase {
	PHASE_ENTRY = 0,
	PHASE_RETURN = 1,
};

struct hit {
	__u32 config; /* row of "hook_configs", read once per hit */
	__u32 generation;
	__u64 context; /* address of a tracepoint's record */
	__u64 raw[RAW_COUNT];
	__u64 result;	    /* what the function returned */
	__u16 phase;	    /* enum phase */
	__u8 mechanism;	    /* enum mechanism: what this program can do */
	__u8 lacks_syscall; /* 1: the registers of a system call are not known */
	__u32 used;	    /* bytes of "bytes" */
	/* 8 + where in "bytes" each argument's head is; 0: not captured */
	__u32 at[HOOK_ARGUMENTS_MAX];
	struct vector matched;
	struct process_class class;
	__u32 position; /* the next selector to look at */
	__u32 told;	/* matches behind the arguments */
	__u64 hash[2];	/* of the arguments, for limits */
	/* The record, as it is posted: the event, the arguments, then the matches. */
	struct event_hook event;
	__u8 bytes[ARGUMENTS_BYTES_MAX + ARGUMENT_SLACK];
	/* Work space of single stages; not kept from entry to return. */
	__u32 told_counters[HOOK_MATCHES_MAX]; /* row of "counters" of each match */
	struct vector collected;
	struct long_text_key key;
	__u32 search_at; /* of a substring: where in "bytes" */
	__u32 search_end;
	__u32 search_state;
	__s32 verdict;	/* 0, or the error that this hook returns */
	__u64 signals;	/* bit: signal - 1, sent in this hit */
	__s32 failure;	/* -errno of what the selector at hand could not do */
	__u32 done;	/* ACTION_* of the selector at hand */
	__u32 enforced; /* whether this record tells of something that was done */
	__u32 _pad;
	__u64 owner; /* LSM programs: pid_tgid of who is in */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* CPUs, set by the loader */
	__type(key, __u32);
	__type(value, struct hit);
} hits SEC(".maps");

static __always_inline struct hit *hit_get(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&hits, &cpu);
}

/* ---- what hits leave behind, private to each object ---- */

struct limit_key {
	__u32 counter; /* row of "counters": the selector */
	__u32 scope;   /* thread, process or 0 */
	__u64 arguments[2];
};

/* Private to each hook: its own hits only. LRU: who floods it loses limits, never events. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct limit_key);
	__type(value, __u64); /* CLOCK_BOOTTIME ns: told last */
} limits SEC(".maps");

#define SHORT_WAIT_BYTES 512 /* of arguments */

struct wait_key {
	__u32 tid;
	__u16 hook;
	__u16 depth;
};

/* A hit without its work space, up to "bytes" bytes of arguments. */
#define WAITS(name, room, entries)                                                                 \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                                                   \
		__uint(max_entries, entries);                                                      \
		__uint(key_size, sizeof(struct wait_key));                                         \
		__uint(value_size, offsetof(struct hit, bytes) + (room));                          \
	} name SEC(".maps")

WAITS(short_waits, SHORT_WAIT_BYTES, 4096);
WAITS(long_waits, ARGUMENTS_BYTES_MAX, 256);

#endif
