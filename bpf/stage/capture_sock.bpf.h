/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets, packets and socket addresses. See capture_text.bpf.h for the functions.
 */
#ifndef TPY_CAPTURE_SOCK_BPF_H
#define TPY_CAPTURE_SOCK_BPF_H

#include "capture_room.bpf.h"
#include "lib/errno.bpf.h"
#include "lib/sock.bpf.h"

#define UNIX_PATH_MAX 108 /* include/uapi/linux/un.h */
#define ADDRESS_SIZE_UNKNOWN (~0ULL)

__noinline int capture_sock(__u32 at, __u64 value, __u32 form)
{
	struct hit *hit = hit_get();
	struct sock *sock = (void *)value;
	struct argument_sock *out;

	if (!hit)
		return -EFAULT;
	out = payload_at(hit, at);
	__builtin_memset(out, 0, sizeof(*out));
	if (form == FORM_SOCKET)
		sock = BPF_CORE_READ((struct socket *)value, sk);
	return read_sock(sock, out) ? -EFAULT : (int)sizeof(*out);
}

__noinline int capture_skb(__u32 at, __u64 value)
{
	struct hit *hit = hit_get();
	struct argument_sock *out;

	if (!hit)
		return -EFAULT;
	out = payload_at(hit, at);
	__builtin_memset(out, 0, sizeof(*out));
	return read_skb((void *)value, out) ? -EFAULT : (int)sizeof(*out);
}

/* The beginnings of struct sockaddr_in and struct sockaddr_in6. */
struct socket_address {
	__u16 family;
	__be16 port;
	__u8 v4[4]; /* of IPv6: the flow label */
	__u8 v6[16];
};
_Static_assert(sizeof(struct socket_address) == 24, "sockaddr_in6 without its last member");

/* The family of an address, and for IP its address and port as those of the source. */
__noinline int capture_sockaddr(__u32 at, __u64 address, __u32 is_user)
{
	struct hit *hit = hit_get();
	struct socket_address found = {};
	struct argument_sock *out;
	__u64 size = sizeof(found.family);

	if (!hit)
		return -EFAULT;
	out = payload_at(hit, at);
	__builtin_memset(out, 0, sizeof(*out));
	if (READ_MEMORY(&found.family, sizeof(found.family), address, is_user))
		return -EFAULT;
	out->family = found.family;
	if (found.family == AF_INET)
		size = offsetof(struct socket_address, v6);
	else if (found.family == AF_INET6)
		size = sizeof(found);
	else
		return sizeof(*out);
	if (READ_MEMORY(&found, size, address, is_user))
		return -EFAULT;
	out->source_port = bpf_ntohs(found.port);
	if (found.family == AF_INET)
		__builtin_memcpy(out->source_address, found.v4, sizeof(found.v4));
	else
		__builtin_memcpy(out->source_address, found.v6, sizeof(found.v6));
	return sizeof(*out);
}

/*
 * The name of a struct sockaddr_un of "size" bytes. An abstract name begins with a NUL and may have
 * more of them: only its size says where it ends; without that it ends at the next NUL.
 */
__noinline int capture_sockaddr_un(__u32 at, __u64 address, __u64 size, __u32 is_user)
{
	struct hit *hit = hit_get();
	struct argument_sock *out;
	__u64 room = UNIX_PATH_MAX;
	long length;
	char *text;

	if (!hit)
		return -EFAULT;
	out = payload_at(hit, at);
	text = (char *)(out + 1);
	__builtin_memset(out, 0, sizeof(*out));
	if (READ_MEMORY(&out->family, sizeof(out->family), address, is_user))
		return -EFAULT;
	address += sizeof(out->family);
	if (size != ADDRESS_SIZE_UNKNOWN)
		room = size < sizeof(out->family) ? 0 : size - sizeof(out->family);
	room = CLAMP_SIZE(room, UNIX_PATH_MAX);
	if (out->family != AF_UNIX || !room)
		return sizeof(*out);
	length = read_string(text, room + 1, address, is_user);
	if (length > 0)
		return sizeof(*out) + length;
	if (!length && size == ADDRESS_SIZE_UNKNOWN) {
		text[0] = 0;
		length = read_string(text + 1, UNIX_PATH_MAX, address + 1, is_user);
		if (length >= 0)
			return sizeof(*out) + 1 + length;
	} else if (!length && !READ_MEMORY(text, room, address, is_user)) {
		return sizeof(*out) + room;
	}
	return -EFAULT;
}

#endif
