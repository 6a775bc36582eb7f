# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.check.interrupts: who must not be signalled."""

from __future__ import annotations

import pytest

from tests.unit.policy.texts import check_refused, said_of


def test_refused():
    """Each action that would hit whoever was interrupted, with its place and a hint."""
    check_refused("check-interrupts")


def said_in(hook, action):
    section = "lsmhooks" if "hook:" in hook else "kprobes"
    if "event:" in hook:
        section = "tracepoints"
    return said_of(
        f"{section}: [{{{hook}, selectors: [{{matchActions: [{action}]}}]}}]"
    )


@pytest.mark.parametrize(
    "hook",
    [
        "subsystem: irq, event: softirq_entry",
        "subsystem: irq_vectors, event: local_timer_entry",
        "subsystem: napi, event: napi_poll",
        "subsystem: timer, event: hrtimer_expire_entry",
        "subsystem: net, event: netif_rx_entry",
        "subsystem: tcp, event: tcp_probe",
        "subsystem: skb, event: kfree_skb, raw: true",
        "subsystem: sched, event: sched_wakeup",
        "call: ip_rcv, syscall: false",
        "call: ip_local_deliver_finish, syscall: false",
        "call: ip6_rcv_finish, syscall: false",
        "call: tcp_rcv_established, syscall: false",
        "call: udpv6_rcv, syscall: false",
        "call: __netif_receive_skb_core, syscall: false",
        "call: icmp_rcv, syscall: false",
        "call: security_sock_rcv_skb, syscall: false",
        "hook: inet_conn_request",
    ],
)
def test_hooks_in_interrupts(hook):
    """A signal is an error there, an event is none."""
    [line] = said_in(hook, "{action: Sigkill}")

    assert "it runs in interrupts, and the process that is there" in line
    assert said_in(hook, "{action: Post}") == []


@pytest.mark.parametrize(
    "hook",
    [
        "subsystem: raw_syscalls, event: sys_enter",
        "subsystem: sched, event: sched_process_exec",
        "subsystem: timer, event: itimer_state",
        "subsystem: skb, event: skb_copy_datagram_iovec",
        "call: sys_setuid",
        "call: tcp_connect, syscall: false",
        "call: tcp_sendmsg, syscall: false",
        "call: ip_output, syscall: false",
        "call: security_socket_connect, syscall: false",
        "hook: file_open",
    ],
)
def test_hooks_of_the_process(hook):
    """There the current process is the cause."""
    assert said_in(hook, "{action: Sigkill}") == []


def test_other_sections():
    """A user's function runs in its process."""
    actions = "selectors: [{matchActions: [{action: Sigkill}]}]"

    assert said_of(f"uprobes: [{{path: /x, symbols: [ip_rcv], {actions}}}]") == []
