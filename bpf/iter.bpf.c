// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Seeds the process table with the processes that lived before the agent: a task iterator that user
 * space reads once, after process.bpf.c is attached. Each process that is not in the table yet is
 * entered and written out as a task_image.
 *
 * A process that forks or calls exec meanwhile is in the table already and told by its own record;
 * one that exits meanwhile is neither lost nor left behind (see below).
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"
#include "lib/cgroup.bpf.h"
#include "lib/compat.bpf.h"
#include "lib/task.bpf.h"
#include "stage/emit.bpf.h"
#include "stage/who.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("iter/task")
int seed_processes(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct process_entry entry = {};
	struct task_image image = {};
	struct pid_level pid;
	__u32 tgid;

	if (!task || task->pid != task->tgid || !task->signal->live.counter)
		return 0;
	tgid = task->tgid;
	entry.start_boottime_ns = task->start_boottime;
	entry.parent = key_of(task->real_parent);
	entry.execs = task->self_exec_id;
	entry.flags = task->flags & PF_FORKNOEXEC ? 0 : PROCESS_EXECED;
	if (bpf_map_update_elem(&processes, &tgid, &entry, BPF_NOEXIST)) {
		if (!bpf_map_lookup_elem(&processes, &tgid))
			count_loss(LOSS_TABLE_FULL, EVENT_EXIT, tgid);
		return 0;
	}
	/*
	 * If the last thread left before the update, its own delete found nothing and told nothing:
	 * take the entry back. If it leaves after the update, it finds the entry; who then deletes
	 * it first decides whether this process is told.
	 */
	if (!task->signal->live.counter && !bpf_map_delete_elem(&processes, &tgid))
		return 0;
	image.process.tgid = tgid;
	image.process.start_boottime_ns = entry.start_boottime_ns;
	image.parent = entry.parent;
	image.flags = task->flags & PF_FORKNOEXEC ? EXEC_AFTER_FORK : 0;
	read_pid_level(task, &pid);
	image.nspid = nspid_of(&pid);
	image.kernel_thread = !!(task->flags & PF_KTHREAD);
	image.cgroup_id = cgroup_id(task);
	bpf_probe_read_kernel(image.comm, sizeof(image.comm), task->comm);
	read_credentials(task, &image.credentials);
	read_namespaces(task, &pid, &image.namespaces);
	/* The reader's buffer is full: the kernel comes again with this task, then it must be new. */
	if (bpf_seq_write(ctx->meta->seq, &image, sizeof(image)))
		bpf_map_delete_elem(&processes, &tgid);
	return 0;
}
