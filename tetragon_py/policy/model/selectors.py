# SPDX-License-Identifier: Apache-2.0
"""Selectors: one model per filter. All filters of a selector must match."""

import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from tetragon_py.policy.diagnostic import PolicyValueError, quote
from tetragon_py.policy.model.actions import Action
from tetragon_py.policy.model.kernel_names import CAPABILITIES, Namespace, look_up
from tetragon_py.policy.model.names import spelled
from tetragon_py.policy.model.operators import ArgOperator, BinaryOperator, SetOperator
from tetragon_py.policy.model.workloads import Workloads
from tetragon_py.policy.schema import Flag, Model, Number, Text, ValueText

__all__ = [
    "FILTERS",
    "HOST_NAMESPACE",
    "ArgFilter",
    "BinaryFilter",
    "CapabilityFilter",
    "CapabilitySet",
    "NamespaceChangeFilter",
    "NamespaceFilter",
    "PidFilter",
    "Selector",
]

#: PID_MAX_LIMIT of 64-bit kernels.
_PID_MAX = 1 << 22
_INODE_MAX = (1 << 32) - 1
_CAPABILITY_MAX = 63

#: Stands for the namespace of process 1.
HOST_NAMESPACE: Literal["host_ns"] = "host_ns"


class CapabilitySet(StrEnum):
    """One of the sets of capabilities of a task."""

    EFFECTIVE = "Effective"
    INHERITABLE = "Inheritable"
    PERMITTED = "Permitted"


def _parse_inode(value: object) -> int | Literal["host_ns"]:
    text = str(value).strip()
    if text.casefold() == HOST_NAMESPACE:
        return HOST_NAMESPACE
    if isinstance(value, (bool, float)) or not re.fullmatch(r"[0-9]{1,10}", text):
        raise PolicyValueError(
            f"{quote(value)} is no namespace",
            "write host_ns or the number in /proc/PID/ns",
        )
    if not 0 < int(text) <= _INODE_MAX:
        raise PolicyValueError(f"{quote(value)} is no namespace", f"1 to {_INODE_MAX}")
    return int(text)


def _parse_capability(value: object) -> int:
    text = str(value).strip()
    if isinstance(value, (bool, float)):
        raise PolicyValueError(f"{quote(value)} is no capability", "put it in quotes")
    if not re.fullmatch(r"[0-9]{1,3}", text):
        return look_up(CAPABILITIES, text, "capability", "CAP_")
    if int(text) > _CAPABILITY_MAX:
        raise PolicyValueError(f"{text} is no capability", f"0 to {_CAPABILITY_MAX}")
    return int(text)


_Capability = Annotated[int, BeforeValidator(_parse_capability)]


def _check_binary(value: str) -> str:
    if not value:
        raise PolicyValueError("is empty and names no file")
    if "\0" in value:
        raise PolicyValueError(f"{quote(value)} has a zero byte inside")
    return value


class PidFilter(Model):
    """The process, or with `follow_forks` an ancestor, has one of these pids."""

    operator: SetOperator
    values: tuple[Annotated[Number, Field(ge=0, le=_PID_MAX)], ...] = Field(
        min_length=1
    )
    follow_forks: Flag = False
    #: The pids are those of the process's own pid namespace.
    is_namespace_pid: Flag = Field(False, alias="isNamespacePID")


class ArgFilter(Model):
    """A filter on captured values; `values` are read by values.parse_values."""

    #: The `index` of an argument.
    index: Number | None = Field(None, ge=0, le=255)
    #: Positions in the hook's `args` or `data`; they take precedence.
    args: tuple[Annotated[Number, Field(ge=0, le=255)], ...] = ()
    operator: ArgOperator
    values: tuple[ValueText, ...] = ()


class BinaryFilter(Model):
    """The path of the process's executable; In and NotIn compare it whole."""

    operator: BinaryOperator
    values: tuple[Annotated[Text, AfterValidator(_check_binary)], ...] = Field(
        min_length=1
    )
    #: Descendants of a process that matches match as well.
    follow_children: Flag = False


class NamespaceFilter(Model):
    """The process is, or is not, in one of these namespaces (inode numbers)."""

    namespace: Annotated[Namespace, spelled(Namespace, "namespace")]
    operator: SetOperator
    values: tuple[
        Annotated[int | Literal["host_ns"], BeforeValidator(_parse_inode)], ...
    ] = Field(min_length=1)


class NamespaceChangeFilter(Model):
    """One of these namespaces is another one than at the last exec."""

    operator: SetOperator
    values: tuple[Annotated[Namespace, spelled(Namespace, "namespace")], ...] = Field(
        min_length=1
    )


class CapabilityFilter(Model):
    """The process has, or has not, one of these capabilities (numbers)."""

    type: Annotated[CapabilitySet, spelled(CapabilitySet, "set of capabilities")] = (
        CapabilitySet.EFFECTIVE
    )
    operator: SetOperator
    #: Only in a user namespace that is not the host's.
    is_namespace_capability: Flag = False
    values: tuple[_Capability, ...] = Field(min_length=1)


class Selector(Model):
    """Macros are merged in when a policy was read; their names stay for messages."""

    label: Text | None = None
    macros: tuple[Text, ...] = ()
    match_pids: tuple[PidFilter, ...] = Field((), alias="matchPIDs")
    match_args: tuple[ArgFilter, ...] = ()
    match_data: tuple[ArgFilter, ...] = ()
    match_return_args: tuple[ArgFilter, ...] = ()
    match_binaries: tuple[BinaryFilter, ...] = ()
    match_parent_binaries: tuple[BinaryFilter, ...] = ()
    match_namespaces: tuple[NamespaceFilter, ...] = ()
    match_namespace_changes: tuple[NamespaceChangeFilter, ...] = ()
    match_capabilities: tuple[CapabilityFilter, ...] = ()
    match_capability_changes: tuple[CapabilityFilter, ...] = ()
    match_workloads: Workloads | None = None
    match_actions: tuple[Action, ...] = ()
    match_return_actions: tuple[Action, ...] = ()


#: Field -> key in YAML, of all that a macro may bring.
FILTERS = {
    name: field.alias or name
    for name, field in Selector.model_fields.items()
    if name.startswith("match_")
}
