// SPDX-License-Identifier: Apache-2.0
/*
 * attempt_machine ROW FOLDER: mounts, names, clocks, modules: see attempt.h. What would change the
 * machine happens in namespaces of its own, sets what is set already, or asks for what no kernel
 * does: then EFFECT stays "no", and without a policy NUMBER is the errno of that.
 */
#include "attempt.h"
#include <linux/bpf.h>
#include <linux/kexec.h>
#include <linux/mount.h>
#include <linux/quota.h>
#include <sched.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>

#define NULL_DEVICE makedev(1, 3)

/* ---- mounts, in a namespace whose events nobody hears ---- */

static void make_mounts(struct stage *s)
{
	struct mount_attr private = { .propagation = MS_PRIVATE };

	need(s, unshare(CLONE_NEWNS), "namespace");
	/* since Linux 5.12 without mount(2), which is a row */
	if (is_row(s, "mount_setattr") ||
	    syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof(private)))
		need(s, syscall(SYS_mount, "", "/", NULL, (long)MS_REC | MS_PRIVATE, NULL),
		     "private mounts");
	enter(s); /* of this namespace */
	make_folder(s);
}

static int is_mounted(struct stage *s)
{
	struct statx here = look_at(s->directory, "."), there = look(s);

	return there.stx_mask && here.stx_dev_minor != there.stx_dev_minor;
}

static int is_not_mounted(struct stage *s)
{
	return is_there(s) && !is_mounted(s);
}

static void do_mount(struct stage *s)
{
	TRY(mount, "attempt", s->forbidden, "tmpfs", 0L, NULL);
}

static void make_mounted(struct stage *s)
{
	make_mounts(s);
	need(s, syscall(SYS_mount, "attempt", s->forbidden, "tmpfs", 0L, NULL), "mount");
	need(s, is_mounted(s) ? 0 : -1, "sight of the mount");
}

static void do_umount2(struct stage *s)
{
	TRY(umount2, s->forbidden, 0);
}

static void make_other_mount(struct stage *s)
{
	make_mounts(s);
	need(s, syscall(SYS_mkdirat, s->directory, "other", 0755), "other folder");
	need(s, syscall(SYS_mount, "attempt", s->other, "tmpfs", 0L, NULL), "mount");
}

static void do_move_mount(struct stage *s)
{
	TRY(move_mount, AT_FDCWD, s->other, AT_FDCWD, s->forbidden, 0);
}

static void do_mount_setattr(struct stage *s)
{
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };

	TRY(mount_setattr, AT_FDCWD, s->forbidden, 0, &read_only, sizeof(read_only));
}

static int is_read_only(struct stage *s)
{
	struct statfs found = { 0 };

	return !syscall(SYS_statfs, s->forbidden, &found) && (found.f_flags & ST_RDONLY);
}

static void do_fsmount(struct stage *s)
{
	int made = need(s, syscall(SYS_fsopen, "tmpfs", 0), "fsopen");

	need(s, syscall(SYS_fsconfig, made, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "fsconfig");
	TRY(fsmount, made, 0, 0);
	s->effect = s->result >= 0;
}

static void make_root(struct stage *s)
{
	int fd;

	make_mounted(s);
	fd = need(s, open_file(s, "forbidden", O_RDONLY | O_DIRECTORY), "new root");
	need(s, syscall(SYS_mkdirat, fd, "old", 0755), "old root");
	s->number = look_at(fd, ".").stx_dev_minor;
	strcat(strcpy(s->other, s->forbidden), "/old");
}

static void do_pivot_root(struct stage *s)
{
	TRY(pivot_root, s->forbidden, s->other);
	s->effect = look_at(AT_FDCWD, "/").stx_dev_minor == (unsigned long)s->number;
}

static void do_chroot(struct stage *s)
{
	TRY(chroot, s->forbidden);
	s->effect = look_at(AT_FDCWD, "/").stx_ino == look(s).stx_ino;
}

/* ---- names, in a namespace of its own ---- */

static void make_names(struct stage *s)
{
	need(s, unshare(CLONE_NEWUTS), "namespace");
}

static void do_sethostname(struct stage *s)
{
	TRY(sethostname, "forbidden", 9L);
}

static int has_host_name(struct stage *s)
{
	struct utsname found;

	(void)s;
	return !uname(&found) && !strcmp(found.nodename, "forbidden");
}

static void do_setdomainname(struct stage *s)
{
	TRY(setdomainname, "forbidden", 9L);
}

static int has_domain_name(struct stage *s)
{
	struct utsname found;

	(void)s;
	return !uname(&found) && !strcmp(found.domainname, "forbidden");
}

/* ---- clocks: what is set is what was: that the kernel takes it is all the effect ---- */

static void do_settimeofday(struct stage *s)
{
	struct timezone zone = { 0 };

	syscall(SYS_gettimeofday, NULL, &zone);
	s->effect = !TRY(settimeofday, NULL, &zone);
}

static void do_clock_settime(struct stage *s)
{
	struct timespec now;

	syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
	s->effect = !TRY(clock_settime, CLOCK_REALTIME, &now);
}

static void do_adjtimex(struct stage *s)
{
	struct timex now = { 0 };

	syscall(SYS_clock_adjtime, CLOCK_REALTIME, &now);
	now.modes = ADJ_FREQUENCY;
	s->effect = TRY(adjtimex, &now) >= 0;
}

static void do_clock_adjtime(struct stage *s)
{
	struct timex now = { 0 };

	syscall(SYS_adjtimex, &now);
	now.modes = ADJ_FREQUENCY;
	s->effect = TRY(clock_adjtime, CLOCK_REALTIME, &now) >= 0;
}

/* ---- the worker's rights, which end with it ---- */

static void do_iopl(struct stage *s)
{
	s->effect = !TRY(iopl, 3);
}

static void do_ioperm(struct stage *s)
{
	s->effect = !TRY(ioperm, 0x80L, 1L, 1);
}

static void do_bpf(struct stage *s)
{
	union bpf_attr map = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1
	};
	struct statx found = { 0 };
	long fd = TRY(bpf, BPF_MAP_CREATE, &map, sizeof(map));

	if (fd >= 0)
		syscall(SYS_statx, (int)fd, "", AT_EMPTY_PATH, STATX_TYPE, &found);
	s->effect = found.stx_mask != 0;
}

static void do_syslog(struct stage *s)
{
	TRY(syslog, 10, NULL, 0); /* SYSLOG_ACTION_SIZE_BUFFER */
	s->effect = s->result > 0;
}

/* ---- what no kernel does ---- */

static void do_init_module(struct stage *s)
{
	static const char image[4096]; /* large enough to be asked about */

	TRY(init_module, image, (long)sizeof(image), "");
}

static void do_finit_module(struct stage *s)
{
	int self = open("/proc/self/exe", O_RDONLY); /* nobody writes to it */

	TRY(finit_module, self, "", 0);
}

static void do_delete_module(struct stage *s)
{
	TRY(delete_module, "tetragon_py_none", O_NONBLOCK);
}

/* Flags that are none: zero segments with right flags would unload a crash kernel. */
static void do_kexec_load(struct stage *s)
{
	TRY(kexec_load, 0L, 0L, NULL, 0xff00L);
}

static void do_kexec_file_load(struct stage *s)
{
	int self = open("/proc/self/exe", O_RDONLY);

	TRY(kexec_file_load, self, -1, 0L, NULL, (long)KEXEC_FILE_NO_INITRAMFS);
}

static void do_swapoff(struct stage *s)
{
	TRY(swapoff, s->forbidden);
}

static void do_swapon(struct stage *s)
{
	TRY(swapon, s->forbidden, 0);
}

static void do_reboot(struct stage *s)
{
	TRY(reboot, 1, 2, 3, NULL);
}

/* Not a regular file, though it can be opened. */
static void make_device(struct stage *s)
{
	need(s, syscall(SYS_mknodat, s->directory, "draft", S_IFCHR | 0666, NULL_DEVICE), "device");
	move(s, "draft", "forbidden");
}

static void do_acct(struct stage *s)
{
	TRY(acct, s->forbidden);
}

static void do_quotactl(struct stage *s)
{
	s->effect = !TRY(quotactl, QCMD(Q_SYNC, USRQUOTA), NULL, 0, NULL);
}

static const struct row rows[] = {
	{ "mount", SYS_mount, make_mounts, do_mount, is_mounted, 0 },
	{ "umount2", SYS_umount2, make_mounted, do_umount2, is_not_mounted, 0 },
	{ "move_mount", SYS_move_mount, make_other_mount, do_move_mount, is_mounted, 0 },
	{ "mount_setattr", SYS_mount_setattr, make_mounted, do_mount_setattr, is_read_only, 0 },
	{ "fsmount", SYS_fsmount, NULL, do_fsmount, NULL, 0 },
	{ "pivot_root", SYS_pivot_root, make_root, do_pivot_root, NULL, 0 },
	{ "chroot", SYS_chroot, make_folder, do_chroot, NULL, 0 },
	{ "sethostname", SYS_sethostname, make_names, do_sethostname, has_host_name, 0 },
	{ "setdomainname", SYS_setdomainname, make_names, do_setdomainname, has_domain_name, 0 },
	{ "settimeofday", SYS_settimeofday, NULL, do_settimeofday, NULL, 0 },
	{ "clock_settime", SYS_clock_settime, NULL, do_clock_settime, NULL, 0 },
	{ "adjtimex", SYS_adjtimex, NULL, do_adjtimex, NULL, 0 },
	{ "clock_adjtime", SYS_clock_adjtime, NULL, do_clock_adjtime, NULL, 0 },
	{ "iopl", SYS_iopl, NULL, do_iopl, NULL, 0 },
	{ "ioperm", SYS_ioperm, NULL, do_ioperm, NULL, 0 },
	{ "bpf", SYS_bpf, NULL, do_bpf, NULL, 0 },
	{ "syslog", SYS_syslog, NULL, do_syslog, NULL, 0 },
	{ "init_module", SYS_init_module, NULL, do_init_module, NULL, 0 },
	{ "finit_module", SYS_finit_module, NULL, do_finit_module, NULL, 0 },
	{ "delete_module", SYS_delete_module, NULL, do_delete_module, NULL, 0 },
	{ "kexec_load", SYS_kexec_load, NULL, do_kexec_load, NULL, 0 },
	{ "kexec_file_load", SYS_kexec_file_load, NULL, do_kexec_file_load, NULL, 0 },
	{ "swapoff", SYS_swapoff, make_file, do_swapoff, NULL, 0 },
	{ "swapon", SYS_swapon, make_file, do_swapon, NULL, 0 },
	{ "reboot", SYS_reboot, NULL, do_reboot, NULL, 0 },
	{ "acct", SYS_acct, make_device, do_acct, NULL, 0 },
	{ "quotactl", SYS_quotactl, NULL, do_quotactl, NULL, 0 },
	{ 0 },
};

int main(int argc, char **argv)
{
	return attempt_main(rows, argc, argv);
}
