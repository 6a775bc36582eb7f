// SPDX-License-Identifier: Apache-2.0
/*
 * race_connect: three threads connect to an address whose port one thread swaps between an allowed
 * and a forbidden one, in a network namespace of its own. What got through is what the server of
 * the forbidden port has accepted. See race.h.
 */
#include "race.h"
#include "own_network.h"
#include <poll.h>

static struct sockaddr_in address;
static int servers[2]; /* allowed, forbidden */
static atomic_long accepted[2];

static void *swap(void *number)
{
	race_thread((long)number);
	while (is_running()) {
		__atomic_store_n(&address.sin_port, htons(PORT_FORBIDDEN), __ATOMIC_RELAXED);
		pause_shortly(2000);
		__atomic_store_n(&address.sin_port, htons(PORT_ALLOWED), __ATOMIC_RELAXED);
		pause_shortly(2000);
	}
	return NULL;
}

static void *attack(void *number)
{
	struct linger at_once = { 1, 0 }; /* or ports would wait for minutes */

	race_thread((long)number);
	while (try_again()) {
		int fd = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

		if (fd < 0) {
			count_error(errno);
			continue;
		}
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		if (syscall(SYS_connect, fd, &address, sizeof(address)))
			count_error(errno);
		close(fd);
	}
	return NULL;
}

/* Until the attackers are gone and nothing has come for a while. */
static void *count(void *which)
{
	struct pollfd waiting = { .fd = servers[(long)which], .events = POLLIN };
	int fd;

	while (poll(&waiting, 1, 200) || is_running()) {
		fd = accept4(waiting.fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0) {
			accepted[(long)which]++;
			close(fd);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t counters[2];
	char more[64];

	race_begin(argc, argv);
	if (own_network())
		give_up("network");
	address = at_port(PORT_ALLOWED);
	servers[0] = serve(SOCK_STREAM, PORT_ALLOWED);
	servers[1] = serve(SOCK_STREAM, PORT_FORBIDDEN);
	if (servers[0] < 0 || servers[1] < 0)
		give_up("server");
	for (long i = 0; i < 2; i++)
		if (pthread_create(&counters[i], NULL, count, (void *)i))
			give_up("pthread_create");
	run_threads(swap, attack);
	for (int i = 0; i < 2; i++)
		pthread_join(counters[i], NULL);
	snprintf(more, sizeof(more), ",\"allowed\":%ld", atomic_load(&accepted[0]));
	return race_end(accepted[1], more);
}
