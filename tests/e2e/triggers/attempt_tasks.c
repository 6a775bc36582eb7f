// SPDX-License-Identifier: Apache-2.0
// attempt_tasks ROW FOLDER: other processes, and a process' own properties: see attempt.h.
#include "attempt.h"
#include <linux/ioprio.h>
#include <linux/kcmp.h>
#include <linux/types.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/resource.h>

static char secret[TEXT_SIZE + 1] = "......"; /* only a child has it */

/* A child with a secret, in a session of its own, that waits for the end of its parent. */
static void make_child(struct stage *s)
{
	int ends[2], child, parent = getpid();
	char byte;
	sigset_t all;

	need(s, syscall(SYS_pipe2, ends, 0), "pipe");
	child = need(s, give_birth(s), "child");
	if (!child) {
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL); /* a signal stays to be seen */
		memcpy(secret, SECRET, TEXT_SIZE);
		setsid();
		syscall(SYS_close, ends[0]);
		syscall(SYS_close, ends[1]);
		wait_for_end(s, parent);
	}
	s->child = child; /* not above: the child shares it */
	syscall(SYS_close, ends[1]);
	need(s, syscall(SYS_read, ends[0], &byte, 1L), "child's start");
}

/* A line of /proc/PID/status, as a number. */
static unsigned long status_of(int pid, const char *key, int base)
{
	char path[64], text[4096] = "";
	char *found;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
	if (fd < 0 || syscall(SYS_read, fd, text, sizeof(text) - 1) < 0)
		return 0;
	syscall(SYS_close, fd);
	found = strstr(text, key);
	return found ? strtoul(found + strlen(key), NULL, base) : 0;
}

/* ---- other processes ---- */

static void do_ptrace(struct stage *s)
{
	TRY(ptrace, (long)PTRACE_SEIZE, (long)s->child, 0L, 0L);
	s->effect = status_of(s->child, "TracerPid:", 10) == (unsigned long)getpid();
}

static void do_process_vm_readv(struct stage *s)
{
	struct iovec here = { s->text, TEXT_SIZE }, there = { secret, TEXT_SIZE };
	TRY(process_vm_readv, (long)s->child, &here, 1L, &there, 1L, 0L);
	s->effect = is_secret(s->text);
}

static void do_process_vm_writev(struct stage *s)
{
	struct iovec here = { MARKED, TEXT_SIZE }, there = { secret, TEXT_SIZE };

	TRY(process_vm_writev, (long)s->child, &here, 1L, &there, 1L, 0L);
}

static int is_overwritten(struct stage *s)
{
	struct iovec here = { s->text, TEXT_SIZE }, there = { secret, TEXT_SIZE };

	syscall(SYS_process_vm_readv, (long)s->child, &here, 1L, &there, 1L, 0L);
	return !memcmp(s->text, MARKED, TEXT_SIZE);
}

static void do_kill(struct stage *s)
{
	TRY(kill, s->child, SIGUSR1);
}

static void do_tkill(struct stage *s)
{
	TRY(tkill, s->child, SIGUSR1);
}

static void do_tgkill(struct stage *s)
{
	TRY(tgkill, s->child, s->child, SIGUSR1);
}

static void do_rt_sigqueueinfo(struct stage *s)
{
	siginfo_t sent = { .si_signo = SIGUSR1, .si_code = SI_QUEUE };

	TRY(rt_sigqueueinfo, s->child, SIGUSR1, &sent);
}

static void do_rt_tgsigqueueinfo(struct stage *s)
{
	siginfo_t sent = { .si_signo = SIGUSR1, .si_code = SI_QUEUE };

	TRY(rt_tgsigqueueinfo, s->child, s->child, SIGUSR1, &sent);
}

static void do_pidfd_getfd(struct stage *s)
{
	TRY(pidfd_getfd, s->fds[0], s->directory, 0);
	s->effect = s->result >= 0 &&
		    look_at(s->result, ".").stx_ino == look_at(s->directory, ".").stx_ino;
}

static void do_process_madvise(struct stage *s)
{
	struct iovec page = { (void *)((unsigned long)secret & ~4095UL), 4096 };

	TRY(process_madvise, s->fds[0], &page, 1L, (long)MADV_COLD, 0L);
	s->effect = s->result == 4096;
}

static void do_kcmp(struct stage *s)
{
	long own = s->directory;

	TRY(kcmp, getpid(), s->child, KCMP_FILE, own, own);
	s->effect = s->result == 0; /* the same file */
}

static void do_get_robust_list(struct stage *s)
{
	void *head;
	size_t size = 0;

	TRY(get_robust_list, s->child, &head, &size);
	s->effect = size != 0;
}

static void do_move_pages(struct stage *s)
{
	void *page = secret;
	int node = -1;

	TRY(move_pages, (long)s->child, 1L, &page, NULL, &node, 0L); /* tells where it is */
	s->effect = node >= 0;
}

/* Where there is one node, that it is allowed is all the effect. */
static void do_migrate_pages(struct stage *s)
{
	unsigned long first = 1;

	TRY(migrate_pages, (long)s->child, 8 * sizeof(first), &first, &first);
	s->effect = s->result >= 0;
}

static void open_child(struct stage *s)
{
	make_child(s);
	s->fds[0] = need(s, syscall(SYS_pidfd_open, s->child, 0), "pidfd");
}

static void do_pidfd_send_signal(struct stage *s)
{
	TRY(pidfd_send_signal, s->fds[0], SIGUSR1, NULL, 0);
}

static int has_signal(struct stage *s)
{
	unsigned long pending = status_of(s->child, "\nSigPnd:", 16) |
				status_of(s->child, "\nShdPnd:", 16);

	return pending >> (SIGUSR1 - 1) & 1;
}

static void do_getpgid(struct stage *s)
{
	TRY(getpgid, s->child);
	s->effect = s->result == s->child;
}

static void do_getsid(struct stage *s)
{
	TRY(getsid, s->child);
	s->effect = s->result == s->child;
}

static void make_nice_child(struct stage *s)
{
	make_child(s);
	need(s, syscall(SYS_setpriority, PRIO_PROCESS, s->child, 7), "priority");
}

static void do_getpriority(struct stage *s)
{
	TRY(getpriority, PRIO_PROCESS, s->child);
	s->effect = s->result == 20 - 7;
}

/* ---- a child's properties, that others may set ---- */

static void do_setpriority(struct stage *s)
{
	TRY(setpriority, PRIO_PROCESS, s->child, 5);
}

static int has_priority(struct stage *s)
{
	return syscall(SYS_getpriority, PRIO_PROCESS, s->child) == 20 - 5;
}

static void do_sched_setscheduler(struct stage *s)
{
	struct sched_param none = { 0 };

	TRY(sched_setscheduler, s->child, SCHED_BATCH, &none);
}

static int is_batch(struct stage *s)
{
	return syscall(SYS_sched_getscheduler, s->child) == SCHED_BATCH;
}

/* linux/sched/types.h has another struct sched_param than the C library. */
struct sched_attributes {
	__u32 size, policy;
	__u64 flags;
	__s32 nice;
	__u32 priority;
	__u64 runtime, deadline, period;
};

static void do_sched_setattr(struct stage *s)
{
	struct sched_attributes batch = { .size = sizeof(batch), .policy = SCHED_BATCH };

	TRY(sched_setattr, s->child, &batch, 0);
}

static void make_batch_child(struct stage *s)
{
	struct sched_param none = { 0 };

	make_child(s);
	need(s, syscall(SYS_sched_setscheduler, s->child, SCHED_BATCH, &none), "scheduler");
}

static void do_sched_getscheduler(struct stage *s)
{
	TRY(sched_getscheduler, s->child);
	s->effect = s->result == SCHED_BATCH;
}

static void do_sched_getattr(struct stage *s)
{
	struct sched_attributes found = { 0 };

	TRY(sched_getattr, s->child, &found, sizeof(found), 0);
	s->effect = found.policy == SCHED_BATCH;
}

static void do_sched_getparam(struct stage *s)
{
	struct sched_param found = { -1 };

	TRY(sched_getparam, s->child, &found);
	s->effect = !found.sched_priority;
}

static void do_sched_rr_get_interval(struct stage *s)
{
	struct timespec found = { -1, -1 };

	TRY(sched_rr_get_interval, s->child, &found);
	s->effect = found.tv_sec >= 0;
}

/* Of an ordinary task there is nothing that this could change. */
static void do_sched_setparam(struct stage *s)
{
	struct sched_param none = { 0 };
	TRY(sched_setparam, s->child, &none);
	s->effect = !s->result;
}

static void do_sched_setaffinity(struct stage *s)
{
	unsigned long first = 1;

	TRY(sched_setaffinity, s->child, sizeof(first), &first);
}

static int is_pinned(struct stage *s)
{
	unsigned long found[16] = { 0 };

	syscall(SYS_sched_getaffinity, s->child, sizeof(found), found);
	return found[0] == 1;
}

static void do_ioprio_set(struct stage *s)
{
	TRY(ioprio_set, IOPRIO_WHO_PROCESS, s->child, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6));
}

static int has_ioprio(struct stage *s)
{
	return syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, s->child) ==
	       IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6);
}

static void make_io_child(struct stage *s)
{
	make_child(s);
	need(s,
	     syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, s->child,
		     IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6)),
	     "priority");
}

static void do_ioprio_get(struct stage *s)
{
	TRY(ioprio_get, IOPRIO_WHO_PROCESS, s->child);
	s->effect = s->result == IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6);
}

static void do_prlimit64(struct stage *s)
{
	struct rlimit small = { 17, 17 };

	TRY(prlimit64, s->child, RLIMIT_NOFILE, &small, NULL);
}

static int is_limited(struct stage *s)
{
	struct rlimit found = { 0 };

	syscall(SYS_prlimit64, s->child, RLIMIT_NOFILE, NULL, &found);
	return found.rlim_max == 17;
}

/* ---- a process' own ---- */

static void do_setrlimit(struct stage *s)
{
	struct rlimit limit = { 17, 17 };
	TRY(setrlimit, RLIMIT_NOFILE, &limit);

	limit.rlim_max = 0;
	syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	s->effect = limit.rlim_max == 17;
}

static void do_setpgid(struct stage *s)
{
	TRY(setpgid, 0, 0);
	s->effect = syscall(SYS_getpgid, 0) == getpid();
}

static void do_prctl(struct stage *s)
{
	TRY(prctl, (long)PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L);
	s->effect = status_of(getpid(), "NoNewPrivs:", 10) == 1;
}

static const struct row rows[] = {
	{ "ptrace", SYS_ptrace, make_child, do_ptrace, NULL, 0 },
	{ "process_vm_readv", SYS_process_vm_readv, make_child, do_process_vm_readv, NULL, 0 },
	{ "process_vm_writev", SYS_process_vm_writev, make_child, do_process_vm_writev,
	  is_overwritten, 0 },
	{ "kill", SYS_kill, make_child, do_kill, has_signal, 0 },
	{ "tkill", SYS_tkill, make_child, do_tkill, has_signal, 0 },
	{ "tgkill", SYS_tgkill, make_child, do_tgkill, has_signal, 0 },
	{ "rt_sigqueueinfo", SYS_rt_sigqueueinfo, make_child, do_rt_sigqueueinfo, has_signal, 0 },
	{ "rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo, make_child, do_rt_tgsigqueueinfo, has_signal,
	  0 },
	{ "pidfd_getfd", SYS_pidfd_getfd, open_child, do_pidfd_getfd, NULL, 0 },
	{ "process_madvise", SYS_process_madvise, open_child, do_process_madvise, NULL, 0 },
	{ "kcmp", SYS_kcmp, make_child, do_kcmp, NULL, 0 },
	{ "get_robust_list", SYS_get_robust_list, make_child, do_get_robust_list, NULL, 0 },
	{ "move_pages", SYS_move_pages, make_child, do_move_pages, NULL, 0 },
	{ "migrate_pages", SYS_migrate_pages, make_child, do_migrate_pages, NULL, 0 },
	{ "sched_setattr", SYS_sched_setattr, make_child, do_sched_setattr, is_batch, 0 },
	{ "sched_getscheduler", SYS_sched_getscheduler, make_batch_child, do_sched_getscheduler,
	  NULL, 0 },
	{ "sched_getattr", SYS_sched_getattr, make_batch_child, do_sched_getattr, NULL, 0 },
	{ "sched_getparam", SYS_sched_getparam, make_child, do_sched_getparam, NULL, 0 },
	{ "sched_rr_get_interval", SYS_sched_rr_get_interval, make_child, do_sched_rr_get_interval,
	  NULL, 0 },
	{ "ioprio_get", SYS_ioprio_get, make_io_child, do_ioprio_get, NULL, 0 },
	{ "pidfd_send_signal", SYS_pidfd_send_signal, open_child, do_pidfd_send_signal, has_signal,
	  0 },
	{ "getpgid", SYS_getpgid, make_child, do_getpgid, NULL, 0 },
	{ "getsid", SYS_getsid, make_child, do_getsid, NULL, 0 },
	{ "getpriority", SYS_getpriority, make_nice_child, do_getpriority, NULL, 0 },
	{ "setpriority", SYS_setpriority, make_child, do_setpriority, has_priority, 0 },
	{ "sched_setscheduler", SYS_sched_setscheduler, make_child, do_sched_setscheduler, is_batch,
	  0 },
	{ "sched_setparam", SYS_sched_setparam, make_child, do_sched_setparam, NULL, 0 },
	{ "sched_setaffinity", SYS_sched_setaffinity, make_child, do_sched_setaffinity, is_pinned,
	  0 },
	{ "ioprio_set", SYS_ioprio_set, make_child, do_ioprio_set, has_ioprio, 0 },
	{ "prlimit64", SYS_prlimit64, make_child, do_prlimit64, is_limited, 0 },
	{ "setrlimit", SYS_setrlimit, NULL, do_setrlimit, NULL, 0 },
	{ "setpgid", SYS_setpgid, NULL, do_setpgid, NULL, 0 },
	{ "prctl", SYS_prctl, NULL, do_prctl, NULL, 0 },
	{ 0 },
};

int main(int argc, char **argv)
{
	return attempt_main(rows, argc, argv);
}
