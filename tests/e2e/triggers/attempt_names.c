// SPDX-License-Identifier: Apache-2.0
// attempt_names ROW FOLDER: paths that are opened, made, moved, removed: see attempt.h.
#include "attempt.h"
#include <sys/sysmacros.h>

#define NULL_DEVICE makedev(1, 3)

static void do_open(struct stage *s)
{
	TRY(open, s->forbidden, O_WRONLY | O_CREAT, 0644);
}

static void do_creat(struct stage *s)
{
	TRY(creat, s->forbidden, 0644);
}

static void do_openat(struct stage *s)
{
	TRY(openat, AT_FDCWD, s->forbidden, O_WRONLY | O_CREAT, 0644);
}

static void do_openat2(struct stage *s)
{
	struct open_how how = { .flags = O_WRONLY | O_CREAT, .mode = 0644 };

	TRY(openat2, AT_FDCWD, s->forbidden, &how, sizeof(how));
}

static void do_open_by_handle_at(struct stage *s)
{
	struct {
		struct file_handle head;
		char rest[MAX_HANDLE_SZ];
	} handle = { .head.handle_bytes = MAX_HANDLE_SZ };
	long fd;
	int mount;

	need(s, syscall(SYS_name_to_handle_at, s->directory, "forbidden", &handle, &mount, 0),
	     "handle");
	fd = TRY(open_by_handle_at, s->directory, &handle, O_RDONLY);
	s->effect = fd >= 0 && has_text(fd, SECRET);
}

static void do_mkdir(struct stage *s)
{
	TRY(mkdir, s->forbidden, 0755);
}

static void do_mkdirat(struct stage *s)
{
	TRY(mkdirat, AT_FDCWD, s->forbidden, 0755);
}

static int is_folder(struct stage *s)
{
	return S_ISDIR(look(s).stx_mode);
}

static void do_rmdir(struct stage *s)
{
	TRY(rmdir, s->forbidden);
}

static void do_unlink(struct stage *s)
{
	TRY(unlink, s->forbidden);
}

static void do_unlinkat(struct stage *s)
{
	TRY(unlinkat, AT_FDCWD, s->forbidden, 0);
}

static void do_link(struct stage *s)
{
	TRY(link, s->other, s->forbidden);
}

static void do_linkat(struct stage *s)
{
	TRY(linkat, AT_FDCWD, s->other, AT_FDCWD, s->forbidden, 0);
}

static void do_symlink(struct stage *s)
{
	TRY(symlink, "other", s->forbidden);
}

static void do_symlinkat(struct stage *s)
{
	TRY(symlinkat, "other", AT_FDCWD, s->forbidden);
}

static int is_symlink(struct stage *s)
{
	return S_ISLNK(look(s).stx_mode);
}

static void do_rename(struct stage *s)
{
	TRY(rename, s->other, s->forbidden);
}

static void do_renameat(struct stage *s)
{
	TRY(renameat, AT_FDCWD, s->other, AT_FDCWD, s->forbidden);
}

static void do_renameat2(struct stage *s)
{
	TRY(renameat2, AT_FDCWD, s->other, AT_FDCWD, s->forbidden, 0);
}

/* Without a rename, which is the row. */
static void make_source(struct stage *s)
{
	need(s, open_file(s, "other", O_CREAT | O_RDWR), "other");
}

static int is_moved(struct stage *s)
{
	return is_there(s) && !look_at(s->directory, "other").stx_mask;
}

static void do_mknod(struct stage *s)
{
	TRY(mknod, s->forbidden, S_IFCHR | 0666, NULL_DEVICE);
}

static void do_mknodat(struct stage *s)
{
	TRY(mknodat, AT_FDCWD, s->forbidden, S_IFCHR | 0666, NULL_DEVICE);
}

static int is_device(struct stage *s)
{
	return S_ISCHR(look(s).stx_mode);
}

static void make_symlink(struct stage *s)
{
	need(s, syscall(SYS_symlinkat, SECRET, s->directory, "draft"), "symbolic link");
	move(s, "draft", "forbidden");
}

static void do_readlink(struct stage *s)
{
	TRY(readlink, s->forbidden, s->text, sizeof(s->text));
	s->effect = is_secret(s->text);
}

static void do_readlinkat(struct stage *s)
{
	TRY(readlinkat, AT_FDCWD, s->forbidden, s->text, sizeof(s->text));
	s->effect = is_secret(s->text);
}

static void do_access(struct stage *s)
{
	TRY(access, s->forbidden, W_OK);
	s->effect = !s->result;
}

static void do_faccessat(struct stage *s)
{
	TRY(faccessat, AT_FDCWD, s->forbidden, W_OK);
	s->effect = !s->result;
}

static void do_faccessat2(struct stage *s)
{
	TRY(faccessat2, AT_FDCWD, s->forbidden, W_OK, 0);
	s->effect = !s->result;
}

static void see_where(struct stage *s)
{
	s->effect = look_at(AT_FDCWD, ".").stx_ino == look(s).stx_ino;
}

static void do_chdir(struct stage *s)
{
	TRY(chdir, s->forbidden);
	see_where(s);
}

static void open_folder(struct stage *s)
{
	make_folder(s);
	s->fds[0] = need(s, open_file(s, "forbidden", O_RDONLY | O_DIRECTORY), "folder");
}

static void do_fchdir(struct stage *s)
{
	TRY(fchdir, s->fds[0]);
	see_where(s);
}

static const struct row rows[] = {
	{ "open", SYS_open, NULL, do_open, is_there, 0 },
	{ "creat", SYS_creat, NULL, do_creat, is_there, 0 },
	{ "openat", SYS_openat, NULL, do_openat, is_there, 0 },
	{ "openat2", SYS_openat2, NULL, do_openat2, is_there, 0 },
	{ "open_by_handle_at", SYS_open_by_handle_at, make_file, do_open_by_handle_at, NULL, 0 },
	{ "mkdir", SYS_mkdir, NULL, do_mkdir, is_folder, 0 },
	{ "mkdirat", SYS_mkdirat, NULL, do_mkdirat, is_folder, 0 },
	{ "rmdir", SYS_rmdir, make_folder, do_rmdir, is_gone, 0 },
	{ "unlink", SYS_unlink, make_file, do_unlink, is_gone, 0 },
	{ "unlinkat", SYS_unlinkat, make_file, do_unlinkat, is_gone, 0 },
	{ "link", SYS_link, make_other, do_link, is_there, 0 },
	{ "linkat", SYS_linkat, make_other, do_linkat, is_there, 0 },
	{ "symlink", SYS_symlink, NULL, do_symlink, is_symlink, 0 },
	{ "symlinkat", SYS_symlinkat, NULL, do_symlinkat, is_symlink, 0 },
	{ "rename", SYS_rename, make_source, do_rename, is_moved, 0 },
	{ "renameat", SYS_renameat, make_source, do_renameat, is_moved, 0 },
	{ "renameat2", SYS_renameat2, make_source, do_renameat2, is_moved, 0 },
	{ "mknod", SYS_mknod, NULL, do_mknod, is_device, 0 },
	{ "mknodat", SYS_mknodat, NULL, do_mknodat, is_device, 0 },
	{ "readlink", SYS_readlink, make_symlink, do_readlink, NULL, 0 },
	{ "readlinkat", SYS_readlinkat, make_symlink, do_readlinkat, NULL, 0 },
	{ "access", SYS_access, make_file, do_access, NULL, 0 },
	{ "faccessat", SYS_faccessat, make_file, do_faccessat, NULL, 0 },
	{ "faccessat2", SYS_faccessat2, make_file, do_faccessat2, NULL, 0 },
	{ "chdir", SYS_chdir, make_folder, do_chdir, NULL, 0 },
	{ "fchdir", SYS_fchdir, open_folder, do_fchdir, NULL, 0 },
	{ 0 },
};

int main(int argc, char **argv)
{
	return attempt_main(rows, argc, argv);
}
