// SPDX-License-Identifier: Apache-2.0
// thread_exec PROGRAM [...]: a thread that is not the first one executes the rest.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *run(void *argv)
{
	printf("{\"pid\":%d,\"tid\":%ld}\n", getpid(), syscall(SYS_gettid));
	fflush(stdout);
	execv(((char **)argv)[0], argv);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc < 2)
		return 1;
	pthread_create(&thread, NULL, run, argv + 1);
	pthread_join(thread, NULL);
	return 1;
}
