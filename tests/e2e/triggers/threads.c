// SPDX-License-Identifier: Apache-2.0
// threads COUNT WIDTH: COUNT processes whose WIDTH threads all exit at once, each with a status of
// its own. Tells which one wait(2) saw: up to Linux 5.18 the first thread's, then the last one's.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_barrier_t barrier;

static void *leave(void *status)
{
	pthread_barrier_wait(&barrier);
	return (void *)syscall(SYS_exit, (long)status);
}

int main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[1]) : 0, width = argc > 2 ? atoi(argv[2]) : 0;
	int status, pid;
	pthread_t thread;

	printf("{\"pid\":%d,\"statuses\":{", getpid());
	for (int i = 0; i < count; i++) {
		fflush(stdout);
		if (!fork()) {
			pthread_barrier_init(&barrier, NULL, width);
			for (long j = 1; j < width; j++)
				pthread_create(&thread, NULL, leave, (void *)(40 + j));
			leave((void *)40);
		}
		pid = wait(&status);
		printf("%s\"%d\":%d", i ? "," : "", pid, WEXITSTATUS(status));
	}
	return puts("}}") < 0;
}
