// SPDX-License-Identifier: Apache-2.0
/*
 * net_doors DOOR ADDRESS: as a user without power, connect or send to port 80 of an IPv4 address
 * by one of the ways below. Exits with the errno.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ring.h"

#define COMPAT_CONNECT 362
#define USER 1000
#define PORT 80

static struct sockaddr_in address = { .sin_family = AF_INET };
static struct sockaddr_in6 mapped = { .sin6_family = AF_INET6 };
static struct iovec byte = { "x", 1 };
static struct msghdr message = {
	.msg_name = &address,
	.msg_namelen = sizeof(address),
	.msg_iov = &byte,
	.msg_iovlen = 1,
};

static int open_socket(int family, int type)
{
	return socket(family, type | SOCK_NONBLOCK, 0);
}

static int result(long value)
{
	return value < 0 ? errno : 0;
}

static int run_ring(int opcode, int fd, void *at, __u64 size)
{
	struct io_uring_sqe sqe = { .opcode = opcode, .fd = fd, .addr = (__u64)at, .off = size };
	int status = ring_do(&sqe);

	return status < 0 ? -status : 0;
}

/* A call of the 32-bit table, with a pointer that it can hold. */
static int connect_compat(int fd)
{
#ifdef __x86_64__
	void *low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
			 -1, 0);
	long number = COMPAT_CONNECT;

	memcpy(low, &address, sizeof(address));
	asm volatile("int $0x80"
		     : "+a"(number)
		     : "b"((long)fd), "c"(low), "d"(sizeof(address))
		     : "memory");
	return number < 0 ? -number : 0;
#else
	return ENOSYS;
#endif
}

static int pass(const char *door)
{
	int tcp = open_socket(AF_INET, SOCK_STREAM), udp = open_socket(AF_INET, SOCK_DGRAM);

	if (!strcmp(door, "connect"))
		return result(connect(tcp, (void *)&address, sizeof(address)));
	if (!strcmp(door, "connect-mapped"))
		return result(connect(open_socket(AF_INET6, SOCK_STREAM), (void *)&mapped,
				      sizeof(mapped)));
	if (!strcmp(door, "connect-32-bit"))
		return connect_compat(tcp);
	if (!strcmp(door, "connect-io_uring"))
		return run_ring(IORING_OP_CONNECT, tcp, &address, sizeof(address));
	if (!strcmp(door, "fastopen"))
		return result(sendto(tcp, "x", 1, MSG_FASTOPEN, (void *)&address, sizeof(address)));
	if (!strcmp(door, "sendto"))
		return result(sendto(udp, "x", 1, 0, (void *)&address, sizeof(address)));
	if (!strcmp(door, "sendmsg"))
		return result(sendmsg(udp, &message, 0));
	if (!strcmp(door, "sendmsg-io_uring"))
		return run_ring(IORING_OP_SENDMSG, udp, &message, 0);
	return EINVAL;
}

int main(int argc, char **argv)
{
	if (argc != 3 || setresuid(USER, USER, USER))
		return 2;
	address.sin_port = mapped.sin6_port = htons(PORT);
	inet_aton(argv[2], &address.sin_addr);
	memset(&mapped.sin6_addr.s6_addr[10], 0xff, 2);
	memcpy(&mapped.sin6_addr.s6_addr[12], &address.sin_addr, 4);
	return pass(argv[1]);
}
