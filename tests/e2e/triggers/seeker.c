// SPDX-License-Identifier: Apache-2.0
/*
 * seeker N: N children that only live, and one that calls lseek(-5) each millisecond, until
 * standard input ends.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t child(void)
{
	pid_t pid = fork();

	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

int main(int argc, char **argv)
{
	int i, count = argc > 1 ? atoi(argv[1]) : 0;
	char byte;

	for (i = 0; i < count; i++)
		if (!child())
			for (;;)
				pause();
	if (!child())
		for (;;) {
			lseek(-5, 0, SEEK_SET);
			usleep(1000);
		}
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	kill(0, SIGKILL);
	return 0;
}
