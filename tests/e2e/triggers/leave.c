// SPDX-License-Identifier: Apache-2.0
// leave [STATUS]: exits at once. Tells nothing, because thousands of it run.
#include <stdlib.h>

int main(int argc, char **argv)
{
	return argc > 1 ? atoi(argv[1]) : 0;
}
