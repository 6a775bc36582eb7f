/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: the least that any agent has to do with the product's records. It loads the product's
 * own BPF objects with the product's sizes, reads the same rings through the product's own consumer
 * in the same batches with the same pauses, and writes for each exec and each exit a line that is as
 * long as the agent's median line, one write per batch. It decodes nothing.
 *
 *   floor process=FILE iter=FILE output=FILE ring=BYTES ring=BYTES ring=BYTES processes=COUNT
 *         arguments=BYTES scratch=BYTES line=BYTES batch-records=COUNT batch-bytes=BYTES
 *         gather-us=MICROSECONDS hurry-share=COUNT
 *
 * Prints "ready" when it is attached. SIGTERM: detaches, reads what is left, prints one JSON line
 * with its CPU time (user and system) since "ready".
 */
#define _GNU_SOURCE
#include "_shim.h"
#include "abi/event.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
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
	const char *process, *iter, *output;
	__u64 rings[LANE_COUNT];
	__u64 processes;
	__u64 arguments;
	__u64 scratch;
	__u64 line;
	__u64 batch_records;
	__u64 batch_bytes;
	__u64 gather_us;
	__u64 hurry_share;
} options;

static const char *const ring_names[LANE_COUNT] = { "lifecycle", "verdicts", "policy_events" };
static const char *const shared_maps[] = { "lifecycle", "verdicts", "policy_events", "processes",
					   "sequences", "losses",   "loss_sources" };
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
	static int lane;
	const struct {
		const char *name;
		__u64 *number;
		const char **text;
	} known[] = {
		{ "process", NULL, &options.process },
		{ "iter", NULL, &options.iter },
		{ "output", NULL, &options.output },
		{ "processes", &options.processes, NULL },
		{ "arguments", &options.arguments, NULL },
		{ "scratch", &options.scratch, NULL },
		{ "line", &options.line, NULL },
		{ "batch-records", &options.batch_records, NULL },
		{ "batch-bytes", &options.batch_bytes, NULL },
		{ "gather-us", &options.gather_us, NULL },
		{ "hurry-share", &options.hurry_share, NULL },
		{ "ring", &options.rings[lane % LANE_COUNT], NULL },
	};
	const char *value = strchr(argument, '=');
	size_t i;

	for (i = 0; value && i < sizeof(known) / sizeof(*known); i++) {
		if (strlen(known[i].name) != (size_t)(value - argument) ||
		    strncmp(argument, known[i].name, (size_t)(value - argument)))
			continue;
		if (known[i].text)
			*known[i].text = value + 1;
		else
			*known[i].number = strtoull(value + 1, NULL, 10);
		if (known[i].number == &options.rings[lane % LANE_COUNT])
			lane++;
		return;
	}
	fail(argument, EINVAL);
}

/* ---- the product's kernel side, as loader/lifecycle.py loads it ---- */

static struct bpf_map *map_of(struct bpf_object *object, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	if (!map)
		fail(name, ENOENT);
	return map;
}

static struct bpf_object *open_object(const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);

	if (!object)
		fail(path, errno);
	return object;
}

static void set_constant(struct bpf_object *object, const char *name, __u32 value)
{
	struct bpf_map *map;
	__u32 offset, size;
	size_t total;
	char *memory;
	int error = tpy_object_variable(object, ".rodata", name, &offset, &size);

	if (error || size != sizeof(value))
		fail(name, error ? error : EINVAL);
	bpf_object__for_each_map(map, object)
	{
		const char *suffix = strstr(bpf_map__name(map), ".rodata");

		if (!suffix || strcmp(suffix, ".rodata"))
			continue;
		memory = (char *)bpf_map__initial_value(map, &total);
		memcpy(memory + offset, &value, size);
		return;
	}
	fail(".rodata", ENOENT);
}

static void check(const char *what, int error)
{
	if (error)
		fail(what, error);
}

static struct bpf_object *load_process(void)
{
	struct bpf_object *object = open_object(options.process);
	struct bpf_map *scratch = map_of(object, "exec_scratch");
	int lane;

	for (lane = 0; lane < LANE_COUNT; lane++)
		check("set_max_entries", bpf_map__set_max_entries(map_of(object, ring_names[lane]),
								  (__u32)options.rings[lane]));
	check("set_max_entries",
	      bpf_map__set_max_entries(map_of(object, "processes"), (__u32)options.processes));
	set_constant(object, "arguments_max", (__u32)options.arguments);
	set_constant(object, "environment_max", 0);
	check("set_max_entries",
	      bpf_map__set_max_entries(scratch, (__u32)libbpf_num_possible_cpus()));
	check("set_value_size", bpf_map__set_value_size(scratch, (__u32)options.scratch));
	check(options.process, bpf_object__load(object));
	return object;
}

static struct bpf_object *load_iterator(struct bpf_object *process)
{
	struct bpf_object *object = open_object(options.iter);
	size_t i;

	for (i = 0; i < sizeof(shared_maps) / sizeof(*shared_maps); i++)
		check(shared_maps[i],
		      bpf_map__reuse_fd(map_of(object, shared_maps[i]),
					bpf_map__fd(map_of(process, shared_maps[i]))));
	check(options.iter, bpf_object__load(object));
	return object;
}

static void attach(struct bpf_object *object, struct bpf_link *links[3])
{
	static const char *const names[] = { "process_fork", "process_exec", "process_exit" };
	int i;

	for (i = 0; i < 3; i++) {
		links[i] = bpf_program__attach(bpf_object__find_program_by_name(object, names[i]));
		if (!links[i])
			fail(names[i], errno);
	}
}

/* Without it the first exec of each living process would be told differently. */
static void seed(struct bpf_object *object)
{
	struct bpf_link *link = bpf_program__attach(
		bpf_object__find_program_by_name(object, "seed_processes"));
	char buffer[1 << 14];
	int fd;

	if (!link)
		fail("seed_processes", errno);
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		fail("bpf_iter_create", fd);
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	close(fd);
	bpf_link__destroy(link);
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
	struct tpy_batch batch;

	for (;;) {
		tpy_ring_peek(rings[lane], records, (__u32)options.batch_bytes, record_index,
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

	for (lane = 0; lane < LANE_COUNT; lane++)
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

static void open_rings(struct bpf_object *object, int epoll)
{
	int lane, error = 0;

	for (lane = 0; lane < LANE_COUNT; lane++) {
		struct epoll_event event = { .events = EPOLLIN };
		int fd = bpf_map__fd(map_of(object, ring_names[lane]));

		rings[lane] = tpy_ring_open(fd, options.rings[lane], &error);
		if (!rings[lane])
			fail(ring_names[lane], error);
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
	struct bpf_object *process, *iterator;
	struct bpf_link *links[3];
	struct epoll_event ready;
	double cpu;

	for (i = 1; i < argc; i++)
		take_option(argv[i]);
	reserve();
	output_fd = open(options.output, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (output_fd < 0)
		fail(options.output, errno);
	sigaction(SIGTERM, &action, NULL);
	process = load_process();
	iterator = load_iterator(process);
	open_rings(process, epoll);
	attach(process, links);
	seed(iterator);
	printf("ready\n");
	fflush(stdout);

	cpu = cpu_us();
	while (!is_stopping) {
		if (epoll_wait(epoll, &ready, 1, 1000) > 0)
			gather();
		drain();
	}
	for (i = 0; i < 3; i++)
		bpf_link__destroy(links[i]);
	drain();
	cpu = cpu_us() - cpu;
	printf("{\"records\":%llu,\"lines\":%llu,\"batches\":%llu,\"bytes\":%llu,\"gaps\":%llu,"
	       "\"cpu_us\":%.0f,\"cpu_us_per_record\":%.4f}\n",
	       counts.records, counts.lines, counts.batches, counts.bytes, counts.gaps, cpu,
	       counts.records ? cpu / (double)counts.records : 0.0);
	bpf_object__close(iterator);
	bpf_object__close(process);
	return 0;
}
