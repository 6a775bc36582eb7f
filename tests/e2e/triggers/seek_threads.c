// SPDX-License-Identifier: Apache-2.0
// seek_threads COUNT: COUNT threads call lseek(-5) at full speed until the input ends. Says when
// they begin, and tells in the end how many calls each has made.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MAX 64

static int is_over;
static long calls[THREADS_MAX];

static void *seek(void *number)
{
	long done = 0;

	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		lseek(-5, 0, SEEK_SET);
		done++;
	}
	calls[(long)number] = done;
	return NULL;
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0, i;
	pthread_t threads[THREADS_MAX];
	char byte;

	if (count < 1 || count > THREADS_MAX)
		return 2;
	for (i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, seek, (void *)i))
			return 1;
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	printf("[");
	for (i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		printf("%s%ld", i ? "," : "", calls[i]);
	}
	return puts("]") < 0;
}
