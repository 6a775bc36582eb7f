// SPDX-License-Identifier: Apache-2.0
/*
 * attempt_flood SECONDS [CALL [PATH]]: one process per CPU, pinned, makes a call that can be refused
 * as fast as it can: setpriority (which changes nothing), or getpgid, kill (signal 0 to itself),
 * openat (of PATH, for reading). Prints per process how many calls were made, and how many of them
 * failed by errno, so that events and repeat counts can be compared with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CPUS_MAX 64
#define ERRORS 256
#define ROUND 256 /* calls between two looks at the clock */

struct counts {
	int pid;
	long calls, errors[ERRORS];
};

static long do_setpriority(const char *path)
{
	(void)path;
	return syscall(SYS_setpriority, PRIO_PROCESS, 0, 0);
}

static long do_getpgid(const char *path)
{
	(void)path;
	return syscall(SYS_getpgid, 0);
}

static long do_kill(const char *path)
{
	(void)path;
	return syscall(SYS_kill, getpid(), 0);
}

static long do_openat(const char *path)
{
	long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);

	return fd < 0 ? fd : syscall(SYS_close, (int)fd);
}

static const struct {
	const char *name;
	long (*make)(const char *path);
} known[] = { { "setpriority", do_setpriority },
	      { "getpgid", do_getpgid },
	      { "kill", do_kill },
	      { "openat", do_openat } };

static void flood(struct counts *counts, int cpu, double seconds, int call, const char *path)
{
	struct timespec start, now;
	cpu_set_t set;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	counts->pid = getpid();
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (int i = 0; i < ROUND; i++, counts->calls++)
			if (known[call].make(path) < 0)
				counts->errors[errno % ERRORS]++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
}

static void tell(const struct counts *counts, int cpu)
{
	const char *comma = "";

	printf("%s{\"pid\":%d,\"cpu\":%d,\"calls\":%ld,\"errors\":{", cpu ? "," : "", counts->pid,
	       cpu, counts->calls);
	for (int i = 0; i < ERRORS; i++)
		if (counts->errors[i]) {
			printf("%s\"%d\":%ld", comma, i, counts->errors[i]);
			comma = ",";
		}
	printf("}}");
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 0;
	const char *name = argc > 2 ? argv[2] : "setpriority", *path = argc > 3 ? argv[3] : "";
	int call = 0, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct counts *counts = mmap(NULL, CPUS_MAX * sizeof(*counts), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	while (call < 4 && strcmp(known[call].name, name))
		call++;
	if (seconds <= 0 || call == 4 || counts == MAP_FAILED)
		return 2;
	cpus = cpus < CPUS_MAX ? cpus : CPUS_MAX;
	for (int i = 0; i < cpus; i++)
		if (!fork()) {
			flood(counts + i, i, seconds, call, path);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	printf("{\"call\":\"%s\",\"processes\":[", name);
	for (int i = 0; i < cpus; i++)
		tell(counts + i, i);
	return puts("]}") < 0;
}
