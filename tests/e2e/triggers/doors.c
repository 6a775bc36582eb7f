// SPDX-License-Identifier: Apache-2.0
/*
 * doors DOOR read|write VICTIM FOLDER: get at the file VICTIM by one of the ways below. FOLDER is
 * an empty one in the same file system, in which it holds the file "own". Prints as JSON the errno
 * of the step that failed, 0 if none did, and whether the file's text was read.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "ring.h"

#define DONE 1000000 /* there is no descriptor to use */
#define COMPAT_OPEN 5

static const char *victim, *folder;
static int flags; /* of the open */
static char place[4096];

static int result(long value)
{
	return value < 0 ? -errno : (int)value;
}

static int done(long value)
{
	return value < 0 ? -errno : DONE;
}

/* A name in the folder; the last one that was asked for. */
static const char *in_folder(const char *name)
{
	snprintf(place, sizeof(place), "%s/%s", folder, name);
	return place;
}

static const char *last_part(void)
{
	return strrchr(victim, '/') + 1;
}

static char *directory(void)
{
	char *copy = strdup(victim);

	*strrchr(copy, '/') = 0;
	return copy;
}

static int by_open(void)
{
	return result(open(victim, flags));
}

static int by_openat2(void)
{
	struct open_how how = { .flags = flags };

	return result(syscall(SYS_openat2, AT_FDCWD, victim, &how, sizeof(how)));
}

static int by_io_uring(void)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_OPENAT,
		.fd = AT_FDCWD,
		.addr = (__u64)victim,
		.open_flags = flags,
	};

	return ring_do(&sqe);
}

static int by_symlink(void)
{
	if (symlink(victim, in_folder("link")))
		return -errno;
	return result(open(place, flags));
}

static int by_descriptor(void)
{
	int fd = open(victim, O_PATH);

	snprintf(place, sizeof(place), "/proc/self/fd/%d", fd);
	return result(open(place, flags));
}

/* A call of the 32-bit table, with a pointer that it can hold. */
static int by_compat(void)
{
#ifdef __x86_64__
	char *low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
			 -1, 0);
	long number = COMPAT_OPEN;

	strcpy(low, victim);
	asm volatile("int $0x80" : "+a"(number) : "b"(low), "c"(flags), "d"(0) : "memory");
	return number;
#else
	return -ENOSYS;
#endif
}

static int by_hard_link(void)
{
	if (link(victim, in_folder("hard")))
		return -errno;
	return result(open(place, flags));
}

static int by_linked_descriptor(void)
{
	char descriptor[64];

	snprintf(descriptor, sizeof(descriptor), "/proc/self/fd/%d", open(victim, O_PATH));
	return done(linkat(AT_FDCWD, descriptor, AT_FDCWD, in_folder("hard"), AT_SYMLINK_FOLLOW));
}

static int by_rename(void)
{
	if (rename(victim, in_folder("moved")))
		return -errno;
	return result(open(place, flags));
}

static int by_exchange(void)
{
	return done(renameat2(AT_FDCWD, in_folder("own"), AT_FDCWD, victim, RENAME_EXCHANGE));
}

static int by_bind_mount(void)
{
	char *from = directory();

	if (unshare(CLONE_NEWNS) || mount("none", "/", 0, MS_REC | MS_PRIVATE, 0))
		return -errno;
	if (mkdir(in_folder("bind"), 0755) || mount(from, place, 0, MS_BIND, 0))
		return -errno;
	strcat(strcat(place, "/"), last_part());
	return result(open(place, flags));
}

static int by_chroot(void)
{
	const char *name = last_part();

	if (chroot(directory()) || chdir("/"))
		return -errno;
	return result(open(name, flags));
}

static int by_handle(void)
{
	struct file_handle *handle = calloc(1, sizeof(*handle) + MAX_HANDLE_SZ);
	int id, root = open(folder, O_RDONLY | O_DIRECTORY);

	handle->handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(AT_FDCWD, victim, handle, &id, 0))
		return -errno;
	return result(open_by_handle_at(root, handle, flags));
}

/* Without a read or write of its own: sendfile from it, splice into it. */
static int by_splice(void)
{
	int ends[2], fd = open(victim, flags);

	if (fd < 0 || pipe(ends))
		return -errno;
	if (flags == O_RDONLY)
		return done(sendfile(ends[1], fd, 0, 1));
	if (write(ends[1], "x", 1) != 1)
		return -errno;
	return done(splice(ends[0], 0, fd, 0, 1, 0));
}

static int by_truncate(void)
{
	return done(truncate(victim, 1));
}

static int by_replacing(void)
{
	return done(rename(in_folder("own"), victim));
}

static int by_linking_into_place(void)
{
	if (unlink(victim))
		return -errno;
	return done(link(in_folder("own"), victim));
}

static int by_creating(void)
{
	if (unlink(victim))
		return -errno;
	return result(open(victim, flags | O_CREAT, 0644));
}

static int by_symlink_in_place(void)
{
	if (unlink(victim))
		return -errno;
	return done(symlink(in_folder("own"), victim));
}

static const struct {
	const char *name;
	int (*pass)(void);
} doors[] = {
	{ "open", by_open },
	{ "openat2", by_openat2 },
	{ "io_uring", by_io_uring },
	{ "symlink", by_symlink },
	{ "proc-self-fd", by_descriptor },
	{ "32-bit", by_compat },
	{ "hard-link", by_hard_link },
	{ "linkat-fd", by_linked_descriptor },
	{ "rename", by_rename },
	{ "exchange", by_exchange },
	{ "bind-mount", by_bind_mount },
	{ "chroot", by_chroot },
	{ "file-handle", by_handle },
	{ "splice", by_splice },
	{ "truncate", by_truncate },
	{ "replace", by_replacing },
	{ "link-in-place", by_linking_into_place },
	{ "create", by_creating },
	{ "symlink-in-place", by_symlink_in_place },
};

int main(int argc, char **argv)
{
	int fd = -EINVAL, was_read = 0;
	unsigned int i;
	char byte;

	if (argc != 5)
		return 2;
	flags = strcmp(argv[2], "write") ? O_RDONLY : O_WRONLY;
	victim = argv[3];
	folder = argv[4];
	for (i = 0; i < sizeof(doors) / sizeof(doors[0]); i++)
		if (!strcmp(argv[1], doors[i].name))
			fd = doors[i].pass();
	if (fd >= 0 && fd != DONE && flags == O_RDONLY)
		was_read = read(fd, &byte, 1) == 1;
	printf("{\"errno\": %d, \"read\": %d}\n", fd < 0 ? -fd : 0, was_read);
	return 0;
}
