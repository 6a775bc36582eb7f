/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of calls that the C library is too old for, and -1 for those of x86 only. */
#ifndef ABSENT_H
#define ABSENT_H

#include <sys/syscall.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#define SYS_getxattrat 464
#define SYS_listxattrat 465
#define SYS_removexattrat 466
#endif
#ifndef SYS_file_getattr
#define SYS_file_getattr 468
#define SYS_file_setattr 469
#endif

#ifndef __x86_64__
#define SYS_access -1
#define SYS_chmod -1
#define SYS_chown -1
#define SYS_creat -1
#define SYS_epoll_create -1
#define SYS_eventfd -1
#define SYS_fork -1
#define SYS_futimesat -1
#define SYS_getdents -1
#define SYS_inotify_init -1
#define SYS_ioperm -1
#define SYS_iopl -1
#define SYS_lchown -1
#define SYS_link -1
#define SYS_lstat -1
#define SYS_mkdir -1
#define SYS_mknod -1
#define SYS_open -1
#define SYS_pipe -1
#define SYS_readlink -1
#define SYS_rename -1
#define SYS_rmdir -1
#define SYS_signalfd -1
#define SYS_stat -1
#define SYS_symlink -1
#define SYS_unlink -1
#define SYS_utime -1
#define SYS_utimes -1
#define SYS_vfork -1
#endif

#endif /* ABSENT_H */
