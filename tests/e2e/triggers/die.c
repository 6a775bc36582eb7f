// SPDX-License-Identifier: Apache-2.0
// die SIGNAL: ends by that signal, whatever its parent ignores.
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int number = argc > 1 ? atoi(argv[1]) : SIGKILL;

	signal(number, SIG_DFL);
	kill(getpid(), number);
	return 1;
}
