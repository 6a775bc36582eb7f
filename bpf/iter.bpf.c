// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Task iterators, which user space reads.
 *
 * seed_processes seeds the process table with the processes that lived before the agent, once, after
 * process.bpf.c is attached. Each process that is not in the table yet is entered and written out
 * as a task_image. A process that forks or calls exec meanwhile is in the table already and told by
 * its own record; one that exits meanwhile is neither lost nor left behind (see below).
 *
 * clear_classes, then fill_classes until it writes nothing, classify all processes for the
 * generation that comes next.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"
#include "lib/cgroup.bpf.h"
#include "lib/compat.bpf.h"
#include "lib/task.bpf.h"
#include "stage/binary.bpf.h"
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
	enter_rights(tgid, &image.credentials, &image.namespaces);
	/* The reader's buffer is full: the kernel comes again with this task, then it must be new. */
	if (bpf_seq_write(ctx->meta->seq, &image, sizeof(image)))
		bpf_map_delete_elem(&processes, &tgid);
	return 0;
}

/* The classes of a process for the generation that is not in force yet; 0: not in the table. */
static __always_inline struct process_class *next_class(struct task_struct *task)
{
	__u32 tgid, zero = 0, *generation = bpf_map_lookup_elem(&active, &zero);
	struct process_entry *entry;

	if (!generation || !task || task->pid != task->tgid)
		return 0;
	tgid = task->tgid;
	entry = bpf_map_lookup_elem(&processes, &tgid);
	return entry ? &entry->classes[(*generation + 1) & 1] : 0;
}

SEC("iter/task")
int clear_classes(struct bpf_iter__task *ctx)
{
	struct process_class *class = next_class(ctx->task);

	if (class)
		__builtin_memset(class, 0, sizeof(*class));
	return 0;
}

/* What a process has from its parent, for the generation that is not in force yet. */
static __always_inline void fill_from_parent(struct process_class *class,
					     const struct process_key *key, __u32 half)
{
	__u32 tgid = key->tgid;
	struct process_entry *parent = bpf_map_lookup_elem(&processes, &tgid);

	if (!parent || parent->start_boottime_ns != key->start_boottime_ns)
		return;
	class->followed |= parent->classes[half].followed;
	class->binary[BINARY_PARENT_BEGIN] = parent->classes[half].binary[BINARY_BEGIN];
	class->binary[BINARY_PARENT_END] = parent->classes[half].binary[BINARY_END];
}

/*
 * The number that followForks looks for. Not that of the first process, which all descend from; it is
 * older than the agent, so fork needs no such question.
 */
static __always_inline __u32 followed_number(const struct pid_level *pid)
{
	return pid->level || pid->number != 1 ? pid->number : ~0U;
}

/*
 * Classify every process that lives for the generation that comes next: exec and fork do it for all
 * that come. In place, because an exec at the same moment replaces the whole entry. Writes one byte
 * for each process that changed: a parent that is filled later passes what is followed on.
 */
SEC("iter/task")
int fill_classes(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct path_walk *walk = path_walk_get();
	__u32 tgid, half, zero = 0, *generation = bpf_map_lookup_elem(&active, &zero);
	struct process_class *class, before;
	struct process_entry *entry;
	struct pid_level pid;
	struct file *file;
	__u8 changed = 1;

	if (!generation || !walk || !task || task->pid != task->tgid)
		return 0;
	half = (*generation + 1) & 1;
	tgid = task->tgid;
	entry = bpf_map_lookup_elem(&processes, &tgid);
	if (!entry)
		return 0;
	class = &entry->classes[half];
	before = *class;
	read_pid_level(task, &pid);
	class->followed |= followed_pid(half, tgid, followed_number(&pid));
	fill_from_parent(class, &entry->parent, half);
	file = BPF_CORE_READ(task, mm, exe_file);
	if (file) {
		resolve_path(walk, (void *)file + bpf_core_field_offset(struct file, f_path),
			     &task->fs->root);
		fill_class(walk, half, class);
	}
	if (before.followed != class->followed || before.binary[0] != class->binary[0] ||
	    before.binary[1] != class->binary[1] || before.binary[2] != class->binary[2] ||
	    before.binary[3] != class->binary[3])
		bpf_seq_write(ctx->meta->seq, &changed, sizeof(changed));
	return 0;
}
