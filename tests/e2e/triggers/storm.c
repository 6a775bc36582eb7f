// SPDX-License-Identifier: Apache-2.0
// storm COUNT WIDTH PROGRAM: COUNT children execute PROGRAM with their number's last two digits;
// at most WIDTH live at once. Tells their process ids, and the sum of their exit statuses.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int count = argc > 3 ? atoi(argv[1]) : 0, width = argc > 3 ? atoi(argv[2]) : 0;
	int born = 0, ended = 0, sum = 0, status, child;
	char number[16];

	printf("{\"pid\":%d,\"children\":[", getpid());
	while (ended < count) {
		if (born < count && born - ended < width) {
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
	return printf("],\"sum\":%d}\n", sum) < 0;
}
