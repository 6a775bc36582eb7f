// SPDX-License-Identifier: Apache-2.0
// seek_once: calls lseek(-5).
#include <unistd.h>

int main(void)
{
	lseek(-5, 0, SEEK_SET);
	return 0;
}
