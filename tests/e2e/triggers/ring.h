/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One operation of io_uring, without liburing: set up a ring, submit, wait for the result.
 */
#ifndef RING_H
#define RING_H

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the operation returned, or -errno of what came before it. */
static int ring_do(const struct io_uring_sqe *operation)
{
	struct io_uring_params params = {};
	struct io_uring_sqe *entries;
	struct io_uring_cqe *results;
	char *submissions, *completions;
	unsigned int *tail;
	int ring;

	ring = syscall(SYS_io_uring_setup, 1, &params);
	if (ring < 0)
		return -errno;
	submissions = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	completions = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	entries = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	if (submissions == MAP_FAILED || completions == MAP_FAILED || entries == MAP_FAILED)
		return -errno;

	memcpy(entries, operation, sizeof(*operation));
	*(unsigned int *)(submissions + params.sq_off.array) = 0;
	tail = (unsigned int *)(submissions + params.sq_off.tail);
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, 0, 0) < 0)
		return -errno;
	results = (struct io_uring_cqe *)(completions + params.cq_off.cqes);
	return results->res;
}

#endif
