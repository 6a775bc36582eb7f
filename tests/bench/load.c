/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workload.
 *
 *   load exec PROGRAM COUNT [RATE]   vfork and exec PROGRAM, one after the other, RATE per second;
 *                                    0 or nothing: as fast as it goes
 *   load idle COUNT                  COUNT processes that do nothing until standard input ends
 *
 * Prints one JSON line: how many failed, wall time, CPU of itself and its children (user and
 * system) in all and per process.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC 1000000000LL
#define USAGE 2 /* exit status */

static long long now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * NSEC_PER_SEC + time.tv_nsec;
}

static double usage_us(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static double cpu_us(void)
{
	return usage_us(RUSAGE_SELF) + usage_us(RUSAGE_CHILDREN);
}

static void sleep_until(long long due_ns)
{
	struct timespec due = { due_ns / NSEC_PER_SEC, due_ns % NSEC_PER_SEC };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

/* Returns 0 if it ran and exited with 0. */
static int run_once(char *program)
{
	char *const arguments[] = { program, "first-argument", "second-argument", NULL };
	int status = -1;
	pid_t pid = vfork();

	if (!pid) {
		execve(program, arguments, environ);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

static int storm(char *program, long count, double rate)
{
	long long start = now_ns(), wall;
	double cpu = cpu_us();
	long i, failures = 0;

	for (i = 0; i < count; i++) {
		if (rate > 0)
			sleep_until(start + (long long)(i / rate * NSEC_PER_SEC));
		if (run_once(program))
			failures++;
	}
	wall = now_ns() - start;
	cpu = cpu_us() - cpu;
	printf("{\"count\":%ld,\"rate\":%g,\"failures\":%ld,\"wall_seconds\":%.6f,\"cpu_us\":%.0f,"
	       "\"cpu_us_per_process\":%.3f,\"wall_us_per_process\":%.3f}\n",
	       count, rate, failures, (double)wall / NSEC_PER_SEC, cpu, cpu / count,
	       wall / 1e3 / count);
	return failures != 0;
}

static int idle(long count)
{
	char byte;
	long i;

	for (i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
	}
	printf("{\"count\":%ld,\"failures\":%ld}\n", count, count - i);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return i != count;
}

int main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "exec") && atol(argv[3]) > 0)
		return storm(argv[2], atol(argv[3]), argc > 4 ? atof(argv[4]) : 0);
	if (argc == 3 && !strcmp(argv[1], "idle"))
		return idle(atol(argv[2]));
	fprintf(stderr, "usage: load exec PROGRAM COUNT [RATE] | load idle COUNT\n");
	return USAGE;
}
