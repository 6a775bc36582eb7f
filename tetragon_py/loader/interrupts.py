# SPDX-License-Identifier: Apache-2.0
"""Where each CPU counts what preempts its tasks.

There a hook sees that it is in an interrupt, whose cause the current process is not.
"""

from __future__ import annotations

from functools import cache

from tetragon_py.loader.symbols import Symbols

__all__ = ["interrupt_constants"]

#: Variable -> bytes to the counter in it; one of its own but from Linux 6.2 to 6.14
#: (commit 64701838bf05 "x86/percpu: Move preempt_count next to current_task").
_COUNTERS = {"__preempt_count": 0, "pcpu_hot": 8}
_OFFSETS = "__per_cpu_offset"


@cache
def interrupt_constants() -> dict[str, int]:
    """The constants of bpf/lib/context.bpf.h, addresses; empty: not known.

    They are in /proc/kallsyms if the kernel is built with CONFIG_KALLSYMS_ALL.
    """
    symbols = Symbols()
    offsets = symbols.address(_OFFSETS)
    for name, distance in _COUNTERS.items():
        counter = symbols.address(name)
        if counter is not None and offsets:
            constants = {"preempt_counts": counter + distance, "cpu_offsets": offsets}
            return constants if constants["preempt_counts"] else {}
    return {}
