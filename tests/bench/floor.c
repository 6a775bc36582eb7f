/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: the least that any agent has to do with the product's records. It reads the rings that
 * its parent has made, with the product's own consumer, in the same batches with the same pauses, and
 * writes for each record but a fork a line that is as long as the agent's median line, one write per
 * batch. It decodes nothing.
 *
 *   floor output=FILE fd=NUMBER fd=NUMBER fd=NUMBER ring=BYTES ring=BYTES ring=BYTES line=BYTES
 *         batch-records=COUNT batch-bytes=BYTES gather-us=MICROSECONDS hurry-share=COUNT
 *
 * "fd" and "ring" are descriptor and size of each lane's map. Prints "ready" when it reads. SIGTERM:
 * reads what is left, prints one JSON line with its CPU time (user and system) since "ready".
 */
#define _GNU_SOURCE
#include "_shim.h"
#include "abi/event.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

static struct {
	const char *output;
	__u64 fds[LANE_COUNT];
	__u64 rings[LANE_COUNT];
	__u64 line;
	__u64 batch_records;
	__u64 batch_bytes;
	__u64 gather_us;
	__u64 hurry_share;
} options;

static struct tpy_ring *rings[LANE_COUNT];
static char *records, *lines, *line;
static __u32 *record_index;
static int output_fd;
static volatile sig_atomic_t is_stopping;
static struct {
	__u64 records, lines, batches, bytes, gaps;
} counts;

static void fail(const char *what, int error)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(1);
}

static void stop(int number)
{
	(void)number;
	is_stopping = 1;
}

/* ---- options ---- */

static void take_option(const char *argument)
{
	static int fds, sizes;
	const struct {
		const char *name;
		__u64 *number;
		int *next; /* of those that come once per lane */
	} known[] = {
		{ "fd", &options.fds[fds % LANE_COUNT], &fds },
		{ "ring", &options.rings[sizes % LANE_COUNT], &sizes },
		{ "line", &options.line, NULL },
		{ "batch-records", &options.batch_records, NULL },
		{ "batch-bytes", &options.batch_bytes, NULL },
		{ "gather-us", &options.gather_us, NULL },
		{ "hurry-share", &options.hurry_share, NULL },
	};
	const char *value = strchr(argument, '=');
	size_t i;

	if (value && !strncmp(argument, "output=", strlen("output="))) {
		options.output = value + 1;
		return;
	}
	for (i = 0; value && i < sizeof(known) / sizeof(*known); i++) {
		if (strlen(known[i].name) != (size_t)(value - argument) ||
		    strncmp(argument, known[i].name, (size_t)(value - argument)))
			continue;
		*known[i].number = strtoull(value + 1, NULL, 10);
		if (known[i].next)
			(*known[i].next)++;
		return;
	}
	fail(argument, EINVAL);
}

/* ---- the loop of daemon/drain.py ---- */

static void write_all(const char *data, size_t size)
{
	while (size) {
		ssize_t done = write(output_fd, data, size);

		if (done < 0)
			fail("write", errno);
		data += done;
		size -= (size_t)done;
	}
}

static void write_lines(const struct tpy_batch *batch)
{
	char *end = lines;
	__u32 i;

	for (i = 0; i < batch->count; i++) {
		if (record_index[2 * i + 1] == EVENT_FORK)
			continue;
		memcpy(end, line, options.line);
		end += options.line;
		counts.lines++;
	}
	if (end != lines)
		write_all(lines, (size_t)(end - lines));
	counts.bytes += (__u64)(end - lines);
}

static void drain_lane(int lane, __u64 mark)
{
	__u64 end = lane == LANE_LIFECYCLE ? ~0ULL : mark;
	struct tpy_batch batch;

	for (;;) {
		tpy_ring_peek(rings[lane], end, records, (__u32)options.batch_bytes, record_index,
			      (__u32)options.batch_records, &batch);
		if (!batch.count)
			return;
		write_lines(&batch);
		tpy_ring_commit(rings[lane], batch.position);
		counts.records += batch.count;
		counts.gaps += batch.gaps;
		counts.batches++;
		if (batch.position >= mark)
			return;
	}
}

static void drain(void)
{
	__u64 marks[LANE_COUNT];
	int lane;

	for (lane = LANE_COUNT - 1; lane >= 0; lane--)
		marks[lane] = tpy_ring_produced(rings[lane]);
	for (lane = 0; lane < LANE_COUNT; lane++)
		drain_lane(lane, marks[lane]);
}

static void gather(void)
{
	int lane;

	for (lane = 0; lane < LANE_COUNT; lane++) {
		__u64 used = tpy_ring_produced(rings[lane]) - tpy_ring_committed(rings[lane]);

		if (used * options.hurry_share >= options.rings[lane])
			return;
	}
	usleep((useconds_t)options.gather_us);
}

static void open_rings(int epoll)
{
	int lane, error = 0;

	for (lane = 0; lane < LANE_COUNT; lane++) {
		struct epoll_event event = { .events = EPOLLIN };
		int fd = (int)options.fds[lane];

		rings[lane] = tpy_ring_open(fd, options.rings[lane], &error);
		if (!rings[lane])
			fail("ring", error);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
			fail("epoll_ctl", errno);
	}
}

static void reserve(void)
{
	records = malloc(options.batch_bytes);
	record_index = malloc(options.batch_records * 2 * sizeof(*record_index));
	lines = malloc(options.batch_records * options.line);
	line = malloc(options.line);
	if (!records || !record_index || !lines || !line)
		fail("malloc", ENOMEM);
	memset(line, 'x', options.line);
	line[options.line - 1] = '\n';
}

static double cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
	int i, epoll = epoll_create1(EPOLL_CLOEXEC);
	struct sigaction action = { .sa_handler = stop };
	struct epoll_event ready;
	double cpu;

	for (i = 1; i < argc; i++)
		take_option(argv[i]);
	reserve();
	output_fd = open(options.output, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (output_fd < 0)
		fail(options.output, errno);
	sigaction(SIGTERM, &action, NULL);
	open_rings(epoll);
	printf("ready\n");
	fflush(stdout);

	cpu = cpu_us();
	while (!is_stopping) {
		if (epoll_wait(epoll, &ready, 1, 1000) > 0)
			gather();
		drain();
	}
	drain();
	cpu = cpu_us() - cpu;
	printf("{\"records\":%llu,\"lines\":%llu,\"batches\":%llu,\"bytes\":%llu,\"gaps\":%llu,"
	       "\"cpu_us\":%.0f,\"cpu_us_per_record\":%.4f}\n",
	       counts.records, counts.lines, counts.batches, counts.bytes, counts.gaps, cpu,
	       counts.records ? cpu / (double)counts.records : 0.0);
	return 0;
}
