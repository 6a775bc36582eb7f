// SPDX-License-Identifier: Apache-2.0
// attempt_inodes ROW FOLDER: what is known of a file, read or changed: see attempt.h.
#include "attempt.h"
#include <sys/statfs.h>
#include <sys/time.h>
#include <utime.h>

#define ATTRIBUTE "trusted.attempt" /* tmpfs has no user.* before Linux 6.6 */
#define MODE 04711

static void do_chmod(struct stage *s)
{
	TRY(chmod, s->forbidden, MODE);
}

static void do_fchmod(struct stage *s)
{
	TRY(fchmod, s->fds[0], MODE);
}

static void do_fchmodat(struct stage *s)
{
	TRY(fchmodat, AT_FDCWD, s->forbidden, MODE);
}

static void do_fchmodat2(struct stage *s)
{
	TRY(fchmodat2, AT_FDCWD, s->forbidden, MODE, 0);
}

static int has_mode(struct stage *s)
{
	return (look(s).stx_mode & 07777) == MODE;
}

static void do_chown(struct stage *s)
{
	TRY(chown, s->forbidden, ANYBODY, ANYBODY);
}

static void do_lchown(struct stage *s)
{
	TRY(lchown, s->forbidden, ANYBODY, ANYBODY);
}

static void do_fchown(struct stage *s)
{
	TRY(fchown, s->fds[0], ANYBODY, ANYBODY);
}

static void do_fchownat(struct stage *s)
{
	TRY(fchownat, AT_FDCWD, s->forbidden, ANYBODY, ANYBODY, 0);
}

static int has_owner(struct stage *s)
{
	struct statx found = look(s);

	return found.stx_uid == ANYBODY && found.stx_gid == ANYBODY;
}

static void do_truncate(struct stage *s)
{
	TRY(truncate, s->forbidden, 3L);
}

static void do_ftruncate(struct stage *s)
{
	TRY(ftruncate, s->fds[0], 3L);
}

static int is_short(struct stage *s)
{
	return look(s).stx_size == 3;
}

static void do_fallocate(struct stage *s)
{
	TRY(fallocate, s->fds[0], 0, 0L, 8192L);
}

static int is_long(struct stage *s)
{
	return look(s).stx_size == 8192;
}

static void do_setxattr(struct stage *s)
{
	TRY(setxattr, s->forbidden, ATTRIBUTE, MARKED, TEXT_SIZE, 0);
}

static void do_lsetxattr(struct stage *s)
{
	TRY(lsetxattr, s->forbidden, ATTRIBUTE, MARKED, TEXT_SIZE, 0);
}

static void do_fsetxattr(struct stage *s)
{
	TRY(fsetxattr, s->fds[0], ATTRIBUTE, MARKED, TEXT_SIZE, 0);
}

static int has_attribute(struct stage *s)
{
	char text[TEXT_SIZE];

	return syscall(SYS_fgetxattr, s->fds[0], ATTRIBUTE, text, TEXT_SIZE) == TEXT_SIZE &&
	       !memcmp(text, MARKED, TEXT_SIZE);
}

static void make_attribute(struct stage *s)
{
	make_file(s);
	need(s, syscall(SYS_fsetxattr, s->fds[0], ATTRIBUTE, SECRET, TEXT_SIZE, 0), "attribute");
}

static void do_getxattr(struct stage *s)
{
	TRY(getxattr, s->forbidden, ATTRIBUTE, s->text, sizeof(s->text));
	s->effect = is_secret(s->text);
}

static void do_lgetxattr(struct stage *s)
{
	TRY(lgetxattr, s->forbidden, ATTRIBUTE, s->text, sizeof(s->text));
	s->effect = is_secret(s->text);
}

static void do_fgetxattr(struct stage *s)
{
	TRY(fgetxattr, s->fds[0], ATTRIBUTE, s->text, sizeof(s->text));
	s->effect = is_secret(s->text);
}

/* struct xattr_args, since Linux 6.13 */
struct attribute {
	__u64 value __attribute__((aligned(8)));
	__u32 size, flags;
};

static void do_setxattrat(struct stage *s)
{
	struct attribute set = { (unsigned long)MARKED, TEXT_SIZE, 0 };

	TRY(setxattrat, AT_FDCWD, s->forbidden, 0, ATTRIBUTE, &set, sizeof(set));
}

static void do_getxattrat(struct stage *s)
{
	struct attribute got = { (unsigned long)s->text, sizeof(s->text), 0 };

	TRY(getxattrat, AT_FDCWD, s->forbidden, 0, ATTRIBUTE, &got, sizeof(got));
	s->effect = is_secret(s->text);
}

static void see_list(struct stage *s)
{
	s->effect = memmem(s->text, sizeof(s->text), ATTRIBUTE, sizeof(ATTRIBUTE)) != NULL;
}

static void do_listxattr(struct stage *s)
{
	TRY(listxattr, s->forbidden, s->text, sizeof(s->text));
	see_list(s);
}

static void do_llistxattr(struct stage *s)
{
	TRY(llistxattr, s->forbidden, s->text, sizeof(s->text));
	see_list(s);
}

static void do_flistxattr(struct stage *s)
{
	TRY(flistxattr, s->fds[0], s->text, sizeof(s->text));
	see_list(s);
}

static void do_listxattrat(struct stage *s)
{
	TRY(listxattrat, AT_FDCWD, s->forbidden, 0, s->text, sizeof(s->text));
	see_list(s);
}

static void do_lremovexattr(struct stage *s)
{
	TRY(lremovexattr, s->forbidden, ATTRIBUTE);
}

static void do_fremovexattr(struct stage *s)
{
	TRY(fremovexattr, s->fds[0], ATTRIBUTE);
}

static void do_removexattrat(struct stage *s)
{
	TRY(removexattrat, AT_FDCWD, s->forbidden, 0, ATTRIBUTE);
}

static void do_removexattr(struct stage *s)
{
	TRY(removexattr, s->forbidden, ATTRIBUTE);
}

static int has_no_attribute(struct stage *s)
{
	return syscall(SYS_fgetxattr, s->fds[0], ATTRIBUTE, NULL, 0) < 0 && errno == ENODATA;
}

static void do_utimensat(struct stage *s)
{
	struct timespec times[2] = { { 1, 0 }, { 1, 0 } };

	TRY(utimensat, AT_FDCWD, s->forbidden, times, 0);
}

static void do_utime(struct stage *s)
{
	struct utimbuf times = { 1, 1 };

	TRY(utime, s->forbidden, &times);
}

static void do_utimes(struct stage *s)
{
	struct timeval times[2] = { { 1, 0 }, { 1, 0 } };

	TRY(utimes, s->forbidden, times);
}

static void do_futimesat(struct stage *s)
{
	struct timeval times[2] = { { 1, 0 }, { 1, 0 } };

	TRY(futimesat, AT_FDCWD, s->forbidden, times);
}

static int is_old(struct stage *s)
{
	return look(s).stx_mtime.tv_sec == 1;
}

static void do_stat(struct stage *s)
{
	struct stat found = { 0 };
	TRY(stat, s->forbidden, &found);
	s->effect = found.st_size == TEXT_SIZE;
}

static void do_lstat(struct stage *s)
{
	struct stat found = { 0 };
	TRY(lstat, s->forbidden, &found);
	s->effect = found.st_size == TEXT_SIZE;
}

static void do_fstat(struct stage *s)
{
	struct stat found = { 0 };
	TRY(fstat, s->fds[0], &found);
	s->effect = found.st_size == TEXT_SIZE;
}

static void do_newfstatat(struct stage *s)
{
	struct stat found = { 0 };
	TRY(newfstatat, AT_FDCWD, s->forbidden, &found, 0);
	s->effect = found.st_size == TEXT_SIZE;
}

static void do_statx(struct stage *s)
{
	struct statx found = { 0 };
	TRY(statx, AT_FDCWD, s->forbidden, 0, STATX_BASIC_STATS, &found);
	s->effect = found.stx_size == TEXT_SIZE;
}

static void do_statfs(struct stage *s)
{
	struct statfs found = { 0 };
	TRY(statfs, s->forbidden, &found);
	s->effect = found.f_type != 0;
}

static void do_fstatfs(struct stage *s)
{
	struct statfs found = { 0 };
	TRY(fstatfs, s->fds[0], &found);
	s->effect = found.f_type != 0;
}

/* struct file_attr, since Linux 6.17 */
struct flags {
	__u64 flags;
	__u32 extent_size, extents, project, copied_extents;
};

static void do_file_getattr(struct stage *s)
{
	struct flags found = { .flags = ~0ULL };

	TRY(file_getattr, AT_FDCWD, s->forbidden, &found, sizeof(found), 0);
	s->effect = found.flags != ~0ULL;
}

static void do_file_setattr(struct stage *s)
{
	struct flags none = { 0 }; /* as it is: that the kernel takes it is the effect */

	TRY(file_setattr, AT_FDCWD, s->forbidden, &none, sizeof(none), 0);
	s->effect = !s->result;
}

static const struct row rows[] = {
	{ "chmod", SYS_chmod, make_file, do_chmod, has_mode, 0 },
	{ "fchmod", SYS_fchmod, make_file, do_fchmod, has_mode, 0 },
	{ "fchmodat", SYS_fchmodat, make_file, do_fchmodat, has_mode, 0 },
	{ "fchmodat2", SYS_fchmodat2, make_file, do_fchmodat2, has_mode, 0 },
	{ "chown", SYS_chown, make_file, do_chown, has_owner, 0 },
	{ "lchown", SYS_lchown, make_file, do_lchown, has_owner, 0 },
	{ "fchown", SYS_fchown, make_file, do_fchown, has_owner, 0 },
	{ "fchownat", SYS_fchownat, make_file, do_fchownat, has_owner, 0 },
	{ "truncate", SYS_truncate, make_file, do_truncate, is_short, 0 },
	{ "ftruncate", SYS_ftruncate, make_file, do_ftruncate, is_short, 0 },
	{ "fallocate", SYS_fallocate, make_file, do_fallocate, is_long, 0 },
	{ "setxattr", SYS_setxattr, make_file, do_setxattr, has_attribute, 0 },
	{ "lsetxattr", SYS_lsetxattr, make_file, do_lsetxattr, has_attribute, 0 },
	{ "fsetxattr", SYS_fsetxattr, make_file, do_fsetxattr, has_attribute, 0 },
	{ "getxattr", SYS_getxattr, make_attribute, do_getxattr, NULL, 0 },
	{ "listxattr", SYS_listxattr, make_attribute, do_listxattr, NULL, 0 },
	{ "lgetxattr", SYS_lgetxattr, make_attribute, do_lgetxattr, NULL, 0 },
	{ "fgetxattr", SYS_fgetxattr, make_attribute, do_fgetxattr, NULL, 0 },
	{ "llistxattr", SYS_llistxattr, make_attribute, do_llistxattr, NULL, 0 },
	{ "flistxattr", SYS_flistxattr, make_attribute, do_flistxattr, NULL, 0 },
	{ "lremovexattr", SYS_lremovexattr, make_attribute, do_lremovexattr, has_no_attribute, 0 },
	{ "fremovexattr", SYS_fremovexattr, make_attribute, do_fremovexattr, has_no_attribute, 0 },
	{ "setxattrat", SYS_setxattrat, make_file, do_setxattrat, has_attribute, 0 },
	{ "getxattrat", SYS_getxattrat, make_attribute, do_getxattrat, NULL, 0 },
	{ "listxattrat", SYS_listxattrat, make_attribute, do_listxattrat, NULL, 0 },
	{ "removexattrat", SYS_removexattrat, make_attribute, do_removexattrat, has_no_attribute,
	  0 },
	{ "removexattr", SYS_removexattr, make_attribute, do_removexattr, has_no_attribute, 0 },
	{ "utimensat", SYS_utimensat, make_file, do_utimensat, is_old, 0 },
	{ "utime", SYS_utime, make_file, do_utime, is_old, 0 },
	{ "utimes", SYS_utimes, make_file, do_utimes, is_old, 0 },
	{ "futimesat", SYS_futimesat, make_file, do_futimesat, is_old, 0 },
	{ "statfs", SYS_statfs, make_file, do_statfs, NULL, 0 },
	{ "fstatfs", SYS_fstatfs, make_file, do_fstatfs, NULL, 0 },
	{ "file_getattr", SYS_file_getattr, make_file, do_file_getattr, NULL, 0 },
	{ "file_setattr", SYS_file_setattr, make_file, do_file_setattr, NULL, 0 },
	{ "stat", SYS_stat, make_file, do_stat, NULL, 0 },
	{ "lstat", SYS_lstat, make_file, do_lstat, NULL, 0 },
	{ "fstat", SYS_fstat, make_file, do_fstat, NULL, 0 },
	{ "newfstatat", SYS_newfstatat, make_file, do_newfstatat, NULL, 0 },
	{ "statx", SYS_statx, make_file, do_statx, NULL, 0 },
	{ 0 },
};

int main(int argc, char **argv)
{
	return attempt_main(rows, argc, argv);
}
