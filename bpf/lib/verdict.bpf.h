/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a program that may deny returns.
 */
#ifndef TPY_VERDICT_BPF_H
#define TPY_VERDICT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "lib/bound.bpf.h"

#define MAX_ERRNO 4095 /* include/linux/err.h */
#define EPERM 1

/* Verifier: BPF LSM wants to see that it is 0 or an error (Linux commit 5d99e198be27) */
static __always_inline long as_verdict(long verdict)
{
	KEEP(verdict);
	if (verdict > 0 || verdict < -MAX_ERRNO)
		return -EPERM;
	return verdict;
}

#endif
