/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets, packets and addresses as one struct argument_sock. Numbers come out in host order,
 * addresses as they are on the wire.
 *
 * Addresses of structs need not be valid: the functions return 0, or not 0 if something could not be
 * read. "out" has to be zero before.
 */
#ifndef TPY_SOCK_BPF_H
#define TPY_SOCK_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "abi/hook.h"
#include "lib/compat.bpf.h"

#define AF_UNIX 1 /* include/linux/socket.h */
#define AF_INET 2
#define AF_INET6 10

#define IPPROTO_HOPOPTS 0 /* include/uapi/linux/in.h, in6.h */
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_DCCP 33
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_AH 51
#define IPPROTO_DSTOPTS 60
#define IPPROTO_SCTP 132
#define IPPROTO_UDPLITE 136

/* include/net/tcp_states.h: a socket in these is a smaller struct that begins like a sock */
#define TCP_TIME_WAIT 6
#define TCP_NEW_SYN_RECV 12

static __always_inline long read_sock(const struct sock *sock, struct argument_sock *out)
{
	const struct sock_common *common = &sock->__sk_common;
	__u8 state = 0;
	__u16 port = 0;
	long error;

	error = bpf_core_read(&out->family, sizeof(out->family), &common->skc_family);
	error |= bpf_core_read(&state, sizeof(state), &common->skc_state);
	error |= bpf_core_read(&out->cookie, sizeof(out->cookie), &common->skc_cookie);
	out->state = state;
	if (state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV) {
		error |= bpf_core_read(&out->protocol, sizeof(out->protocol), &sock->sk_protocol);
		error |= bpf_core_read(&out->type, sizeof(out->type), &sock->sk_type);
		error |= bpf_core_read(&out->mark, sizeof(out->mark), &sock->sk_mark);
		error |= bpf_core_read(&out->priority, sizeof(out->priority), &sock->sk_priority);
	}
	if (out->family == AF_INET) {
		error |= bpf_core_read(out->source_address, sizeof(__be32), &common->skc_rcv_saddr);
		error |= bpf_core_read(out->destination_address, sizeof(__be32),
				       &common->skc_daddr);
	} else if (out->family == AF_INET6 && bpf_core_field_exists(common->skc_v6_daddr)) {
		error |= bpf_core_read(out->source_address, sizeof(out->source_address),
				       &common->skc_v6_rcv_saddr);
		error |= bpf_core_read(out->destination_address, sizeof(out->destination_address),
				       &common->skc_v6_daddr);
	} else {
		return error;
	}
	error |= bpf_core_read(&out->source_port, sizeof(out->source_port), &common->skc_num);
	error |= bpf_core_read(&port, sizeof(port), &common->skc_dport);
	out->destination_port = bpf_ntohs(port);
	return error;
}

/* The headers of IPv4 and IPv6, as far as they are read. */
struct packet_start {
	union {
		__u8 version; /* << 4 | length of the IPv4 header / 4 */
		struct {
			__u8 unused[6];
			__be16 fragment; /* flags, and 13 bits of the offset */
			__u8 unused2;
			__u8 protocol;
			__u8 unused3[2];
			__u8 source[4];
			__u8 destination[4];
		} v4;
		struct {
			__u8 unused[6];
			__u8 protocol;
			__u8 unused2;
			__u8 source[16];
			__u8 destination[16];
		} v6;
	};
};
_Static_assert(sizeof(struct packet_start) == 40, "IPv6 header");

#define FRAGMENT_OFFSET 0x1fff
#define IPV6_EXTENSIONS_MAX 4 /* headers between those of IPv6 and of the transport */

#define IPV6_EXTENSIONS                                                                            \
	(1ULL << IPPROTO_HOPOPTS | 1ULL << IPPROTO_ROUTING | 1ULL << IPPROTO_FRAGMENT |            \
	 1ULL << IPPROTO_AH | 1ULL << IPPROTO_DSTOPTS)

/* Where in a packet its transport header is. */
struct transport {
	__u32 offset; /* from the head of the skb */
	__u32 protocol;
	bool is_fragment; /* and not the first one: there is no header */
};

/* Step over one extension header. Returns whether there was one. */
static __always_inline bool skip_extension(const void *head, struct transport *transport)
{
	struct {
		__u8 next;
		__u8 length;
		__be16 fragment;
	} header = {};
	__u32 protocol = transport->protocol;

	if (protocol >= 64 || !(IPV6_EXTENSIONS >> protocol & 1))
		return false;
	if (bpf_probe_read_kernel(&header, sizeof(header), head + transport->offset))
		return false;
	transport->protocol = header.next;
	if (protocol == IPPROTO_FRAGMENT) {
		transport->offset += 8;
		transport->is_fragment |= (header.fragment & bpf_htons(0xfff8)) != 0;
	} else if (protocol == IPPROTO_AH) {
		transport->offset += (header.length + 2) * 4;
	} else {
		transport->offset += (header.length + 1) * 8;
	}
	return true;
}

/* Protocols whose header begins with two ports: a bit for each number. */
static const __u64 with_ports[4] = {
	1ULL << IPPROTO_TCP | 1ULL << IPPROTO_UDP | 1ULL << IPPROTO_DCCP,
	0,
	1ULL << (IPPROTO_SCTP - 128) | 1ULL << (IPPROTO_UDPLITE - 128),
	0,
};

static __always_inline bool has_ports(__u8 protocol)
{
	return with_ports[protocol / 64] >> protocol % 64 & 1;
}

/* What the headers of a packet say instead of its socket; nothing if it has no IP header yet. */
static __always_inline void read_headers(const struct sk_buff *skb, struct argument_sock *out)
{
	const void *head = BPF_CORE_READ(skb, head);
	__u32 linear = BPF_CORE_READ(skb, tail);
	__u16 network = BPF_CORE_READ(skb, network_header);
	struct transport transport = { .offset = network };
	struct packet_start packet;
	__be16 ports[2];
	int i;

	if (bpf_probe_read_kernel(&packet, sizeof(packet), head + network))
		return;
	if (packet.version >> 4 == 4) {
		out->family = AF_INET;
		transport.protocol = packet.v4.protocol;
		transport.offset += (packet.version & 0xf) * 4;
		transport.is_fragment = packet.v4.fragment & bpf_htons(FRAGMENT_OFFSET);
		__builtin_memset(out->source_address, 0, sizeof(out->source_address));
		__builtin_memset(out->destination_address, 0, sizeof(out->destination_address));
		__builtin_memcpy(out->source_address, packet.v4.source, 4);
		__builtin_memcpy(out->destination_address, packet.v4.destination, 4);
	} else if (packet.version >> 4 == 6) {
		out->family = AF_INET6;
		transport.protocol = packet.v6.protocol;
		transport.offset += sizeof(packet);
		__builtin_memcpy(out->source_address, packet.v6.source, 16);
		__builtin_memcpy(out->destination_address, packet.v6.destination, 16);
		for (i = 0; i < IPV6_EXTENSIONS_MAX; i++)
			if (!skip_extension(head, &transport))
				break;
	} else {
		return;
	}
	out->protocol = transport.protocol;
	out->source_port = 0;
	out->destination_port = 0;
	if (transport.is_fragment || !has_ports(transport.protocol) ||
	    transport.offset + sizeof(ports) > linear ||
	    bpf_probe_read_kernel(ports, sizeof(ports), head + transport.offset))
		return;
	out->source_port = bpf_ntohs(ports[0]);
	out->destination_port = bpf_ntohs(ports[1]);
}

static __always_inline long read_skb(const struct sk_buff *skb, struct argument_sock *out)
{
	struct sock *sock = 0;
	long error;

	error = bpf_core_read(&sock, sizeof(sock), &skb->sk);
	if (sock)
		error |= read_sock(sock, out);
	error |= bpf_core_read(&out->mark, sizeof(out->mark), &skb->mark);
	error |= bpf_core_read(&out->priority, sizeof(out->priority), &skb->priority);
	error |= bpf_core_read(&out->hash, sizeof(out->hash), &skb->hash);
	error |= bpf_core_read(&out->length, sizeof(out->length), &skb->len);
	read_security_path(skb, &out->security_path_length, &out->security_path_original_length);
	read_headers(skb, out);
	return error;
}

#endif
