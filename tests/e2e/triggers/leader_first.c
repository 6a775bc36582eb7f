// SPDX-License-Identifier: Apache-2.0
// leader_first: the first thread ends, then another one ends the process with status 7.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *other(void *none)
{
	char text[256] = "";

	while (!strstr(text, ") Z")) { /* the first thread is a zombie */
		int fd = open("/proc/self/stat", O_RDONLY);
		if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
			exit(1);
		close(fd);
	}
	exit(7);
	return none;
}

int main(void)
{
	pthread_t thread;

	printf("{\"pid\":%d}\n", getpid());
	fflush(stdout);
	pthread_create(&thread, NULL, other, NULL);
	pthread_exit(NULL);
}
