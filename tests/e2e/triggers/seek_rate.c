// SPDX-License-Identifier: Apache-2.0
// seek_rate FD RATE: calls lseek(FD, 0), lseek(FD, 1), ..., RATE a second (0: as many as can), until
// the input ends. Tells how many calls it made.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BURST 50

int main(int argc, char **argv)
{
	int fd = argc > 1 ? atoi(argv[1]) : -77, rate = argc > 2 ? atoi(argv[2]) : 0;
	struct timespec pause = { 0, rate ? 1000000000L / rate * BURST : 0 };
	long calls = 0;
	char byte;

	fcntl(0, F_SETFL, O_NONBLOCK);
	while (read(0, &byte, 1) != 0) {
		for (int i = 0; i < BURST; i++)
			lseek(fd, calls++, SEEK_SET);
		if (rate)
			nanosleep(&pause, NULL);
	}
	return printf("{\"pid\":%d,\"calls\":%ld}\n", getpid(), calls) < 0;
}
