/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who did it: a task's entry in the process table.
 */
#ifndef TPY_WHO_BPF_H
#define TPY_WHO_BPF_H

#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>

/*
 * The key of the process of "task": from the table, or made from the task for a process that is
 * not there, which is what the iterator would enter.
 */
static __always_inline struct process_key key_of(struct task_struct *task)
{
	__u32 tgid = task->tgid;
	struct process_key key = { .tgid = tgid };
	struct process_entry *entry = bpf_map_lookup_elem(&processes, &tgid);

	if (entry)
		key.start_boottime_ns = entry->start_boottime_ns;
	else /* Verifier: one instruction may not read a map value here and a task there */
		key.start_boottime_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	return key;
}

#endif
