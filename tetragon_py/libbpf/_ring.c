/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A consumer of one BPF ring buffer (Documentation/bpf/ringbuf.rst) that separates reading from
 * freeing: peek() copies a batch of records out, commit() gives their room back to the kernel. What
 * is not committed survives a crash of the reader.
 *
 * Not safe for several threads on one ring. Knows only the start of abi/event.h's header.
 */
#define _GNU_SOURCE
#include "_shim.h"
#include "abi/event.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CPU_MAX 4096 /* CPUs whose numbers are followed */

struct tpy_ring {
	__u64 size;		 /* of the data area, a power of two */
	__u64 peeked;		 /* position up to which records have been copied out */
	unsigned long *consumer; /* page shared with the kernel: ours to write */
	unsigned long *producer; /* page shared with the kernel: read only */
	const char *data;	 /* mapped twice in a row, so that no record is split */
	size_t page;
	__u64 sequences[CPU_MAX]; /* last number seen of each CPU */
};

struct tpy_ring *tpy_ring_open(int map_fd, __u64 size, int *error)
{
	struct tpy_ring *ring = calloc(1, sizeof(*ring));
	void *memory;

	if (!ring) {
		*error = ENOMEM;
		return NULL;
	}
	ring->size = size;
	ring->page = (size_t)sysconf(_SC_PAGESIZE);
	memory = mmap(NULL, ring->page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (memory == MAP_FAILED)
		goto fail;
	ring->consumer = memory;
	memory = mmap(NULL, ring->page + 2 * size, PROT_READ, MAP_SHARED, map_fd,
		      (off_t)ring->page);
	if (memory == MAP_FAILED)
		goto fail;
	ring->producer = memory;
	ring->data = (const char *)memory + ring->page;
	ring->peeked = tpy_ring_committed(ring);
	return ring;
fail:
	*error = errno;
	tpy_ring_close(ring);
	return NULL;
}

void tpy_ring_close(struct tpy_ring *ring)
{
	if (ring->producer)
		munmap(ring->producer, ring->page + 2 * ring->size);
	if (ring->consumer)
		munmap(ring->consumer, ring->page);
	free(ring);
}

__u64 tpy_ring_produced(const struct tpy_ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
}

__u64 tpy_ring_committed(const struct tpy_ring *ring)
{
	return __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
}

void tpy_ring_commit(struct tpy_ring *ring, __u64 position)
{
	__atomic_store_n(ring->consumer, position, __ATOMIC_RELEASE);
}

/* How many records of this CPU are missing between the last one seen and this one. */
static __u64 sequence_gap(struct tpy_ring *ring, const struct event_header *header)
{
	__u64 *last = &ring->sequences[header->cpu % CPU_MAX];
	__u64 gap = *last && header->sequence > *last ? header->sequence - *last - 1 : 0;

	if (header->sequence > *last)
		*last = header->sequence;
	return gap;
}

/*
 * Copy records before position "end" to "buffer", as many as fit and are complete, and put {offset, type} of each into
 * "index" (2 * index_size numbers). Records that the kernel side discarded are passed over, and
 * so are, counted, those that are not of abi/event.h or larger than the whole buffer.
 */
void tpy_ring_peek(struct tpy_ring *ring, __u64 end, void *buffer, __u32 buffer_size, __u32 *index,
		   __u32 index_size, struct tpy_batch *batch)
{
	__u64 position = ring->peeked, produced = tpy_ring_produced(ring);

	if (end > produced)
		end = produced;
	memset(batch, 0, sizeof(*batch));
	while (position < end && batch->count < index_size) {
		const char *record = ring->data + (position & (ring->size - 1));
		const struct event_header *header = (const void *)(record + BPF_RINGBUF_HDR_SZ);
		__u32 state = __atomic_load_n((const __u32 *)record, __ATOMIC_ACQUIRE);
		__u32 length = state & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (state & BPF_RINGBUF_BUSY_BIT)
			break;
		if (state & BPF_RINGBUF_DISCARD_BIT) {
			/* nothing to copy */
		} else if (length < sizeof(*header) || header->size != length ||
			   length > buffer_size) {
			batch->damaged++;
		} else if (length > buffer_size - batch->bytes) {
			break;
		} else {
			memcpy((char *)buffer + batch->bytes, header, length);
			index[2 * batch->count] = batch->bytes;
			index[2 * batch->count + 1] = header->type;
			batch->gaps += sequence_gap(ring, header);
			batch->bytes += length;
			batch->count++;
		}
		position += (length + BPF_RINGBUF_HDR_SZ + 7) & ~7ULL;
	}
	ring->peeked = batch->position = position;
}
