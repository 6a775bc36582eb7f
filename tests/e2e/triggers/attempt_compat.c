// SPDX-License-Identifier: Apache-2.0
/*
 * attempt_compat ROW FOLDER: calls by the 32-bit door of a 64-bit program (int $0x80), which have
 * other numbers and other entry functions: see attempt.h. Where the kernel has no such door all
 * rows are absent. Rows are called as the 32-bit calls are.
 */
#include "attempt.h"
#include "own_network.h"
#include "tiny.h"
#include <poll.h>

/* What 32-bit pointers reach: this program is linked below 4 GiB, its stack is not. */
static char forbidden[PATH_MAX], other[PATH_MAX], marked[] = MARKED;
static struct sockaddr_in address;
static unsigned int words[4];

static long enter_32(long number, long a, long b, long c, long d)
{
	long result = -ENOSYS;

#ifdef __x86_64__
	asm volatile("int $0x80"
		     : "=a"(result)
		     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(0L)
		     : "r8", "r9", "r10", "r11", "memory");
	result = (int)result;
#else
	(void)(number + a + b + c + d);
#endif
	if (result < 0) {
		errno = -result;
		return -1;
	}
	return result;
}

#define AT(pointer) ((long)(pointer))

/* getpid by it, in a child: without the door that is SIGSEGV. */
static void find_door(struct stage *s)
{
	int status = 0, child = need(s, give_birth(s), "child");

	if (!child)
		_exit(enter_32(20, 0, 0, 0, 0) == getpid() ? 0 : 1);
	need(s, syscall(SYS_wait4, child, &status, __WALL, NULL), "wait");
	if (status) {
		say("%s absent %d no\n", s->row->name, ENOSYS);
		_exit(3);
	}
	strcpy(forbidden, s->forbidden);
	strcpy(other, s->other);
}

static void with_file(struct stage *s)
{
	find_door(s);
	make_file(s);
}

static void with_other(struct stage *s)
{
	find_door(s);
	make_other(s);
}

static void with_folder(struct stage *s)
{
	find_door(s);
	make_folder(s);
}

static void with_server(struct stage *s)
{
	find_door(s);
	need(s, own_network(), "network");
	s->fds[0] = need(s, socket(AF_INET, SOCK_STREAM, 0), "socket");
	s->fds[1] = need(s, serve(SOCK_STREAM, PORT_FORBIDDEN), "server");
	address = at_port(PORT_FORBIDDEN);
}

static void with_program(struct stage *s)
{
	char image[512];
	int size = tiny_image(image, 'x'), fd, marks;

	find_door(s);
	fd = need(s, open_file(s, "draft", O_CREAT | O_WRONLY | O_CLOEXEC), "draft");
	marks = need(s, open_file(s, "marks", O_CREAT | O_RDWR | O_APPEND), "marks");
	need(s, write(fd, image, size), "image");
	need(s, fchmod(fd, 0755), "mode");
	close(fd);
	need(s, dup3(marks, TINY_FD, 0), "descriptor");
	move(s, "draft", "forbidden");
}

/* What one row does: its number and its arguments. */
#define DO(name, number, a, b, c, d)                                                               \
	static void do_##name(struct stage *s)                                                     \
	{                                                                                          \
		tried(s, enter_32(number, (long)(a), (long)(b), (long)(c), (long)(d)));            \
	}

DO(open, 5, AT(forbidden), O_WRONLY | O_CREAT, 0644, 0)
DO(creat, 8, AT(forbidden), 0644, 0, 0)
DO(openat, 295, AT_FDCWD, AT(forbidden), O_WRONLY | O_CREAT, 0644)
DO(mkdir, 39, AT(forbidden), 0755, 0, 0)
DO(mkdirat, 296, AT_FDCWD, AT(forbidden), 0755, 0)
DO(rmdir, 40, AT(forbidden), 0, 0, 0)
DO(unlink, 10, AT(forbidden), 0, 0, 0)
DO(unlinkat, 301, AT_FDCWD, AT(forbidden), 0, 0)
DO(link, 9, AT(other), AT(forbidden), 0, 0)
DO(symlink, 83, AT(other), AT(forbidden), 0, 0)
DO(rename, 38, AT(other), AT(forbidden), 0, 0)
DO(renameat, 302, AT_FDCWD, AT(other), AT_FDCWD, AT(forbidden))
DO(chmod, 15, AT(forbidden), 04711, 0, 0)
DO(truncate, 92, AT(forbidden), 3, 0, 0)
DO(write, 4, s->fds[0], AT(marked), TEXT_SIZE, 0)
DO(connect, 362, s->fds[0], AT(&address), sizeof(address), 0)

/* The older way: a call with a number and a list of arguments. */
static void do_socketcall(struct stage *s)
{
	words[0] = s->fds[0];
	words[1] = AT(&address);
	words[2] = sizeof(address);
	tried(s, enter_32(102, 3, AT(words), 0, 0)); /* SYS_CONNECT */
}

static void do_execve(struct stage *s)
{
	words[0] = AT(forbidden);
	tried(s, enter_32(11, AT(forbidden), AT(words), 0, 0));
}

static void do_setuid32(struct stage *s)
{
	tried(s, enter_32(213, ANYBODY, 0, 0, 0));
	s->effect = geteuid() == ANYBODY;
}

/* To itself, blocked, so that it is seen. */
static void do_kill(struct stage *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	tried(s, enter_32(37, getpid(), SIGUSR1, 0, 0));
	sigpending(&set);
	s->effect = sigismember(&set, SIGUSR1);
}

static int has_mode(struct stage *s)
{
	return (look(s).stx_mode & 07777) == 04711;
}

static int is_short(struct stage *s)
{
	return look(s).stx_size == 3;
}

static int is_marked(struct stage *s)
{
	return has_text(s->fds[1], MARKED);
}

static int is_connected(struct stage *s)
{
	struct pollfd waiting = { .fd = s->fds[1], .events = POLLIN };

	return poll(&waiting, 1, s->result >= 0 ? 1000 : 50) == 1;
}

static int has_left_mark(struct stage *s)
{
	return look_at(s->directory, "marks").stx_size == 1;
}

static const struct row rows[] = {
	{ "open", 5, find_door, do_open, is_there, 0 },
	{ "creat", 8, find_door, do_creat, is_there, 0 },
	{ "openat", 295, find_door, do_openat, is_there, 0 },
	{ "mkdir", 39, find_door, do_mkdir, is_there, 0 },
	{ "mkdirat", 296, find_door, do_mkdirat, is_there, 0 },
	{ "rmdir", 40, with_folder, do_rmdir, is_gone, 0 },
	{ "unlink", 10, with_file, do_unlink, is_gone, 0 },
	{ "unlinkat", 301, with_file, do_unlinkat, is_gone, 0 },
	{ "link", 9, with_other, do_link, is_there, 0 },
	{ "symlink", 83, find_door, do_symlink, is_there, 0 },
	{ "rename", 38, with_other, do_rename, is_there, 0 },
	{ "renameat", 302, with_other, do_renameat, is_there, 0 },
	{ "chmod", 15, with_file, do_chmod, has_mode, 0 },
	{ "truncate", 92, with_file, do_truncate, is_short, 0 },
	{ "write", 4, with_file, do_write, is_marked, 0 },
	{ "connect", 362, with_server, do_connect, is_connected, 0 },
	{ "socketcall", 102, with_server, do_socketcall, is_connected, 0 },
	{ "execve", 11, with_program, do_execve, has_left_mark, 0 },
	{ "setuid32", 213, find_door, do_setuid32, NULL, 0 },
	{ "kill", 37, find_door, do_kill, NULL, 0 },
	{ 0 },
};

int main(int argc, char **argv)
{
	return attempt_main(rows, argc, argv);
}
