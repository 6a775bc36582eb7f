// SPDX-License-Identifier: Apache-2.0
// storm COUNT WIDTH PROGRAM [RATE]: COUNT children execute PROGRAM with their number's last two
// digits; at most WIDTH live at once, and RATE a second begin (0: as many as can). Tells their
// process ids, the sum of their exit statuses, and the seconds that it took.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void sleep_until(double due)
{
	struct timespec time = { (time_t)due, (long)((due - (time_t)due) * 1e9) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

int main(int argc, char **argv)
{
	int count = argc > 3 ? atoi(argv[1]) : 0, width = argc > 3 ? atoi(argv[2]) : 0;
	double rate = argc > 4 ? atof(argv[4]) : 0, start = now();
	int born = 0, ended = 0, sum = 0, status, child;
	char number[16];

	printf("{\"pid\":%d,\"children\":[", getpid());
	while (ended < count) {
		if (born < count && born - ended < width) {
			if (rate > 0)
				sleep_until(start + born / rate);
			snprintf(number, sizeof(number), "%d", born % 100);
			child = fork();
			if (!child)
				_exit(execl(argv[3], argv[3], number, NULL));
			printf("%s%d", born++ ? "," : "", child);
		} else if (wait(&status) > 0) {
			ended++;
			sum += WEXITSTATUS(status);
		}
	}
	return printf("],\"sum\":%d,\"seconds\":%.3f}\n", sum, now() - start) < 0;
}
