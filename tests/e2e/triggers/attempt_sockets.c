// SPDX-License-Identifier: Apache-2.0
// attempt_sockets ROW FOLDER: the network, in a namespace of its own: see attempt.h.
#include "attempt.h"
#include "own_network.h"
#include <poll.h>

static const int one = 1;

/* ---- what rows need: fds[0] is who attempts, fds[1] the other side ---- */

static void make_network(struct stage *s)
{
	need(s, own_network(), "network");
}

static void make_client(struct stage *s, int type)
{
	make_network(s);
	s->fds[0] = need(s, socket(AF_INET, type, 0), "socket");
}

static void make_socket(struct stage *s)
{
	make_client(s, SOCK_STREAM);
}

static void make_bound(struct stage *s)
{
	struct sockaddr_in address = at_port(PORT_FORBIDDEN);

	make_socket(s);
	need(s, bind(s->fds[0], (void *)&address, sizeof(address)), "bind");
}

static void make_server(struct stage *s)
{
	make_socket(s);
	s->fds[1] = need(s, serve(SOCK_STREAM, PORT_FORBIDDEN), "server");
}

static void join(struct stage *s)
{
	struct sockaddr_in address = at_port(PORT_FORBIDDEN);

	need(s, connect(s->fds[0], (void *)&address, sizeof(address)), "connect");
}

static void make_connected(struct stage *s)
{
	make_server(s);
	join(s);
}

static void make_accepted(struct stage *s)
{
	int server;

	make_connected(s);
	server = s->fds[1];
	s->fds[1] = need(s, syscall(SYS_accept4, server, NULL, NULL, SOCK_NONBLOCK), "accept");
}

static void make_packets(struct stage *s)
{
	make_client(s, SOCK_DGRAM);
	s->fds[1] = need(s, serve(SOCK_DGRAM, PORT_FORBIDDEN), "server");
}

/* By a call that is no row of here. */
static void make_packet(struct stage *s)
{
	struct iovec part = { SECRET, TEXT_SIZE };

	make_packets(s);
	join(s);
	need(s, syscall(SYS_writev, s->fds[0], &part, 1L), "packet");
}

/* Loopback may deliver a little later; what was refused gets less time to arrive. */
static void await(struct stage *s)
{
	struct pollfd waiting = { .fd = s->fds[1], .events = POLLIN };

	poll(&waiting, 1, s->result >= 0 ? 1000 : 50);
}

/* ---- rows ---- */

static void do_connect(struct stage *s)
{
	struct sockaddr_in address = at_port(PORT_FORBIDDEN);

	TRY(connect, s->fds[0], &address, sizeof(address));
}

static int is_connected(struct stage *s)
{
	await(s);
	return syscall(SYS_accept4, s->fds[1], NULL, NULL, 0) >= 0;
}

static void do_bind(struct stage *s)
{
	struct sockaddr_in address = at_port(PORT_FORBIDDEN);

	TRY(bind, s->fds[0], &address, sizeof(address));
}

static int is_bound(struct stage *s)
{
	struct sockaddr_in found = { 0 };
	unsigned int size = sizeof(found);

	syscall(SYS_getsockname, s->fds[0], &found, &size);
	return ntohs(found.sin_port) == PORT_FORBIDDEN;
}

static void do_listen(struct stage *s)
{
	TRY(listen, s->fds[0], 1);
}

static int has_option(struct stage *s, int option)
{
	int value = 0;
	unsigned int size = sizeof(value);

	syscall(SYS_getsockopt, s->fds[0], SOL_SOCKET, option, &value, &size);
	return value == 1;
}

static int is_listening(struct stage *s)
{
	return has_option(s, SO_ACCEPTCONN);
}

static void accepted(struct stage *s, long fd)
{
	struct sockaddr_in found = { 0 };
	unsigned int size = sizeof(found);

	if (fd >= 0)
		syscall(SYS_getsockname, (int)fd, &found, &size);
	s->effect = ntohs(found.sin_port) == PORT_FORBIDDEN;
}

static void do_accept(struct stage *s)
{
	accepted(s, TRY(accept, s->fds[1], NULL, NULL));
}

static void do_accept4(struct stage *s)
{
	accepted(s, TRY(accept4, s->fds[1], NULL, NULL, 0));
}

static void do_sendto(struct stage *s)
{
	struct sockaddr_in address = at_port(PORT_FORBIDDEN);

	TRY(sendto, s->fds[0], MARKED, (long)TEXT_SIZE, 0L, &address, (long)sizeof(address));
}

static struct msghdr message(struct iovec *part, struct sockaddr_in *address)
{
	struct msghdr made = { .msg_iov = part, .msg_iovlen = 1 };

	if (address) {
		made.msg_name = address;
		made.msg_namelen = sizeof(*address);
	}
	return made;
}

static void do_sendmsg(struct stage *s)
{
	struct sockaddr_in address = at_port(PORT_FORBIDDEN);
	struct iovec part = { MARKED, TEXT_SIZE };
	struct msghdr sent = message(&part, &address);

	TRY(sendmsg, s->fds[0], &sent, 0);
}

static int has_arrived(struct stage *s)
{
	struct iovec part = { s->text, TEXT_SIZE };

	await(s);
	return syscall(SYS_readv, s->fds[1], &part, 1L) == TEXT_SIZE &&
	       !memcmp(s->text, MARKED, TEXT_SIZE);
}

static void do_recvfrom(struct stage *s)
{
	TRY(recvfrom, s->fds[1], s->text, (long)TEXT_SIZE, 0L, NULL, NULL);
	s->effect = is_secret(s->text);
}

static void do_sendmmsg(struct stage *s)
{
	struct sockaddr_in address = at_port(PORT_FORBIDDEN);
	struct iovec part = { MARKED, TEXT_SIZE };
	struct mmsghdr sent = { message(&part, &address), 0 };

	TRY(sendmmsg, s->fds[0], &sent, 1, 0);
}

static void do_recvmmsg(struct stage *s)
{
	struct iovec part = { s->text, TEXT_SIZE };
	struct mmsghdr got = { message(&part, NULL), 0 };
	TRY(recvmmsg, s->fds[1], &got, 1, 0, NULL);
	s->effect = is_secret(s->text);
}

static void do_recvmsg(struct stage *s)
{
	struct iovec part = { s->text, TEXT_SIZE };
	struct msghdr got = message(&part, NULL);
	TRY(recvmsg, s->fds[1], &got, 0);
	s->effect = is_secret(s->text);
}

static void do_socket(struct stage *s)
{
	struct statx found = { 0 };
	long fd = TRY(socket, AF_INET, SOCK_STREAM, 0);

	if (fd >= 0)
		syscall(SYS_statx, (int)fd, "", AT_EMPTY_PATH, STATX_TYPE, &found);
	s->effect = S_ISSOCK(found.stx_mode);
}

static void do_socketpair(struct stage *s)
{
	struct iovec in = { SECRET, TEXT_SIZE }, out = { s->text, TEXT_SIZE };
	int ends[2] = { -1, -1 };
	TRY(socketpair, AF_UNIX, SOCK_STREAM, 0, ends);

	syscall(SYS_writev, ends[0], &in, 1L);
	syscall(SYS_readv, ends[1], &out, 1L);
	s->effect = is_secret(s->text);
}

static void do_setsockopt(struct stage *s)
{
	TRY(setsockopt, s->fds[0], SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}

static int is_kept_alive(struct stage *s)
{
	return has_option(s, SO_KEEPALIVE);
}

static void do_getsockopt(struct stage *s)
{
	int value = 0;
	unsigned int size = sizeof(value);
	TRY(getsockopt, s->fds[0], SOL_SOCKET, SO_PROTOCOL, &value, &size);
	s->effect = value == IPPROTO_TCP;
}

static void do_shutdown(struct stage *s)
{
	TRY(shutdown, s->fds[0], SHUT_RDWR);
}

static int is_shut(struct stage *s)
{
	struct iovec part = { s->text, TEXT_SIZE };

	await(s);
	return syscall(SYS_readv, s->fds[1], &part, 1L) == 0;
}

static void do_getsockname(struct stage *s)
{
	struct sockaddr_in found = { 0 };
	unsigned int size = sizeof(found);
	TRY(getsockname, s->fds[0], &found, &size);
	s->effect = ntohs(found.sin_port) == PORT_FORBIDDEN;
}

static void do_getpeername(struct stage *s)
{
	struct sockaddr_in found = { 0 };
	unsigned int size = sizeof(found);
	TRY(getpeername, s->fds[0], &found, &size);
	s->effect = ntohs(found.sin_port) == PORT_FORBIDDEN;
}

static const struct row rows[] = {
	{ "connect", SYS_connect, make_server, do_connect, is_connected, 0 },
	{ "bind", SYS_bind, make_socket, do_bind, is_bound, 0 },
	{ "listen", SYS_listen, make_bound, do_listen, is_listening, 0 },
	{ "accept", SYS_accept, make_connected, do_accept, NULL, 0 },
	{ "accept4", SYS_accept4, make_connected, do_accept4, NULL, 0 },
	{ "sendto", SYS_sendto, make_packets, do_sendto, has_arrived, 0 },
	{ "sendmsg", SYS_sendmsg, make_packets, do_sendmsg, has_arrived, 0 },
	{ "sendmmsg", SYS_sendmmsg, make_packets, do_sendmmsg, has_arrived, 0 },
	{ "recvmmsg", SYS_recvmmsg, make_packet, do_recvmmsg, NULL, 0 },
	{ "recvfrom", SYS_recvfrom, make_packet, do_recvfrom, NULL, 0 },
	{ "recvmsg", SYS_recvmsg, make_packet, do_recvmsg, NULL, 0 },
	{ "socket", SYS_socket, NULL, do_socket, NULL, 0 },
	{ "socketpair", SYS_socketpair, NULL, do_socketpair, NULL, 0 },
	{ "setsockopt", SYS_setsockopt, make_socket, do_setsockopt, is_kept_alive, 0 },
	{ "getsockopt", SYS_getsockopt, make_socket, do_getsockopt, NULL, 0 },
	{ "shutdown", SYS_shutdown, make_accepted, do_shutdown, is_shut, 0 },
	{ "getsockname", SYS_getsockname, make_bound, do_getsockname, NULL, 0 },
	{ "getpeername", SYS_getpeername, make_connected, do_getpeername, NULL, 0 },
	{ 0 },
};

int main(int argc, char **argv)
{
	return attempt_main(rows, argc, argv);
}
