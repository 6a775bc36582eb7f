// SPDX-License-Identifier: Apache-2.0
// attempt_births ROW FOLDER: new processes, new programs, new namespaces: see attempt.h.
#include "attempt.h"
#include "tiny.h"

#define BORN 42 /* a child's exit status that only it can have */

/* ---- births: the process itself calls, a child's status is the proof ---- */

static void born(struct stage *s, long pid)
{
	int status = 0;

	if (!pid)
		syscall(SYS_exit_group, BORN);
	if (pid > 0)
		syscall(SYS_wait4, (int)pid, &status, __WALL, NULL);
	s->effect = WIFEXITED(status) && WEXITSTATUS(status) == BORN;
}

static void do_fork(struct stage *s)
{
	born(s, TRY(fork));
}

/* The child may not touch the stack, so it does nothing but leave. */
static void do_vfork(struct stage *s)
{
	long pid = -ENOSYS;

#ifdef __x86_64__
	asm volatile("syscall\n"
		     "	test %%rax, %%rax\n"
		     "	jnz 1f\n"
		     "	mov %[exit], %%eax\n"
		     "	mov %[born], %%edi\n"
		     "	syscall\n"
		     "1:\n"
		     : "=a"(pid)
		     : "a"(SYS_vfork), [exit] "i"(SYS_exit_group), [born] "i"(BORN)
		     : "rdi", "rcx", "r11", "memory");
#endif
	s->error = pid < 0 ? -pid : 0;
	born(s, pid);
}

static void do_clone(struct stage *s)
{
	born(s, TRY(clone, (long)SIGCHLD, 0L, 0L, 0L, 0L));
}

static void do_clone3(struct stage *s)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	born(s, TRY(clone3, &args, sizeof(args)));
}

/* ---- programs ---- */

static void make_program(struct stage *s)
{
	char image[512];
	struct iovec part = { image, tiny_image(image, 'x') };
	int fd = need(s, open_file(s, "draft", O_CREAT | O_WRONLY | O_CLOEXEC), "draft");
	int marks = need(s, open_file(s, "marks", O_CREAT | O_RDWR | O_APPEND), "marks");

	need(s, syscall(SYS_pwritev2, fd, &part, 1L, 0L, 0L, 0L), "image");
	need(s, syscall(SYS_fchmod, fd, 0755), "mode");
	need(s, syscall(SYS_close, fd), "close"); /* or it would be busy */
	need(s, syscall(SYS_dup3, marks, TINY_FD, 0), "descriptor");
	move(s, "draft", "forbidden");
}

static void do_execve(struct stage *s)
{
	char *argv[] = { s->forbidden, NULL };

	TRY(execve, s->forbidden, argv, NULL);
}

static void do_execveat(struct stage *s)
{
	char *argv[] = { s->forbidden, NULL };

	TRY(execveat, AT_FDCWD, s->forbidden, argv, NULL, 0);
}

static int has_left_mark(struct stage *s)
{
	return look_at(s->directory, "marks").stx_size == 1;
}

/* ---- namespaces ---- */

static unsigned long name_space(const char *path)
{
	struct statx found = { 0 };

	return syscall(SYS_statx, AT_FDCWD, path, 0, STATX_INO, &found) ? 0 : found.stx_ino;
}

static void see_host(struct stage *s)
{
	s->number = need(s, name_space("/proc/self/ns/uts") ? 0 : -1, "namespace");
	s->number = name_space("/proc/self/ns/uts");
}

static void do_unshare(struct stage *s)
{
	TRY(unshare, CLONE_NEWUTS);
	s->effect = name_space("/proc/self/ns/uts") != (unsigned long)s->number;
}

/* A child in one of its own; it ends with this process. */
static void make_other_space(struct stage *s)
{
	struct clone_args args = { .flags = CLONE_NEWUTS, .exit_signal = SIGCHLD };
	char path[64];
	int child, parent = getpid();

	child = need(s, syscall(SYS_clone3, &args, sizeof(args)), "child");
	if (!child)
		wait_for_end(s, parent);
	s->child = child; /* not above: the child shares it */
	snprintf(path, sizeof(path), "/proc/%d/ns/uts", s->child);
	s->fds[0] = need(s, open_file(s, path, O_RDONLY), path);
	see_host(s);
}

static void do_setns(struct stage *s)
{
	TRY(setns, s->fds[0], CLONE_NEWUTS);
	s->effect = name_space("/proc/self/ns/uts") != (unsigned long)s->number;
}

static const struct row rows[] = {
	{ "fork", SYS_fork, NULL, do_fork, NULL, 1 },
	{ "vfork", SYS_vfork, NULL, do_vfork, NULL, 1 },
	{ "clone", SYS_clone, NULL, do_clone, NULL, 1 },
	{ "clone3", SYS_clone3, NULL, do_clone3, NULL, 1 },
	{ "execve", SYS_execve, make_program, do_execve, has_left_mark, 0 },
	{ "execveat", SYS_execveat, make_program, do_execveat, has_left_mark, 0 },
	{ "unshare", SYS_unshare, see_host, do_unshare, NULL, 0 },
	{ "setns", SYS_setns, make_other_space, do_setns, NULL, 0 },
	{ 0 },
};

int main(int argc, char **argv)
{
	return attempt_main(rows, argc, argv);
}
