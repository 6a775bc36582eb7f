# SPDX-License-Identifier: Apache-2.0
"""Which of a hook's arguments a filter or an action means.

`args` holds positions in the hook's list. `index` is the `index` of an argument; on
tracepoints, where that is the number of a field, it may also be a position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetragon_py.policy.diagnostic import PolicyValueError
from tetragon_py.policy.model.hooks import TracepointHook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tetragon_py.policy.model.arguments import Argument
    from tetragon_py.policy.model.hooks import Hook
    from tetragon_py.policy.model.selectors import ArgFilter

__all__ = ["argument_position", "argument_positions", "data_positions"]


def argument_positions(hook: Hook, argument_filter: ArgFilter) -> tuple[int, ...]:
    """Return the positions in `hook.args` that a filter of matchArgs means.

    Raises:
        PolicyValueError: There is no such argument, or it is not clear which.
    """
    if argument_filter.args:
        return _positions(argument_filter.args, hook.args)
    if argument_filter.index is None:
        raise PolicyValueError("says no argument", "give index or args")
    return (argument_position(hook, argument_filter.index),)


def argument_position(hook: Hook, index: int) -> int:
    """Return the position in `hook.args` that the number `index` means.

    Raises:
        PolicyValueError: There is no such argument, or it is not clear which.
    """
    by_index = [p for p, argument in enumerate(hook.args) if argument.index == index]
    if isinstance(hook, TracepointHook):
        if by_index and index < len(hook.args) and index not in by_index:
            raise PolicyValueError(
                f"{index} is the index of one argument and the position of another",
                f"write args: [{by_index[0]}] or args: [{index}]",
            )
        if not by_index and index < len(hook.args):
            return index
    if not by_index:
        declared = ", ".join(str(argument.index) for argument in hook.args)
        raise PolicyValueError(
            f"the hook has no argument with index {index}",
            f"declared: {declared}" if declared else "add it to args",
        )
    return by_index[0]


def data_positions(
    data: Sequence[Argument], argument_filter: ArgFilter
) -> tuple[int, ...]:
    """Return the positions in a hook's `data` that a filter of matchData means.

    Raises:
        PolicyValueError: There is no such entry.
    """
    wanted = argument_filter.args
    if not wanted:
        if argument_filter.index is None:
            raise PolicyValueError("says no entry of data", "give args")
        wanted = (argument_filter.index,)
    return _positions(wanted, data)


def _positions(
    wanted: tuple[int, ...], declared: Sequence[Argument]
) -> tuple[int, ...]:
    for position in wanted:
        if position >= len(declared):
            raise PolicyValueError(
                f"position {position} is beyond the last entry",
                f"positions count from 0; {len(declared)} declared",
            )
    return wanted
