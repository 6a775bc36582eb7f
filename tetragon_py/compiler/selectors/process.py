# SPDX-License-Identifier: Apache-2.0
"""Filters on the process: pids, binaries, namespaces, capabilities."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.selectors.conditions import (
    Bits,
    Condition,
    Followed,
    Lookup,
    Place,
    Within,
    follow_set,
)
from tetragon_py.compiler.selectors.numbers import numbers
from tetragon_py.compiler.tables.patterns import Alternatives
from tetragon_py.policy.diagnostic import Cause, PolicyValueError
from tetragon_py.policy.model.kernel_names import Namespace
from tetragon_py.policy.model.operators import Operator
from tetragon_py.policy.model.selectors import (
    HOST_NAMESPACE,
    CapabilitySet,
    NamespaceFilter,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tetragon_py.policy.model.selectors import (
        BinaryFilter,
        CapabilityFilter,
        NamespaceChangeFilter,
        PidFilter,
    )

__all__ = [
    "binary_condition",
    "capability_change_condition",
    "capability_condition",
    "namespace_change_condition",
    "namespace_condition",
    "parent_binary_condition",
    "pid_condition",
    "user_namespace_condition",
]

_NUL = b"\0"
_CAPABILITY_SETS = {
    CapabilitySet.EFFECTIVE: c.CAPABILITIES_EFFECTIVE,
    CapabilitySet.INHERITABLE: c.CAPABILITIES_INHERITABLE,
    CapabilitySet.PERMITTED: c.CAPABILITIES_PERMITTED,
}


def pid_condition(entry: PidFilter) -> Condition:
    """Return the condition of an entry of matchPIDs."""
    if entry.follow_forks:
        values = Followed(
            pids=frozenset(entry.values), in_namespace=entry.is_namespace_pid
        )
        return follow_set(values, is_negative=entry.operator.is_negative)
    source = c.SOURCE_NAMESPACE_PID if entry.is_namespace_pid else c.SOURCE_PID
    test = Within(numbers(entry.operator, entry.values))
    return Condition(Lookup(Place(source), c.DIMENSION_RANGE), test)


def binary_condition(entry: BinaryFilter) -> Condition:
    """Return the condition of an entry of matchBinaries.

    Raises:
        PolicyValueError: A path is too long for the kernel's tables.
    """
    if entry.follow_children:
        values = Followed(binaries=frozenset(_patterns(entry)))
        return follow_set(values, is_negative=entry.operator.is_negative)
    return _class_condition(entry, c.BINARY_BEGIN, c.BINARY_END)


def parent_binary_condition(entry: BinaryFilter) -> Condition:
    """Return the condition of an entry of matchParentBinaries.

    Raises:
        PolicyValueError: As above; or it wants the ancestors of the parent.
    """
    if entry.follow_children:
        raise PolicyValueError(
            "followChildren does not work in matchParentBinaries",
            "use it in matchBinaries",
        )
    return _class_condition(entry, c.BINARY_PARENT_BEGIN, c.BINARY_PARENT_END)


def _class_condition(entry: BinaryFilter, begin: int, end: int) -> Condition:
    is_end = entry.operator.positive is Operator.POSTFIX
    place = Place(c.SOURCE_BINARY, slot=end if is_end else begin)
    test = Alternatives(_patterns(entry), entry.operator.is_negative)
    return Condition(Lookup(place, c.DIMENSION_CLASS), test)


def _patterns(entry: BinaryFilter) -> tuple[bytes, ...]:
    positive = entry.operator.positive
    found = []
    for index, value in enumerate(entry.values):
        pattern = value.encode()
        if positive is Operator.POSTFIX:
            pattern = pattern[::-1]
        elif positive is not Operator.PREFIX:
            pattern += _NUL
        if len(pattern) > c.TEXT_KEY_BYTES:
            limit = c.TEXT_KEY_BYTES - (positive is Operator.IN)
            raise PolicyValueError(
                f"is longer than {limit} bytes",
                "tables of patterns hold no longer ones",
                index=index,
            )
        found.append(pattern)
    return tuple(found)


def namespace_condition(entry: NamespaceFilter, host: Mapping[str, int]) -> Condition:
    """Return the condition of an entry of matchNamespaces.

    Args:
        entry: The filter.
        host: Target.host_namespaces.

    Raises:
        PolicyValueError: The kernel does not have namespaces of this kind.
    """
    name = _field(entry.namespace)
    if name not in host:
        text = f"this kernel has no {entry.namespace} namespaces"
        raise PolicyValueError(text, cause=Cause.KERNEL)
    inodes = [
        host[name] if value == HOST_NAMESPACE else int(value) for value in entry.values
    ]
    place = Place(c.SOURCE_NAMESPACE, slot=_position(entry.namespace))
    test = Within(numbers(entry.operator, inodes))
    return Condition(Lookup(place, c.DIMENSION_RANGE), test)


def namespace_change_condition(entry: NamespaceChangeFilter) -> Condition:
    """Return the condition of an entry of matchNamespaceChanges."""
    place = Place(c.SOURCE_NAMESPACES_CHANGED)
    return _bits(entry.operator, place, map(_position, entry.values))


def capability_condition(entry: CapabilityFilter) -> Condition:
    """Return the condition of an entry of matchCapabilities."""
    return _capabilities(entry, c.SOURCE_CAPABILITIES)


def capability_change_condition(entry: CapabilityFilter) -> Condition:
    """Return the condition of an entry of matchCapabilityChanges."""
    return _capabilities(entry, c.SOURCE_CAPABILITIES_CHANGED)


def user_namespace_condition(
    entry: CapabilityFilter, host: Mapping[str, int]
) -> Condition | None:
    """Return what isNamespaceCapability wants besides: not the host's user namespace.

    Args:
        entry: Of matchCapabilities or matchCapabilityChanges.
        host: Target.host_namespaces.

    Raises:
        PolicyValueError: The kernel has no user namespaces.
    """
    if not entry.is_namespace_capability:
        return None
    elsewhere = NamespaceFilter(
        namespace=Namespace.USER, operator=Operator.NOT_IN, values=(HOST_NAMESPACE,)
    )
    return namespace_condition(elsewhere, host)


def _capabilities(entry: CapabilityFilter, source: int) -> Condition:
    place = Place(source, slot=_CAPABILITY_SETS[entry.type])
    return _bits(entry.operator, place, entry.values)


def _bits(operator: Operator, place: Place, bits: Iterable[int]) -> Condition:
    mask = 0
    for bit in bits:
        mask |= 1 << bit
    kind = c.DIMENSION_NO_BITS if operator.is_negative else c.DIMENSION_BITS
    return Condition(Lookup(place, kind), Bits(mask))


# PidForChildren -> pid_for_children, as in struct namespaces.
def _field(namespace: Namespace) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", namespace.value).lower()


def _position(namespace: Namespace) -> int:
    return c.NAMESPACES_FIELDS.index(_field(namespace))
