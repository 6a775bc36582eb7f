# SPDX-License-Identifier: Apache-2.0
"""What a place in the kernel shows of itself to the arguments of a hook there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.policy.diagnostic import Cause, PolicyValueError, quote

if TYPE_CHECKING:
    from tetragon_py.compiler.plan import AttachPoint
    from tetragon_py.compiler.target import (
        CType,
        Signature,
        Target,
        TracepointField,
    )

__all__ = ["REGISTERS", "NoArgumentError", "Surface"]

#: Values that a function or a system call gets in registers.
REGISTERS = 6


class NoArgumentError(PolicyValueError):
    """There are not so many arguments: a mistake, or another kernel's signature."""


class Surface(NamedTuple):
    """An attach point with what the kernel says about it."""

    point: AttachPoint
    target: Target
    #: None for system calls, tracepoints and functions without BTF.
    signature: Signature | None = None
    #: Of a tracepoint that is not raw.
    fields: tuple[TracepointField, ...] = ()

    @classmethod
    def of(cls, point: AttachPoint, target: Target) -> Surface:
        """Ask the kernel about a point that exists."""
        match point.kind:
            case "function":
                return cls(point, target, target.function(point.name))
            case "lsm":
                return cls(point, target, target.lsm_hook(point.name))
            case "raw_tracepoint":
                return cls(point, target, target.raw_tracepoint(point.name))
            case "tracepoint":
                subsystem, _, event = point.name.partition("/")
                fields = target.tracepoint(subsystem, event) or ()
                return cls(point, target, fields=fields)
        return cls(point, target)

    @property
    def is_user(self) -> bool:
        """Whether pointers here are those of the process: arguments of system calls."""
        name = self.point.name
        return self.point.kind == "syscall" or (
            self.point.kind == "tracepoint" and name.startswith("syscalls/")
        )

    def check_register(self, index: int) -> None:
        """Refuse an argument `index` that does not come in a register.

        Raises:
            NoArgumentError: There is none.
            PolicyValueError: It comes elsewhere.
        """
        count = REGISTERS
        if self.signature is not None:
            count = min(count, len(self.signature.parameters))
        if index < count:
            return
        name = quote(self.point.name)
        if self.signature is not None and index >= len(self.signature.parameters):
            raise NoArgumentError(
                f"{name} has no argument {index}", self._list_parameters()
            )
        raise PolicyValueError(
            f"argument {index} of {name} is not in a register",
            f"the first {REGISTERS} are",
        )

    def parameter_type(self, index: int) -> CType | None:
        """Return the C type of an argument, None if the kernel does not tell."""
        if self.signature is None or index >= len(self.signature.parameters):
            return None
        return self.signature.parameters[index].type

    def field(self, index: int) -> TracepointField:
        """Return a field of a tracepoint.

        Raises:
            PolicyValueError: There is no such field.
        """
        if index < len(self.fields):
            return self.fields[index]
        # Users need the own fields, the common ones are the same everywhere.
        names = [
            f"{number} {field.name}"
            for number, field in enumerate(self.fields)
            if not field.name.startswith("common_")
        ]
        raise PolicyValueError(
            f"{quote(self.point.name)} has no field {index}",
            f"fields: {', '.join(names)}" if names else "",
            cause=Cause.KERNEL,
        )

    def _list_parameters(self) -> str:
        parameters = self.signature.parameters if self.signature else ()
        if not parameters:
            return "it has none"
        names = [f"{i} {p.name}".strip() for i, p in enumerate(parameters)]
        return f"arguments: {', '.join(names)}"
