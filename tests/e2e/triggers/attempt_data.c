// SPDX-License-Identifier: Apache-2.0
// attempt_data ROW FOLDER: bytes in and out of open files: see attempt.h.
#include "attempt.h"
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>

static void do_read(struct stage *s)
{
	TRY(read, s->fds[0], s->text, TEXT_SIZE);
	s->effect = is_secret(s->text);
}

static void do_pread64(struct stage *s)
{
	TRY(pread64, s->fds[0], s->text, TEXT_SIZE, 0L);
	s->effect = is_secret(s->text);
}

static void do_readv(struct stage *s)
{
	struct iovec part = { s->text, TEXT_SIZE };
	TRY(readv, s->fds[0], &part, 1L);
	s->effect = is_secret(s->text);
}

static void do_preadv(struct stage *s)
{
	struct iovec part = { s->text, TEXT_SIZE };
	TRY(preadv, s->fds[0], &part, 1L, 0L, 0L);
	s->effect = is_secret(s->text);
}

static void do_preadv2(struct stage *s)
{
	struct iovec part = { s->text, TEXT_SIZE };
	TRY(preadv2, s->fds[0], &part, 1L, 0L, 0L, 0L);
	s->effect = is_secret(s->text);
}

static void do_write(struct stage *s)
{
	TRY(write, s->fds[0], MARKED, TEXT_SIZE);
}

static void do_pwrite64(struct stage *s)
{
	TRY(pwrite64, s->fds[0], MARKED, TEXT_SIZE, 0L);
}

static void do_writev(struct stage *s)
{
	struct iovec part = { MARKED, TEXT_SIZE };

	TRY(writev, s->fds[0], &part, 1L);
}

static void do_pwritev(struct stage *s)
{
	struct iovec part = { MARKED, TEXT_SIZE };

	TRY(pwritev, s->fds[0], &part, 1L, 0L, 0L);
}

static void do_pwritev2(struct stage *s)
{
	struct iovec part = { MARKED, TEXT_SIZE };

	TRY(pwritev2, s->fds[0], &part, 1L, 0L, 0L, 0L);
}

static int is_marked(struct stage *s)
{
	return has_text(s->fds[1], MARKED);
}

/* The forbidden file is fds[0], what it must not get into is fds[1]. */
static void make_target(struct stage *s)
{
	make_file(s);
	need(s, syscall(SYS_close, s->fds[1]), "close");
	s->fds[1] = need(s, open_file(s, "other", O_CREAT | O_RDWR), "other");
}

static void do_sendfile(struct stage *s)
{
	TRY(sendfile, s->fds[1], s->fds[0], NULL, (long)TEXT_SIZE);
}

static void do_copy_file_range(struct stage *s)
{
	TRY(copy_file_range, s->fds[0], NULL, s->fds[1], NULL, (long)TEXT_SIZE, 0L);
}

static int is_copied(struct stage *s)
{
	return has_text(s->fds[1], SECRET);
}

/* fds[1] becomes the end of a pipe to write to, number the one to read from. */
static void make_pipe(struct stage *s)
{
	int ends[2];

	make_target(s);
	need(s, syscall(SYS_pipe2, ends, O_NONBLOCK), "pipe");
	s->number = ends[0];
	s->fds[1] = ends[1];
}

static void do_splice(struct stage *s)
{
	TRY(splice, s->fds[0], NULL, s->fds[1], NULL, (long)TEXT_SIZE, 0L);
}

static int is_in_pipe(struct stage *s)
{
	struct iovec part = { s->text, TEXT_SIZE };

	return syscall(SYS_readv, (int)s->number, &part, 1L) == TEXT_SIZE && is_secret(s->text);
}

/* And fds[0] a pipe that already has the secret. */
static void make_pipes(struct stage *s)
{
	struct iovec part = { SECRET, TEXT_SIZE };
	int ends[2];

	make_pipe(s);
	need(s, syscall(SYS_pipe2, ends, O_NONBLOCK), "pipe");
	need(s, syscall(SYS_writev, ends[1], &part, 1L), "text in the pipe");
	s->fds[0] = ends[0];
}

static void do_tee(struct stage *s)
{
	TRY(tee, s->fds[0], s->fds[1], (long)TEXT_SIZE, 0L);
}

static void open_folder(struct stage *s)
{
	make_file(s);
	s->fds[0] = need(s, open_file(s, ".", O_RDONLY | O_DIRECTORY), "folder");
}

static void do_getdents64(struct stage *s)
{
	char list[4096] = "";
	TRY(getdents64, s->fds[0], list, sizeof(list));
	s->effect = memmem(list, sizeof(list), "forbidden", sizeof("forbidden")) != NULL;
}

static void do_getdents(struct stage *s)
{
	char list[4096] = "";
	TRY(getdents, s->fds[0], list, sizeof(list));
	s->effect = memmem(list, sizeof(list), "forbidden", sizeof("forbidden")) != NULL;
}

static void do_ioctl(struct stage *s)
{
	int size = 0;
	TRY(ioctl, s->fds[0], FIONREAD, &size);
	s->effect = size == TEXT_SIZE;
}

static void do_fcntl(struct stage *s)
{
	TRY(fcntl, s->fds[0], F_DUPFD, 100);
	s->effect = s->result >= 100 && has_text(s->result, SECRET);
}

/* Not by another flock. */
static void do_flock(struct stage *s)
{
	char path[64], text[1024] = "";
	int fd;

	TRY(flock, s->fds[0], LOCK_EX | LOCK_NB);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", s->fds[0]);
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
	syscall(SYS_read, fd, text, sizeof(text) - 1);
	s->effect = strstr(text, "FLOCK") != NULL;
}

static const struct row rows[] = {
	{ "read", SYS_read, make_file, do_read, NULL, 0 },
	{ "pread64", SYS_pread64, make_file, do_pread64, NULL, 0 },
	{ "readv", SYS_readv, make_file, do_readv, NULL, 0 },
	{ "preadv", SYS_preadv, make_file, do_preadv, NULL, 0 },
	{ "preadv2", SYS_preadv2, make_file, do_preadv2, NULL, 0 },
	{ "pwritev2", SYS_pwritev2, make_file, do_pwritev2, is_marked, 0 },
	{ "getdents", SYS_getdents, open_folder, do_getdents, NULL, 0 },
	{ "write", SYS_write, make_file, do_write, is_marked, 0 },
	{ "pwrite64", SYS_pwrite64, make_file, do_pwrite64, is_marked, 0 },
	{ "writev", SYS_writev, make_file, do_writev, is_marked, 0 },
	{ "pwritev", SYS_pwritev, make_file, do_pwritev, is_marked, 0 },
	{ "sendfile", SYS_sendfile, make_target, do_sendfile, is_copied, 0 },
	{ "copy_file_range", SYS_copy_file_range, make_target, do_copy_file_range, is_copied, 0 },
	{ "splice", SYS_splice, make_pipe, do_splice, is_in_pipe, 0 },
	{ "tee", SYS_tee, make_pipes, do_tee, is_in_pipe, 0 },
	{ "getdents64", SYS_getdents64, open_folder, do_getdents64, NULL, 0 },
	{ "ioctl", SYS_ioctl, make_file, do_ioctl, NULL, 0 },
	{ "fcntl", SYS_fcntl, make_file, do_fcntl, NULL, 0 },
	{ "flock", SYS_flock, make_file, do_flock, NULL, 0 },
	{ 0 },
};

int main(int argc, char **argv)
{
	return attempt_main(rows, argc, argv);
}
