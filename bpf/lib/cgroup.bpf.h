/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The cgroup of a task: its id and its names. Read in the kernel, because the cgroup of a short
 * process can be gone before user space looks.
 */
#ifndef TPY_CGROUP_BPF_H
#define TPY_CGROUP_BPF_H

#include "abi/process.h"
#include "lib/bound.bpf.h"
#include "lib/compat.bpf.h"

#define CGROUP_DEPTH_MAX 64 /* the front of deeper paths is missing */
#define CGROUP_NAME_MAX 256 /* NAME_MAX and the NUL */

static __always_inline __u64 cgroup_id(struct task_struct *task)
{
	return task->cgroups->dfl_cgrp->kn->id;
}

/*
 * The cgroup v2 node; where only version 1 is in use, everything sits in the root of v2: then the
 * node of the memory controller, which all container runtimes use.
 */
static __always_inline struct kernfs_node *cgroup_node(struct task_struct *task)
{
	struct css_set *set = task->cgroups;
	struct kernfs_node *node = BPF_CORE_READ(set, dfl_cgrp, kn);
	struct cgroup_subsys_state *memory = 0;
	int index;

	if (kernfs_parent(node) ||
	    !bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return node;
	index = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	bpf_core_read(&memory, sizeof(memory), &set->subsys[index]);
	return memory ? BPF_CORE_READ(memory, cgroup, kn) : node;
}

/*
 * Write the names from "node" up to the root, which has none, to "out": innermost first, each ended
 * by a NUL. "out" has room for CGROUP_MAX_BYTES. Returns the number of bytes.
 */
static __always_inline __u64 read_cgroup_names(struct kernfs_node *node, void *out)
{
	__u64 used = 0;
	int i;

	for (i = 0; i < CGROUP_DEPTH_MAX; i++) {
		struct kernfs_node *parent = kernfs_parent(node);
		long length;

		if (!parent || used > CGROUP_MAX_BYTES - 2 * CGROUP_NAME_MAX)
			break;
		length = bpf_probe_read_kernel_str(out + used, CGROUP_NAME_MAX,
						   BPF_CORE_READ(node, name));
		if (length <= 0)
			break;
		/* Verifier: a branch here would double the states of each turn, a mask does not */
		used += MASK_INDEX(length, 2 * CGROUP_NAME_MAX);
		node = parent;
	}
	return used;
}

#endif
