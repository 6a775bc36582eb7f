# SPDX-License-Identifier: Apache-2.0
"""Writes BTF by hand: shapes that this kernel does not happen to have."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tetragon_py.libbpf import btf as b

if TYPE_CHECKING:
    from pathlib import Path

SIGNED = 1 << 24


class BtfFile:
    """The types of a kernel, or with `base` those of a module; each `add` is a type."""

    def __init__(self, base: BtfFile | None = None) -> None:
        self.base = base
        self.texts = b"" if base else b"\0"
        self.types: list[bytes] = []
        self._first = base.end if base else 1
        self._texts_before = len(base.texts) if base else 0

    @property
    def end(self) -> int:
        """The number that the next type gets."""
        return self._first + len(self.types)

    def text(self, text: str) -> int:
        if not text:
            return 0
        place = self._texts_before + len(self.texts)
        self.texts += text.encode() + b"\0"
        return place

    def add(
        self,
        kind: int,
        name: str = "",
        value: int = 0,
        words: tuple[int, ...] = (),
        *,
        count: int = 0,
        flag: bool = False,
    ) -> int:
        """A type of `count` members, values or parameters; its number."""
        info = flag << 31 | kind << 24 | count
        packed = struct.pack(f"=III{len(words)}I", self.text(name), info, value, *words)
        self.types.append(packed)
        return self.end - 1

    def integer(self, name: str, size: int, encoding: int = 0, bits: int = 0) -> int:
        return self.add(b.KIND_INT, name, size, (encoding | (bits or size * 8),))

    def record(
        self,
        name: str,
        size: int,
        *members: tuple[str, int, int],
        kind: int = b.KIND_STRUCT,
        flag: bool = False,
    ) -> int:
        """A struct; members are (name, type, place in bits), with flag also width."""
        words = [w for text, *rest in members for w in (self.text(text), *rest)]
        return self.add(kind, name, size, (*words,), count=len(members), flag=flag)

    def enum(self, name: str, *values: int, flag: bool = False) -> int:
        words = [w for value in values for w in (self.text("x"), value & 0xFFFFFFFF)]
        return self.add(b.KIND_ENUM, name, 4, (*words,), count=len(values), flag=flag)

    def function(self, name: str, returns: int, *parameters: tuple[str, int]) -> int:
        """A function; the number of its prototype is one less."""
        words = [w for text, number in parameters for w in (self.text(text), number)]
        prototype = self.add(
            b.KIND_FUNC_PROTO, "", returns, (*words,), count=len(parameters)
        )
        return self.add(b.KIND_FUNC, name, prototype)

    def write(self, path: Path) -> Path:
        types = b"".join(self.types)
        head = struct.pack(
            "=HBBIIIII",
            *(0xEB9F, 1, 0, 24),
            *(0, len(types), len(types), len(self.texts)),
        )
        path.write_bytes(head + types + self.texts)
        return path
