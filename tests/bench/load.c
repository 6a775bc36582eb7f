/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workload.
 *
 *   load exec PROGRAM COUNT [RATE]   vfork and exec PROGRAM, one after the other
 *   load seek COUNT [RATE]           lseek(-1, 0 .. COUNT - 1, 4444)
 *   load open PATH COUNT [RATE]      openat() of PATH, which must not exist, with mode 5; a "####" in
 *                                    PATH becomes 0000 .. 0999, another one in each call
 *   load getppid COUNT [RATE]        getppid()
 *   load idle COUNT                  COUNT processes that do nothing until standard input ends
 *
 * RATE is per second; 0 or nothing: as fast as it goes. Prints one JSON line: how many failed, wall
 * time, CPU of itself and its children (user and system) in all and per operation.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC 1000000000LL
#define NAP_NSEC 1000000LL /* calls are too fast for a sleep before each */
#define USAGE 2		   /* exit status */
#define WHENCE 4444	   /* that no other program asks for */
#define MODE 5
#define DIGITS "####"
#define PATHS 1000 /* different ones */

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

static void tell(long count, double rate, long failures, long long wall, double cpu)
{
	printf("{\"count\":%ld,\"rate\":%g,\"failures\":%ld,\"wall_seconds\":%.6f,\"cpu_us\":%.0f,"
	       "\"cpu_us_each\":%.4f,\"wall_us_each\":%.4f}\n",
	       count, rate, failures, (double)wall / NSEC_PER_SEC, cpu, cpu / count,
	       wall / 1e3 / count);
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
	tell(count, rate, failures, wall, cpu_us() - cpu);
	return failures != 0;
}

/* ---- system calls ---- */

static char *path, *digits;

static int seek_once(long number)
{
	return syscall(SYS_lseek, -1, number, WHENCE) != -1;
}

static int open_once(long number)
{
	int i;

	number %= PATHS;
	for (i = (int)strlen(DIGITS) - 1; digits && i >= 0; i--) {
		digits[i] = (char)('0' + number % 10);
		number /= 10;
	}
	return syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, MODE) != -1;
}

static int getppid_once(long number)
{
	(void)number;
	return syscall(SYS_getppid) < 0;
}

static int calls(int (*call)(long number), long count, double rate)
{
	long long start = now_ns(), wall;
	double cpu = cpu_us();
	long i, failures = 0;

	for (i = 0; i < count; i++) {
		if (rate > 0) {
			long long due = start + (long long)(i / rate * NSEC_PER_SEC);

			if (due - now_ns() > NAP_NSEC)
				sleep_until(due);
		}
		failures += call(i);
	}
	wall = now_ns() - start;
	tell(count, rate, failures, wall, cpu_us() - cpu);
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

/* The number in argument "at": 0 if there is none. */
static double number_at(int argc, char **argv, int at)
{
	return argc > at ? atof(argv[at]) : 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	int takes_name = !strcmp(what, "exec") || !strcmp(what, "open");
	long count = (long)number_at(argc, argv, 2 + takes_name);
	double rate = number_at(argc, argv, 3 + takes_name);

	if (count > 0 && !strcmp(what, "exec"))
		return storm(argv[2], count, rate);
	if (count > 0 && !strcmp(what, "open")) {
		path = argv[2];
		digits = strstr(path, DIGITS);
		return calls(open_once, count, rate);
	}
	if (count > 0 && !strcmp(what, "seek"))
		return calls(seek_once, count, rate);
	if (count > 0 && !strcmp(what, "getppid"))
		return calls(getppid_once, count, rate);
	if (argc == 3 && !strcmp(what, "idle"))
		return idle(count);
	fprintf(stderr,
		"usage: load exec PROGRAM COUNT [RATE] | load open PATH COUNT [RATE] |\n"
		"       load seek COUNT [RATE] | load getppid COUNT [RATE] | load idle COUNT\n");
	return USAGE;
}
