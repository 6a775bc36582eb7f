/* SPDX-License-Identifier: Apache-2.0 */
/* A network namespace of the process' own, with a loopback that works and all ports free. */
#ifndef OWN_NETWORK_H
#define OWN_NETWORK_H

#include <arpa/inet.h>
#include <linux/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT_ALLOWED 4117
#define PORT_FORBIDDEN 4118

static inline int own_network(void)
{
	struct ifreq up = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, result;

	if (unshare(CLONE_NEWNET))
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		return -1;
	result = ioctl(fd, SIOCSIFFLAGS, &up);
	close(fd);
	return result;
}

static inline struct sockaddr_in at_port(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

/* A socket on the port; one for streams listens. */
static inline int serve(int type, int port)
{
	struct sockaddr_in address = at_port(port);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return -1;
	if (type == SOCK_STREAM && listen(fd, 4096))
		return -1;
	return fd;
}

#endif /* OWN_NETWORK_H */
