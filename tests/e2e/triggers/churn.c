// SPDX-License-Identifier: Apache-2.0
// churn PROGRAM: children execute it one after the other until its input ends. Tells of each
// child its number and when it was about to be made (CLOCK_REALTIME, ns).
#include <poll.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct pollfd input = { .fd = 0 };
	struct timespec now;

	while (argc > 1 && !poll(&input, 1, 0)) {
		clock_gettime(CLOCK_REALTIME, &now);
		int child = fork();
		if (!child)
			_exit(execl(argv[1], argv[1], "churn", NULL));
		if (wait(NULL) != child)
			return 1;
		printf("[%d,%lld]\n", child, now.tv_sec * 1000000000LL + now.tv_nsec);
	}
	return 0;
}
