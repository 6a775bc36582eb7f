# SPDX-License-Identifier: Apache-2.0
"""Writes `tetragon_py/abi/_generated.py` from what the C compiler made of bpf/abi.

    python -m tetragon_py.libbpf._abi > tetragon_py/abi/_generated.py     (make abi)

Each struct becomes a format for Python's `struct`, with the names of its fields; a
nested struct stays one field of bytes, which its own format takes apart.
"""

from __future__ import annotations

import re
import sys

from tetragon_py.libbpf._build import abi_declarations
from tetragon_py.libbpf._libbpf import ffi

__all__ = ["generate"]

_HEAD = '''# SPDX-License-Identifier: Apache-2.0
"""Generated from bpf/abi/*.h by `make abi`: never edited, checked by the tests."""
'''
#: C integer -> code of Python's struct module (little-endian, standard sizes)
_CODES = {
    "unsigned char": "B",
    "unsigned short": "H",
    "unsigned int": "I",
    "int": "i",
    "unsigned long long": "Q",
}


def _field_code(kind: object) -> str:
    name = getattr(kind, "cname")  # noqa: B009 - a cffi CType has no stubs
    if name.startswith("struct "):
        return f"{ffi.sizeof(name)}s"
    if array := re.fullmatch(r"(.+?)\[(\d+)\]", name):
        item, count = array[1], int(array[2])
        return f"{count}s" if item == "unsigned char" else f"{count}{_CODES[item]}"
    return _CODES[name]


def _struct(name: str) -> list[str]:
    fields = ffi.typeof(f"struct {name}").fields
    codes, names, end = [], [], 0
    for field, detail in fields:
        if detail.offset != end:
            raise SystemExit(f"struct {name}: hidden padding before {field}")
        code = _field_code(detail.type)
        end += ffi.sizeof(detail.type.cname)
        pad = field.startswith("_pad")
        codes.append(f"{ffi.sizeof(detail.type.cname)}x" if pad else code)
        if not pad:
            names.append(field)
    if end != ffi.sizeof(f"struct {name}"):
        raise SystemExit(f"struct {name}: hidden padding at the end")
    upper = name.upper()
    listed = "\n" + "".join(f'    "{field}",\n' for field in names)
    if len(names) == 1:
        listed = f'"{names[0]}",'  # as the formatter has it
    offsets = "".join(f'    "{field}": {detail.offset},\n' for field, detail in fields)
    return [
        f'{upper}_FORMAT = "<{"".join(codes)}"',
        f"{upper}_SIZE = {end}",
        f"{upper}_FIELDS = ({listed})",
        f"{upper}_OFFSETS = {{\n{offsets}}}",
        "",
    ]


def generate() -> str:
    """The text of the module."""
    text = abi_declarations()
    out = [_HEAD]
    for name, value in re.findall(r"^#define (\w+) (\w+)$", text, re.MULTILINE):
        out.append(f"{name} = {value}")
    for body in re.findall(r"enum \w+ \{(.*?)\}", text, re.DOTALL):
        out.append("")
        out += [f"{n} = {v}" for n, v in re.findall(r"(\w+) = (\w+)", body)]
    out.append("")
    for name in re.findall(r"^struct (\w+) \{", text, re.MULTILINE):
        out += _struct(name)
    return "\n".join(out).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(generate())
