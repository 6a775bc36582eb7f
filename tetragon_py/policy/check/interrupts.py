# SPDX-License-Identifier: Apache-2.0
"""Hooks that run in interrupts, where the current process is whoever was there.

A packet that comes in, or a timer that expires, interrupts any process on that CPU: to
signal it would hit somebody who has nothing to do with it.
"""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING

from tetragon_py.policy.diagnostic import Finding, Path, error, quote
from tetragon_py.policy.model.actions import ActionKind
from tetragon_py.policy.model.hooks import KprobeHook, LsmHook, TracepointHook

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tetragon_py.policy.model.hooks import Hook
    from tetragon_py.policy.model.selectors import Selector

__all__ = ["check_interrupts"]

_TRACEPOINTS = """
    irq/* irq_vectors/* napi/* timer/hrtimer_* timer/timer_* timer/tick_stop
    timer/itimer_expire net/netif_receive_skb* net/netif_rx* net/napi_gro_*
    skb/kfree_skb skb/consume_skb tcp/tcp_probe tcp/tcp_receive_reset
    sched/sched_wakeup sched/sched_wakeup_new sched/sched_waking
"""
_FUNCTIONS = """
    __netif_receive_skb* netif_receive_skb* netif_rx* __netif_rx napi_gro_*
    napi_complete_done net_rx_action net_tx_action process_backlog
    ip_rcv ip_rcv_* ip_list_rcv ip_local_deliver* ip_forward ip_forward_finish
    ipv6_rcv ipv6_list_rcv ip6_rcv_* ip6_input* ip6_forward arp_rcv
    tcp_v4_rcv tcp_v6_rcv tcp_v4_do_rcv tcp_v6_do_rcv tcp_rcv_* tcp_conn_request
    tcp_v4_conn_request tcp_v6_conn_request tcp_v4_syn_recv_sock
    tcp_v6_syn_recv_sock tcp_ack tcp_data_queue tcp_check_req
    udp_rcv udpv6_rcv __udp4_lib_rcv __udp6_lib_rcv udp_queue_rcv_*
    udpv6_queue_rcv_* icmp_rcv icmpv6_rcv sctp_rcv
    security_sock_rcv_skb security_inet_conn_request security_inet_conn_established
    security_sctp_assoc_request
    handle_softirqs __do_softirq tasklet_action* run_timer_softirq
    hrtimer_interrupt __hrtimer_run_queues hrtimer_run_softirq
    handle_irq_event* generic_handle_irq* __handle_irq_event_percpu
"""
_LSM_HOOKS = """
    socket_sock_rcv_skb inet_conn_request inet_conn_established sctp_assoc_request
"""
_SIGNALLING = frozenset(
    (ActionKind.SIGKILL, ActionKind.SIGNAL, ActionKind.NOTIFY_ENFORCER)
)
_HINT = "hook what the process itself does, such as its system call"


def _pattern(names: str) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, names.split())))


_IN_INTERRUPT = {
    TracepointHook: _pattern(_TRACEPOINTS),
    KprobeHook: _pattern(_FUNCTIONS),
    LsmHook: _pattern(_LSM_HOOKS),
}


def check_interrupts(
    hook: Hook, path: Path, selector: Selector, lists: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    """Yield an error for each action that would signal whoever was interrupted.

    Args:
        hook: The hook.
        path: Leads to the selector.
        selector: One of the hook's.
        lists: The names in each list of the policy.
    """
    pattern = _IN_INTERRUPT.get(type(hook))
    name = next(filter(pattern.match, _names(hook, lists)), "") if pattern else ""
    if not name:
        return
    for key, actions in (
        ("matchActions", selector.match_actions),
        ("matchReturnActions", selector.match_return_actions),
    ):
        for index, action in enumerate(actions):
            if action.action in _SIGNALLING:
                text = (
                    f"{action.action} does not work in {quote(name)}: it runs in "
                    "interrupts, and the process that is there is not the cause"
                )
                yield error((*path, key, index, "action"), text, _HINT)


def _names(hook: Hook, lists: Mapping[str, Sequence[str]]) -> Iterable[str]:
    if isinstance(hook, TracepointHook):
        return (f"{hook.subsystem}/{hook.event}",)
    if isinstance(hook, LsmHook):
        return (hook.hook,)
    if not isinstance(hook, KprobeHook):
        return ()
    return lists.get(hook.call.removeprefix("list:"), (hook.call,))
