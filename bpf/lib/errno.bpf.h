/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Why a value could not be read: the numbers of include/uapi/asm-generic/errno*.h, which are macros
 * and so not in vmlinux.h. Every failed read is EFAULT: what the helpers return differs between
 * kernels (-ERANGE for an address that is not the kernel's since 5.8, -EFAULT before).
 */
#ifndef TPY_ERRNO_BPF_H
#define TPY_ERRNO_BPF_H

#define ESRCH 3
#define EBADF 9
#define EFAULT 14
#define EOPNOTSUPP 95

#endif
