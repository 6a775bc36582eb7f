// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The life of processes: fork, exec, exit. Always loaded.
 *
 *   sched_process_fork   a new entry in the process table, an event_fork
 *   sched_process_exec   the entry names the new image, an event_exec with all that it is
 *   sched_process_exit   the last thread removes the entry and posts the event_exit
 *
 * Only BTF tracepoints, which hardened kernels without kprobes and trampolines have too.
 *
 * The kernel skips a program that a preempted task is in on the same CPU. Where tracepoints can be
 * preempted, this object is loaded twice: the second copy, the stand-in, is attached after the first
 * and tells what the process table says has not been told.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"
#include "lib/bound.bpf.h"
#include "lib/cgroup.bpf.h"
#include "lib/compat.bpf.h"
#include "lib/path.bpf.h"
#include "lib/task.bpf.h"
#include "stage/binary.bpf.h"
#include "stage/emit.bpf.h"
#include "stage/who.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before load; the verifier sees constants. */
const volatile __u32 arguments_max = ARGUMENTS_MAX_BYTES;
const volatile __u32 environment_max = 0; /* 0: do not send the environment */

const volatile __u32 is_stand_in = 0;

#define S_ISUID 0004000
#define S_ISGID 0002000
#define S_IXGRP 0000010
#define SECURE_NOROOT 1		/* securebits: root gets no capabilities at exec */
#define EXECUTABLE_NAME_MAX 256 /* of linux_binprm.interp: BINPRM_BUF_SIZE */
#define PAGE_BYTES 4096
/* The longest exec record, less its arguments and environment. */
#define EXEC_PATHS_MAX                                                                             \
	(3 * PATH_MAX_BYTES + EXECUTABLE_NAME_MAX + TTY_MAX_BYTES + CGROUP_MAX_BYTES + 16)

/*
 * Where each CPU builds its exec record: too long for the stack and for a per-CPU map (32 KiB).
 * One element per CPU; programs on tracepoints do not migrate.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* CPUs, set by the loader */
	__uint(key_size, sizeof(__u32));
	/* arguments_max and environment_max instead of the constants, set by the loader */
	__uint(value_size, sizeof(struct event_exec) + EXEC_PATHS_MAX + ARGUMENTS_MAX_BYTES +
				   ENVIRONMENT_MAX_BYTES);
} exec_scratch SEC(".maps");

static __always_inline void count_stand_in(__u32 type)
{
	__u64 *count = bpf_map_lookup_elem(&stand_ins, &type);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* The first copy entered this child. A start time is never reused with the same tgid. */
static __always_inline bool fork_is_told(struct task_struct *child)
{
	__u32 tgid = child->tgid;
	struct process_entry *entry = bpf_map_lookup_elem(&processes, &tgid);

	return entry && entry->start_boottime_ns == child->start_boottime;
}

/* The first copy entered this image: each exec raises the task's count, a fork copies it. */
static __always_inline bool exec_is_told(struct task_struct *task)
{
	__u32 tgid = task->tgid;
	struct process_entry *entry = bpf_map_lookup_elem(&processes, &tgid);

	return entry && entry->execs == task->self_exec_id;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct event_fork event = {};
	struct process_entry entry = {};
	struct pid_level pid;
	__u32 tgid = child->tgid;

	if (child->pid != child->tgid) /* a thread */
		return 0;
	if (is_stand_in) {
		if (fork_is_told(child))
			return 0;
		count_stand_in(EVENT_FORK);
	}
	begin_record(&event.header, LANE_LIFECYCLE, EVENT_FORK, bpf_ktime_get_boot_ns());
	event.process.tgid = tgid;
	event.process.start_boottime_ns = child->start_boottime;
	event.parent = key_of(parent);
	entry.start_boottime_ns = event.process.start_boottime_ns;
	entry.parent = event.parent;
	entry.execs = child->self_exec_id;
	read_pid_level(child, &pid);
	inherit_classes(&entry, tgid, pid.number, event.parent.tgid);
	/* Without an entry nobody can tell which of its threads goes last: the exit is lost. */
	if (bpf_map_update_elem(&processes, &tgid, &entry, BPF_ANY))
		count_loss(LOSS_TABLE_FULL, EVENT_EXIT, event.parent.tgid);
	event.nspid = nspid_of(&pid);
	if (child->nsproxy != parent->nsproxy || child->cred->user_ns != parent->cred->user_ns ||
	    pid.namespace != parent->nsproxy->pid_ns_for_children->ns.inum ||
	    pid.level != BPF_CORE_READ(parent, thread_pid, level)) {
		event.namespaces_changed = 1;
		read_namespaces(child, &pid, &event.namespaces);
	}
	post_record(&lifecycle, &event.header, sizeof(event), event.parent.tgid);
	return 0;
}

/* Which privileges this exec gained: EXEC_SETUID, EXEC_SETGID, EXEC_FILE_CAPS. */
static __always_inline __u32 privileges_raised(struct linux_binprm *bprm, struct inode *inode,
					       const struct credentials *cred)
{
	__u16 mode = BPF_CORE_READ(inode, i_mode);
	__u32 flags = 0;

	/*
	 * The kernel notes here that it honoured a set-id bit or gained capabilities from the file;
	 * not on a nosuid mount, not with no_new_privs (fs/exec.c, security/commoncap.c).
	 */
	if (!BPF_CORE_READ(bprm, per_clear))
		return 0;
	/* An exec leaves the real ids: one that differs from the effective id was raised. */
	if ((mode & S_ISUID) && cred->uid != cred->euid &&
	    cred->euid == BPF_CORE_READ(inode, i_uid.val))
		flags |= EXEC_SETUID;
	if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && cred->gid != cred->egid &&
	    cred->egid == BPF_CORE_READ(inode, i_gid.val))
		flags |= EXEC_SETGID;
	/*
	 * capabilities(7), transformation during execve(): who is not root keeps only ambient
	 * capabilities, all others come from the file.
	 */
	if ((cred->euid || (cred->securebits & SECURE_NOROOT)) &&
	    (cred->permitted & ~cred->ambient))
		flags |= EXEC_FILE_CAPS;
	return flags;
}

/* The record under construction: "used" counts from the start of the header. */
struct exec_record {
	struct event_exec *event;
	__u64 used;
};

/* append_*() add one text each and put its length, or -errno, into *told. */

static __always_inline void append_string(struct exec_record *record, __s32 *told, const void *text,
					  __u32 max)
{
	long length = bpf_probe_read_kernel_str((void *)record->event + record->used, max, text);

	if (length < 0) {
		*told = length;
		return;
	}
	if (length > 0)
		length -= 1; /* the NUL */
	length = CLAMP_SIZE(length, max);
	*told = length;
	record->used += length;
}

static __always_inline void append_path(struct exec_record *record, __s32 *told,
					struct path_walk *walk)
{
	__u64 length = CLAMP_SIZE(path_length(walk), PATH_MAX_BYTES);
	__u64 start = MASK_INDEX(walk->start, PATH_MAX_BYTES);

	/* Verifier: start + length has to end inside "text" */
	if (length > PATH_MAX_BYTES - start)
		length = 0;
	bpf_probe_read_kernel((void *)record->event + record->used, length, &walk->text[start]);
	*told = length;
	record->used += length;
}

/*
 * Verifier: the next two are global functions, checked once and by themselves: their loops, whose
 * every way out would be followed to the end of the program, cost nothing in it. They may take no
 * pointers on 5.10, so they find the record again: "at" counts from its header.
 */

static __always_inline void *scratch_at(__u32 at)
{
	__u32 cpu = bpf_get_smp_processor_id();
	void *scratch = bpf_map_lookup_elem(&exec_scratch, &cpu);

	return scratch && at <= sizeof(struct event_exec) + EXEC_PATHS_MAX ? scratch + at : 0;
}

/*
 * Read user memory that is partly absent: whole pieces of a page's size, up to the first that cannot
 * be read; what follows them is given up. Returns bytes.
 */
__noinline int read_user_pages(__u64 from, __u32 length, __u32 at)
{
	void *out = scratch_at(at);
	__u32 used = 0;
	int i;

	if (!out)
		return 0;
	for (i = 0; i < ARGUMENTS_MAX_BYTES / PAGE_BYTES; i++) {
		if (used + PAGE_BYTES > length || used + PAGE_BYTES > arguments_max)
			break;
		if (bpf_probe_read_user(out + used, PAGE_BYTES, (void *)from + used))
			break;
		used += PAGE_BYTES;
	}
	return used;
}

/* Write the names of the cgroup at "node". Returns bytes. */
__noinline int read_cgroup(__u64 node, __u32 at)
{
	void *out = scratch_at(at);

	return out ? read_cgroup_names((struct kernfs_node *)node, out) : 0;
}

static __always_inline void append_user(struct exec_record *record, __s32 *told, __u64 start,
					__u64 end, __u32 max, __u32 cut_flag)
{
	void *out = (void *)record->event + record->used;
	__u64 length;
	long error;

	if (end <= start)
		return;
	if (end - start > max)
		record->event->flags |= cut_flag;
	length = CLAMP_SIZE(end - start, max);
	error = bpf_probe_read_user(out, length, (void *)start);
	if (error) { /* a page is swapped out: the pieces before it */
		length = CLAMP_SIZE(read_user_pages(start, length, record->used), max);
		record->event->flags |= cut_flag;
	}
	*told = length ? (long)length : error;
	record->used += length;
}

/* The table's entry names the new image; who was there before becomes its parent. */
static __always_inline void enter_image(struct task_struct *task, struct event_exec *event)
{
	__u32 tgid = task->tgid;
	struct process_entry *old = bpf_map_lookup_elem(&processes, &tgid);
	struct process_entry entry = {};

	entry.start_boottime_ns = event->header.boottime_ns;
	entry.execs = task->self_exec_id;
	entry.flags = PROCESS_EXECED;
	if (old) /* stays for the part that classify_binary() does not replace */
		__builtin_memcpy(entry.classes, old->classes, sizeof(entry.classes));
	if (old && !(old->flags & PROCESS_EXECED)) {
		entry.parent = old->parent;
		event->flags |= EXEC_AFTER_FORK;
	} else {
		replace_parent_classes(&entry);
		if (!old)
			event->flags |= EXEC_PARENT_UNKNOWN;
		entry.parent = key_of(task);
	}
	event->parent = entry.parent;
	event->process.tgid = tgid;
	event->process.start_boottime_ns = entry.start_boottime_ns;
	/* If the table is full and has no old entry, the fork has counted that. */
	bpf_map_update_elem(&processes, &tgid, &entry, BPF_ANY);
}

static __always_inline void append_paths(struct exec_record *record, struct task_struct *task,
					 struct file *file)
{
	struct path_walk *walk = path_walk_get();
	struct image *image = &record->event->image;

	if (!walk)
		return;
	resolve_path(walk, &file->f_path, &task->fs->root);
	classify_binary(task->tgid);
	image->executable_flags = walk->flags;
	append_path(record, &image->lengths[IMAGE_EXECUTABLE], walk);
	resolve_path(walk, &task->fs->pwd, &task->fs->root);
	image->cwd_flags = walk->flags;
	append_path(record, &image->lengths[IMAGE_CWD], walk);
}

/* What runs: the fixed part and the texts of the image. */
static __always_inline void append_image(struct exec_record *record, struct task_struct *task,
					 struct linux_binprm *bprm, struct pid_level *pid)
{
	struct image *image = &record->event->image;
	struct file *file = task->mm->exe_file;
	struct inode *inode = file->f_inode;
	__u64 length;

	image->cgroup_id = cgroup_id(task);
	image->inode = inode->i_ino;
	image->links = inode->i_nlink;
	image->device = inode->i_sb->s_dev;
	image->mode = inode->i_mode;
	read_credentials(task, &image->credentials);
	read_namespaces(task, pid, &image->namespaces);
	record->event->flags |= privileges_raised(bprm, inode, &image->credentials);

	__builtin_memset(image->lengths, 0, sizeof(image->lengths));
	append_string(record, &image->lengths[IMAGE_FILENAME], bprm->filename, PATH_MAX_BYTES);
	if (bprm->interp != bprm->filename)
		append_string(record, &image->lengths[IMAGE_INTERPRETER], bprm->interp,
			      EXECUTABLE_NAME_MAX);
	append_paths(record, task, file);
	if (task->signal->tty)
		append_string(record, &image->lengths[IMAGE_TTY], &task->signal->tty->name,
			      TTY_MAX_BYTES);
	length = CLAMP_SIZE(read_cgroup((__u64)cgroup_node(task), record->used), CGROUP_MAX_BYTES);
	image->lengths[IMAGE_CGROUP] = length;
	record->used += length;
	record->event->image_bytes = record->used - offsetof(struct event_exec, image);
	enter_rights(task->tgid, &image->credentials, &image->namespaces);
}

/* What NotifyEnforcer wanted of a thread that is gone. */
static __always_inline void forget_verdict(__u32 thread)
{
	if (bpf_map_lookup_elem(&verdict_notes, &thread))
		bpf_map_delete_elem(&verdict_notes, &thread);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct event_exec *event = bpf_map_lookup_elem(&exec_scratch, &cpu);
	struct exec_record record = { .event = event, .used = sizeof(*event) };
	struct mm_struct *mm = task->mm;
	struct pid_level pid;

	if (is_stand_in) {
		if (exec_is_told(task))
			return 0;
		count_stand_in(EVENT_EXEC);
	}
	if (!event) {
		count_loss(LOSS_NO_SCRATCH, EVENT_EXEC, task->tgid);
		return 0;
	}
	begin_record(&event->header, LANE_LIFECYCLE, EVENT_EXEC, bpf_ktime_get_boot_ns());
	event->flags = 0;
	enter_image(task, event);
	event->tid_before = old_pid;
	if (old_pid != task->pid) /* this thread takes the place of the first */
		forget_verdict(old_pid);
	read_pid_level(task, &pid);
	event->nspid = nspid_of(&pid);
	append_image(&record, task, bprm, &pid);

	event->arguments_bytes = mm->arg_end - mm->arg_start;
	event->arguments_length = 0;
	append_user(&record, &event->arguments_length, mm->arg_start, mm->arg_end, arguments_max,
		    EXEC_ARGUMENTS_CUT);
	event->environment_bytes = mm->env_end - mm->env_start;
	event->environment_length = 0;
	if (environment_max)
		append_user(&record, &event->environment_length, mm->env_start, mm->env_end,
			    environment_max, EXEC_ENVIRONMENT_CUT);

	post_record(&lifecycle, &event->header, (record.used + 7) & ~7ULL, event->parent.tgid);
	return 0;
}

/*
 * What wait(2) will say: of the whole process if it was ended as one, else of its first thread. (If
 * the first thread leaves at the same moment by the bare system call exit(), its code may not be
 * there yet: the kernel counts it out before it writes the code.)
 */
static __always_inline __u32 wait_status(struct task_struct *task)
{
	if (task->signal->flags & SIGNAL_GROUP_EXIT)
		return task->signal->group_exit_code;
	return task->group_leader->exit_code;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct event_exit event = {};
	struct process_entry *entry;
	__u32 tgid = task->tgid;
	__u32 parent;

	forget_verdict(task->pid);
	if (task->signal->live.counter) /* other threads live */
		return 0;
	entry = bpf_map_lookup_elem(&processes, &tgid);
	if (!entry)
		return 0;
	event.process.tgid = tgid;
	event.process.start_boottime_ns = entry->start_boottime_ns;
	parent = entry->parent.tgid;
	/* Two threads that leave together both see 0 living ones: the one that deletes is the last. */
	if (bpf_map_delete_elem(&processes, &tgid))
		return 0;
	if (is_stand_in)
		count_stand_in(EVENT_EXIT);
	event.status = wait_status(task);
	event.tid = task->pid;
	begin_record(&event.header, LANE_LIFECYCLE, EVENT_EXIT, bpf_ktime_get_boot_ns());
	post_record(&lifecycle, &event.header, sizeof(event), parent);
	return 0;
}
