/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four threads against a check, many times:
 *
 *	race_X FOLDER [TRIES [ERRNO]]
 *
 * prints one line of JSON: tries, refused (with ERRNO, by default 118), got_through (by what the
 * other side or the file system has seen) and other_errors by errno; a race may add keys. Exit
 * status 0: all was held back, and something was refused; 1: something got through; 2: usage, or
 * nothing was refused.
 *
 * Allowed and forbidden differ in one byte or word, which one thread swaps: a reader sees one of
 * them, never something between.
 */
#ifndef RACE_H
#define RACE_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS 4
#define ERRORS 4096
#define FORBIDDEN "forbidden"
#define ALLOWED "Forbidden" /* differs in the first byte */

static struct {
	const char *folder;
	long tries;
	int refusal;
	atomic_long left, refused, swaps;
	pthread_barrier_t start;
	atomic_long errors[ERRORS];
} race;

static inline void give_up(const char *what)
{
	perror(what);
	exit(2);
}

static inline void race_begin(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s FOLDER [TRIES [ERRNO]]\n", argv[0]);
		exit(2);
	}
	race.folder = argv[1];
	race.tries = argc > 2 ? atol(argv[2]) : 10000;
	race.refusal = argc > 3 ? atoi(argv[3]) : 118;
	race.left = race.tries;
}

static inline int try_again(void)
{
	return atomic_fetch_sub(&race.left, 1) > 0;
}

static inline int is_running(void)
{
	return atomic_load(&race.left) > 0;
}

/* Of a call that failed. */
static inline void count_error(int error)
{
	if (error == race.refusal)
		race.refused++;
	else
		race.errors[error < ERRORS ? error : 0]++;
}

static inline void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set); /* where not allowed: anywhere */
}

/* Who swaps has the first CPU for itself, where there are two. */
static inline void race_thread(long number)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);

	pin(number && cpus > 1 ? 1 + number % (cpus - 1) : 0);
	pthread_barrier_wait(&race.start);
}

/* After each swap a pause of another length, so that no phase of a call is spared. */
static inline void pause_shortly(int spins_max)
{
	static unsigned int random = 2463534242;

	random ^= random << 13;
	random ^= random >> 17;
	random ^= random << 5;
	for (volatile int i = random % spins_max; i > 0; i--)
		;
	race.swaps++;
}

static inline void swap_names(long number, char *first, int spins_max)
{
	race_thread(number);
	while (is_running()) {
		__atomic_store_n(first, FORBIDDEN[0], __ATOMIC_RELAXED);
		pause_shortly(spins_max);
		__atomic_store_n(first, ALLOWED[0], __ATOMIC_RELAXED);
		pause_shortly(spins_max);
	}
}

/* Without a swapper all four attack. Each thread begins with race_thread. */
static inline void run_threads(void *(*swap)(void *), void *(*attack)(void *))
{
	pthread_t threads[THREADS];

	pthread_barrier_init(&race.start, NULL, THREADS);
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, !i && swap ? swap : attack, (void *)i))
			give_up("pthread_create");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* `more` is JSON that starts with a comma, or empty. */
static inline int race_end(long got_through, const char *more)
{
	const char *comma = "";

	printf("{\"tries\":%ld,\"refused\":%ld,\"got_through\":%ld,\"other_errors\":{", race.tries,
	       atomic_load(&race.refused), got_through);
	for (int i = 0; i < ERRORS; i++)
		if (race.errors[i]) {
			printf("%s\"%d\":%ld", comma, i, atomic_load(&race.errors[i]));
			comma = ",";
		}
	printf("},\"swaps\":%ld%s}\n", atomic_load(&race.swaps), more);
	return got_through ? 1 : race.refused ? 0 : 2;
}

/* ---- files ---- */

static inline int make_file(const char *name, int mode)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", race.folder, name);
	fd = open(path, O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, mode);
	if (fd < 0)
		give_up(path);
	return fd;
}

static inline long size_of(int fd)
{
	struct stat found;

	return fstat(fd, &found) ? 0 : found.st_size;
}

static inline ino_t inode_of(int fd)
{
	struct stat found;

	return fstat(fd, &found) ? 0 : found.st_ino;
}

#endif /* RACE_H */
