/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One system call, done once, and whether the thing really happened.
 *
 *	attempt_TOPIC --list		rows, and the numbers of their calls
 *	attempt_TOPIC ROW FOLDER
 *	attempt_TOPIC --all FOLDER	each row in a folder and a process of its own
 *
 * prints "ROW RESULT NUMBER EFFECT". RESULT is
 *
 *	done	the call succeeded, NUMBER is 0
 *	refused	the call failed, NUMBER is the errno
 *	killed	the process that called has died, NUMBER is the signal
 *	absent	this architecture has no such call
 *	setup	what the row needs could not be made, NUMBER is the errno, EFFECT says what
 *
 * and EFFECT "yes" if the thing has happened, whatever the call said, else "no". The exit
 * status is 0 for yes, 1 for no, 2 for setup and usage, 3 for absent.
 *
 * What is attacked is FOLDER/forbidden, the TCP or UDP port 4118 of an own network namespace,
 * or a child. A parent prepares and looks at the effect, a worker does the call; neither uses
 * the row's own call for anything else, and the name "forbidden" comes to a file by renameat2.
 */
#ifndef ATTEMPT_H
#define ATTEMPT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absent.h"

#define SECRET "secret" /* what stands in a file before */
#define MARKED "marked" /* what an attempt writes */
#define TEXT_SIZE 6	/* of both, without the NUL */
#define ANYBODY 1234	/* a user and a group that own nothing */

struct row;

/* What parent and worker share. */
struct stage {
	const struct row *row;
	char folder[PATH_MAX], forbidden[PATH_MAX], other[PATH_MAX];
	int directory; /* FOLDER */
	int fds[2];
	int child;
	long result; /* of the call, -1 if it never came back */
	int error, effect;
	unsigned int is_over; /* the children may end */
	char text[64];	      /* what an attempt has read */
	long number;	      /* whatever a row has to remember */
};

struct row {
	const char *name;
	long call; /* -1: not here */
	void (*prepare)(struct stage *s);
	void (*attempt)(struct stage *s);
	int (*happened)(struct stage *s); /* without: the attempt has set effect */
	int is_alone; /* no worker: the call is how one would be born, or its memory */
};

/* Neither write nor pwritev2 where that is the row. */
static int is_pwritev2;

static inline long put_text(int fd, const struct iovec *part, long offset)
{
	if (is_pwritev2 && offset < 0)
		return syscall(SYS_writev, fd, part, 1L);
	if (is_pwritev2)
		return syscall(SYS_pwritev, fd, part, 1L, offset, 0L);
	return syscall(SYS_pwritev2, fd, part, 1L, offset, offset < 0 ? -1L : 0L, 0L);
}

static inline void say(const char *format, ...)
{
	char line[PATH_MAX];
	struct iovec part = { line, 0 };
	va_list arguments;

	va_start(arguments, format);
	part.iov_len = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	put_text(1, &part, -1); /* -1: where the file is */
}

static inline long need(struct stage *s, long result, const char *what)
{
	if (result >= 0)
		return result;
	say("%s setup %d %s\n", s->row->name, errno, what);
	_exit(2);
}

static inline int is_row(struct stage *s, const char *name)
{
	return !strcmp(s->row->name, name);
}

static inline int open_file(struct stage *s, const char *path, int flags)
{
	struct open_how how = { .flags = flags, .mode = flags & O_CREAT ? 0644 : 0 };
	int at = s->directory >= 0 ? s->directory : AT_FDCWD;

	if (is_row(s, "openat2"))
		return syscall(SYS_openat, at, path, flags, 0644);
	return syscall(SYS_openat2, at, path, &how, sizeof(how));
}

static inline void enter(struct stage *s)
{
	s->directory = -1;
	s->directory = need(s, open_file(s, s->folder, O_RDONLY | O_DIRECTORY), s->folder);
}

/* FOLDER/draft with the text; both descriptors see the same file. */
static inline void make_draft(struct stage *s)
{
	struct iovec part = { SECRET, TEXT_SIZE };

	s->fds[0] = need(s, open_file(s, "draft", O_CREAT | O_RDWR), "draft");
	s->fds[1] = need(s, open_file(s, "draft", O_RDWR), "draft again");
	need(s, put_text(s->fds[0], &part, 0), "text");
}

static inline void move(struct stage *s, const char *from, const char *to)
{
	need(s, syscall(SYS_renameat2, s->directory, from, s->directory, to, 0), "rename");
}

static inline void make_file(struct stage *s)
{
	make_draft(s);
	move(s, "draft", "forbidden");
}

static inline void make_other(struct stage *s)
{
	make_draft(s);
	move(s, "draft", "other");
}

static inline void make_folder(struct stage *s)
{
	need(s, syscall(SYS_mkdirat, s->directory, "draft", 0755), "draft folder");
	move(s, "draft", "forbidden");
}

static inline struct statx look_at(int at, const char *path)
{
	struct statx found = { 0 };

	if (syscall(SYS_statx, at, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &found))
		found.stx_mask = 0;
	return found;
}

static inline struct statx look(struct stage *s)
{
	return look_at(s->directory, "forbidden");
}

static inline int is_there(struct stage *s)
{
	return look(s).stx_mask != 0;
}

static inline int is_gone(struct stage *s)
{
	return !is_there(s);
}

/* By the descriptor that was opened before, and by a call that is no row. */
static inline int has_text(int fd, const char *text)
{
	char found[TEXT_SIZE] = "";
	struct iovec part = { found, TEXT_SIZE };

	return syscall(SYS_preadv2, fd, &part, 1L, 0L, 0L, 0L) == TEXT_SIZE &&
	       !memcmp(found, text, TEXT_SIZE);
}

static inline int is_secret(const char *text)
{
	return !memcmp(text, SECRET, TEXT_SIZE);
}

/* A process like this one; by a call that is not the row's. */
static inline int give_birth(struct stage *s)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	if (is_row(s, "clone3"))
		return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	return syscall(SYS_clone3, &args, sizeof(args));
}

/* Each attempt makes its call by this, once. */
static inline long tried(struct stage *s, long result)
{
	s->result = result;
	s->error = result < 0 ? errno : 0;
	return result;
}

#define TRY(call, ...) tried(s, syscall(SYS_##call, ##__VA_ARGS__))

/* In a child: wait until the parent has seen enough, or is gone, maybe before prctl is called. */
static inline void wait_for_end(struct stage *s, int parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent && !s->is_over)
		syscall(SYS_futex, &s->is_over, FUTEX_WAIT, 0, NULL, NULL, 0);
	_exit(0);
}

static inline void end_child(struct stage *s)
{
	int status;

	s->is_over = 1;
	if (s->child) {
		syscall(SYS_futex, &s->is_over, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
		syscall(SYS_wait4, s->child, &status, __WALL, NULL);
	}
}

/* Returns the signal that ended the worker. */
static inline int do_in_worker(struct stage *s)
{
	int status, worker = need(s, give_birth(s), "worker");

	if (!worker) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		s->row->attempt(s);
		_exit(0);
	}
	need(s, syscall(SYS_wait4, worker, &status, __WALL, NULL), "wait");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		_exit(2); /* it has said why */
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static inline int run_row(const struct row *row, const char *folder)
{
	static struct stage own;
	int killed = 0, effect;
	struct stage *s = &own;

	if (row->call < 0) {
		say("%s absent %d no\n", row->name, ENOSYS);
		return 3;
	}
	own.row = row;
	is_pwritev2 = is_row(&own, "pwritev2");
	if (!row->is_alone) {
		s = mmap(NULL, sizeof(own), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			 0);
		need(&own, s == MAP_FAILED ? -1 : 0, "stage");
		s->row = row;
	}
	s->result = -1;
	snprintf(s->folder, sizeof(s->folder), "%s", folder);
	snprintf(s->forbidden, sizeof(s->forbidden), "%s/forbidden", folder);
	snprintf(s->other, sizeof(s->other), "%s/other", folder);
	enter(s);
	if (row->prepare)
		row->prepare(s);
	if (row->is_alone)
		row->attempt(s);
	else
		killed = do_in_worker(s);
	effect = row->happened ? row->happened(s) : s->effect;
	end_child(s);
	if (killed)
		say("%s killed %d %s\n", row->name, killed, effect ? "yes" : "no");
	else
		say("%s %s %d %s\n", row->name, s->error ? "refused" : "done", s->error,
		    effect ? "yes" : "no");
	return !effect;
}

/* Rows leave namespaces, identities and descriptors behind: each in a process. */
static inline int run_all(const struct row *rows, const char *folder)
{
	char own[PATH_MAX];
	int status, pid;

	for (; rows->name; rows++) {
		snprintf(own, sizeof(own), "%s/%s", folder, rows->name);
		if (mkdir(own, 0755))
			return 2;
		pid = fork();
		if (!pid)
			_exit(run_row(rows, own));
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return 2;
	}
	return 0;
}

static inline int attempt_main(const struct row *rows, int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (; rows->name; rows++)
			say("%s %ld\n", rows->name, rows->call);
		return 0;
	}
	if (argc != 3)
		return 2;
	if (!strcmp(argv[1], "--all"))
		return run_all(rows, argv[2]);
	for (; rows->name; rows++)
		if (!strcmp(argv[1], rows->name))
			return run_row(rows, argv[2]);
	return 2;
}

#endif /* ATTEMPT_H */
