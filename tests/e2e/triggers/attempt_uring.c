// SPDX-License-Identifier: Apache-2.0
/*
 * attempt_uring ROW FOLDER: operations of io_uring, which no system call of their own announces:
 * see attempt.h. A row is OP-MODE:
 *
 *	inline	io_uring_enter does it: openat, connect, sendmsg, socket; what changes a folder, and
 *		a write to tmpfs, goes to a worker from here and from polled, too
 *	async	a worker thread does it
 *	sqpoll	the kernel's polling thread does it; this process wakes it if it sleeps already
 *	polled	linked after a poll: it is done at the exit of another call, write(2) to a pipe
 *
 * NUMBER is the errno that the completion tells. Rows that the kernel does not know are absent.
 */
#include "attempt.h"
#include "own_network.h"
#include <linux/io_uring.h>
#include <poll.h>

#define OPS_MAX 64
#define THE_ONE 1 /* user_data of what is attempted */

struct ring {
	int fd;
	struct io_uring_params parameters;
	char *rings;
	struct io_uring_sqe *sqes;
};

static int is_mode(struct stage *s, const char *mode)
{
	return !strcmp(strchr(s->row->name, '-') + 1, mode);
}

static void find_operation(struct stage *s)
{
	struct io_uring_params parameters = { 0 };
	struct {
		struct io_uring_probe head;
		struct io_uring_probe_op ops[OPS_MAX];
	} known = { 0 };
	int fd = syscall(SYS_io_uring_setup, 2, &parameters);

	if (fd >= 0)
		syscall(SYS_io_uring_register, fd, IORING_REGISTER_PROBE, &known, OPS_MAX);
	if (!(known.ops[s->row->call].flags & IO_URING_OP_SUPPORTED)) {
		say("%s absent %d no\n", s->row->name, ENOSYS);
		_exit(3);
	}
	syscall(SYS_close, fd);
}

static void with_file(struct stage *s)
{
	find_operation(s);
	make_file(s);
}

static void with_other(struct stage *s)
{
	find_operation(s);
	make_other(s);
}

static void with_server(struct stage *s, int type)
{
	find_operation(s);
	need(s, own_network(), "network");
	s->fds[0] = need(s, socket(AF_INET, type, 0), "socket");
	s->fds[1] = need(s, serve(type, PORT_FORBIDDEN), "server");
}

static void with_stream(struct stage *s)
{
	with_server(s, SOCK_STREAM);
}

static void with_packets(struct stage *s)
{
	with_server(s, SOCK_DGRAM);
}

/* ---- the ring ---- */

static void make_ring(struct stage *s, struct ring *ring)
{
	struct io_uring_params *p = &ring->parameters;
	long size;

	*p = (struct io_uring_params){ .sq_thread_idle = 100 };
	if (is_mode(s, "sqpoll"))
		p->flags = IORING_SETUP_SQPOLL;
	ring->fd = need(s, syscall(SYS_io_uring_setup, 4, p), "ring");
	size = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	if (size < (long)(p->sq_off.array + p->sq_entries * sizeof(int)))
		size = p->sq_off.array + p->sq_entries * sizeof(int);
	ring->rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
			   IORING_OFF_SQ_RING); /* both rings, since Linux 5.4 */
	ring->sqes = mmap(NULL, p->sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
	need(s, ring->rings == MAP_FAILED || (void *)ring->sqes == MAP_FAILED ? -1 : 0, "rings");
}

static unsigned int *at(struct ring *ring, unsigned int offset)
{
	return (unsigned int *)(ring->rings + offset);
}

static void put(struct ring *ring, const struct io_uring_sqe *sqe)
{
	const struct io_sqring_offsets *sq = &ring->parameters.sq_off;
	unsigned int tail = *at(ring, sq->tail), slot = tail & *at(ring, sq->ring_mask);

	ring->sqes[slot] = *sqe;
	at(ring, sq->array)[slot] = slot;
	__atomic_store_n(at(ring, sq->tail), tail + 1, __ATOMIC_SEQ_CST);
}

/* Calls io_uring_enter to wake a sleeping thread only; a completion that never comes is ETIME. */
static int await(struct ring *ring)
{
	const struct io_cqring_offsets *cq = &ring->parameters.cq_off;
	struct io_uring_cqe *cqes = (void *)at(ring, cq->cqes);
	unsigned int head = 0;

	for (int i = 0; i < 20000; i++) {
		while (head < __atomic_load_n(at(ring, cq->tail), __ATOMIC_ACQUIRE)) {
			struct io_uring_cqe *found = &cqes[head++ & *at(ring, cq->ring_mask)];

			if (found->user_data == THE_ONE)
				return found->res;
		}
		if (__atomic_load_n(at(ring, ring->parameters.sq_off.flags), __ATOMIC_SEQ_CST) &
		    IORING_SQ_NEED_WAKEUP)
			syscall(SYS_io_uring_enter, ring->fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL,
				0L);
		usleep(500);
	}
	return -ETIME;
}

static void submit(struct stage *s, struct io_uring_sqe sqe)
{
	struct io_uring_sqe poll = { .opcode = IORING_OP_POLL_ADD, .flags = IOSQE_IO_LINK };
	int ends[2], count = 1, result;
	struct ring ring;

	make_ring(s, &ring);
	sqe.user_data = THE_ONE;
	if (is_mode(s, "async"))
		sqe.flags |= IOSQE_ASYNC;
	if (is_mode(s, "polled")) {
		need(s, syscall(SYS_pipe2, ends, 0), "pipe");
		poll.fd = ends[0];
		poll.poll_events = POLLIN;
		put(&ring, &poll);
		count = 2;
	}
	put(&ring, &sqe);
	if (!is_mode(s, "sqpoll"))
		need(s, syscall(SYS_io_uring_enter, ring.fd, count, 0, 0, NULL, 0L), "enter");
	if (is_mode(s, "polled"))
		need(s, syscall(SYS_write, ends[1], "x", 1L), "write");
	result = await(&ring);
	errno = result < 0 ? -result : 0;
	tried(s, result < 0 ? -1 : result);
}

/* ---- operations ---- */

#define PATH(field) ((unsigned long)(field))
#define DO(name, ...)                                                                              \
	static void do_##name(struct stage *s)                                                     \
	{                                                                                          \
		submit(s, (struct io_uring_sqe){ .opcode = s->row->call, __VA_ARGS__ });           \
	}

DO(unlinkat, .fd = AT_FDCWD, .addr = PATH(s->forbidden))
DO(mkdirat, .fd = AT_FDCWD, .addr = PATH(s->forbidden), .len = 0755)
DO(symlinkat, .fd = AT_FDCWD, .addr = PATH("other"), .addr2 = PATH(s->forbidden))
DO(renameat, .fd = AT_FDCWD, .addr = PATH(s->other), .len = AT_FDCWD, .addr2 = PATH(s->forbidden))
DO(linkat, .fd = AT_FDCWD, .addr = PATH(s->other), .len = AT_FDCWD, .addr2 = PATH(s->forbidden))
DO(write, .fd = s->fds[0], .addr = PATH(MARKED), .len = TEXT_SIZE)

/* For writing, what is there. */
static void do_openat(struct stage *s)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD };

	sqe.addr = PATH(s->forbidden);
	sqe.open_flags = O_RDWR;
	submit(s, sqe);
	s->effect = s->result >= 0 && has_text(s->result, SECRET);
}

static void do_openat2(struct stage *s)
{
	struct open_how how = { .flags = O_WRONLY | O_CREAT, .mode = 0644 };
	struct io_uring_sqe sqe = { .opcode = IORING_OP_OPENAT2, .fd = AT_FDCWD };

	sqe.addr = PATH(s->forbidden);
	sqe.addr2 = PATH(&how);
	sqe.len = sizeof(how);
	submit(s, sqe);
}

static void do_connect(struct stage *s)
{
	struct sockaddr_in address = at_port(PORT_FORBIDDEN);
	struct io_uring_sqe sqe = { .opcode = IORING_OP_CONNECT, .fd = s->fds[0] };

	sqe.addr = PATH(&address);
	sqe.off = sizeof(address);
	submit(s, sqe);
}

static void do_sendmsg(struct stage *s)
{
	struct sockaddr_in address = at_port(PORT_FORBIDDEN);
	struct iovec part = { MARKED, TEXT_SIZE };
	struct msghdr message = { &address, sizeof(address), &part, 1, NULL, 0, 0 };

	submit(s, (struct io_uring_sqe){ .opcode = IORING_OP_SENDMSG,
					 .fd = s->fds[0],
					 .addr = PATH(&message),
					 .len = 1 });
}

static void do_socket(struct stage *s)
{
	struct statx found = { 0 };

	submit(s, (struct io_uring_sqe){
			  .opcode = IORING_OP_SOCKET, .fd = AF_INET, .off = SOCK_STREAM });
	if (s->result >= 0)
		syscall(SYS_statx, (int)s->result, "", AT_EMPTY_PATH, STATX_TYPE, &found);
	s->effect = S_ISSOCK(found.stx_mode);
}

static int is_marked(struct stage *s)
{
	return has_text(s->fds[1], MARKED);
}

static int has_come(struct stage *s)
{
	struct pollfd waiting = { .fd = s->fds[1], .events = POLLIN };

	return poll(&waiting, 1, s->result >= 0 ? 1000 : 50) == 1;
}

#define ROWS(name, code, prepare, happened)                                                        \
	{ #name "-inline", code, prepare, do_##name, happened, 0 },                                \
		{ #name "-async", code, prepare, do_##name, happened, 0 },                         \
		{ #name "-sqpoll", code, prepare, do_##name, happened, 0 },                        \
		{ #name "-polled", code, prepare, do_##name, happened, 0 }

static const struct row rows[] = {
	ROWS(openat, IORING_OP_OPENAT, with_file, NULL),
	ROWS(openat2, IORING_OP_OPENAT2, find_operation, is_there),
	ROWS(connect, IORING_OP_CONNECT, with_stream, has_come),
	ROWS(unlinkat, IORING_OP_UNLINKAT, with_file, is_gone),
	ROWS(renameat, IORING_OP_RENAMEAT, with_other, is_there),
	ROWS(mkdirat, IORING_OP_MKDIRAT, find_operation, is_there),
	ROWS(symlinkat, IORING_OP_SYMLINKAT, find_operation, is_there),
	ROWS(linkat, IORING_OP_LINKAT, with_other, is_there),
	ROWS(write, IORING_OP_WRITE, with_file, is_marked),
	ROWS(sendmsg, IORING_OP_SENDMSG, with_packets, has_come),
	ROWS(socket, IORING_OP_SOCKET, find_operation, NULL),
	{ 0 },
};

int main(int argc, char **argv)
{
	return attempt_main(rows, argc, argv);
}
