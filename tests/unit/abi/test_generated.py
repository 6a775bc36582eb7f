# SPDX-License-Identifier: Apache-2.0
"""One header, three readers: C (host and BPF), cffi and Python see the same layout.

The second half spoils copies of the header and shows that each reader refuses it.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import platform
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cffi import FFI

from tetragon_py.abi import _generated
from tetragon_py.libbpf import _abi, _build
from tetragon_py.libbpf._libbpf import ffi, lib

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(_generated.__file__).parent.parent.parent
ARCH = {"x86_64": "x86", "aarch64": "arm64"}.get(platform.machine(), "x86")
INTEGERS = {"B": 1, "H": 2, "I": 4, "i": 4, "Q": 8}
COMPILERS = {
    "host": ("cc", "-fsyntax-only", "-Wall", "-Werror"),
    "bpf": (
        *("clang-19", "-target", "bpf", "-fsyntax-only", "-Wall", "-Werror"),
        *("-I", str(ROOT / "vmlinux" / ARCH), "-include", "vmlinux.h"),
    ),
}
STRUCTS = {
    name.removesuffix("_FORMAT").lower(): value
    for name, value in vars(_generated).items()
    if name.endswith("_FORMAT")
}
CONSTANTS = {
    name: value
    for name, value in vars(_generated).items()
    if isinstance(value, int) and not name.endswith("_SIZE")
}


def layout(struct: str) -> list[tuple[str, int, int, str]]:
    """Python's view of a struct: name, offset, size and code of each field."""
    offsets = getattr(_generated, f"{struct.upper()}_OFFSETS")
    codes = re.findall(r"(\d*)([a-zA-Z])", STRUCTS[struct].removeprefix("<"))
    return [
        (name, offset, int(count or 1) * INTEGERS.get(code, 1), code)
        for (name, offset), (count, code) in zip(offsets.items(), codes, strict=True)
    ]


def asserts() -> str:
    """A C file that compiles only if the compiler agrees with Python."""
    lines = ["#define PY(x) _Static_assert(x, #x)", '#include "abi/stats.h"']
    for struct in STRUCTS:
        size = getattr(_generated, f"{struct.upper()}_SIZE")
        lines.append(f"PY(sizeof(struct {struct}) == {size});")
        for name, offset, field_size, code in layout(struct):
            member = f"((struct {struct} *)0)->{name}"
            lines.append(
                f"PY(__builtin_offsetof(struct {struct}, {name}) == {offset});"
            )
            lines.append(f"PY(sizeof({member}) == {field_size});")
            if code in INTEGERS:
                item = f"{member}[0]" if field_size > INTEGERS[code] else member
                is_signed = int(code.islower())
                lines.append(f"PY(((__typeof__({item}))-1 < 1) == {is_signed});")
    lines += [f"PY({name} == {value});" for name, value in CONSTANTS.items()]
    return "\n".join([*lines, ""])


def compile_asserts(target: str, headers: Path) -> str:
    """What the compiler says; "" if it agrees."""
    done = subprocess.run(
        [*COMPILERS[target], "-I", str(headers), "-x", "c", "-"],
        input=asserts(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == (done.stderr == "")
    return done.stderr


@pytest.mark.parametrize("target", COMPILERS)
def test_compilers_agree_with_python(target):
    """Every size, offset, sign and constant is what the compiler makes of it."""
    assert compile_asserts(target, ROOT / "bpf") == ""


def test_nothing_of_the_headers_is_missing():
    """Each struct, #define and enumerator of bpf/abi is in the module."""
    text = "\n".join(path.read_text() for path in (ROOT / "bpf/abi").glob("*.h"))
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    structs = set(re.findall(r"^struct (\w+) \{", code, re.MULTILINE))
    names = set(re.findall(r"^#define (\w+) \S", code, re.MULTILINE))
    names |= set(re.findall(r"^\t(\w+) = ", code, re.MULTILINE))

    assert structs == set(STRUCTS)
    assert names == set(CONSTANTS)


@pytest.mark.parametrize("struct", STRUCTS)
def test_cffi_agrees_with_python(struct):
    """The extension, which is built against the header, has the same layout."""
    kind = ffi.typeof(f"struct {struct}")
    seen = [(name, detail.offset) for name, detail in kind.fields]

    assert [(name, offset) for name, offset, _, _ in layout(struct)] == seen
    assert getattr(_generated, f"{struct.upper()}_SIZE") == ffi.sizeof(kind)
    assert [name for name, _ in seen if not name.startswith("_pad")] == list(
        getattr(_generated, f"{struct.upper()}_FIELDS")
    )


@pytest.mark.parametrize("name", CONSTANTS)
def test_cffi_has_the_constants(name):
    """The extension gives each constant the value that Python has."""
    assert getattr(_generated, name) == getattr(lib, name)


# ---- a header that changed is refused ----

#: What is done to a copy: file, from, to.
CHANGES = {
    "field renamed": (
        "event.h",
        "__u32 status;",
        "__u32 tid_of_last; /* was status */",
    ),
    "neighbours swapped": (
        "process.h",
        "\t__u32 uid;\n\t__u32 gid;\n",
        "\t__u32 gid;\n\t__u32 uid;\n",
    ),
    "field widened, gap hidden": ("event.h", "\t__u32 status;", "\t__u64 status;"),
    "field narrowed, gap hidden": ("event.h", "__u32 links;", "__u16 links;"),
    "sign changed": ("event.h", "__s32 lengths[", "__u32 lengths["),
    "constant changed": (
        "event.h",
        "#define EXEC_SETGID 0x4",
        "#define EXEC_SETGID 0x40",
    ),
    "enumerator changed": ("event.h", "EVENT_EXIT = 3", "EVENT_EXIT = 5"),
    "array longer": (
        "event.h",
        "\t__u8 comm[16];",
        "\t__u8 comm[24];",
    ),
    "padding hidden": ("event.h", "\t__u16 _pad;\n", ""),
    "padding hidden at the end": (
        "process.h",
        "flags; /* PROCESS_* */\n\t__u32 _pad;",
        "flags;",
    ),
}


def spoiled(folder: Path, change: str) -> Path:
    """A copy of bpf/abi with one change; where to include it from."""
    name, before, after = CHANGES[change]
    copy = shutil.copytree(ROOT / "bpf/abi", folder / "abi")
    text = (copy / name).read_text()

    assert text.count(before) == 1
    (copy / name).write_text(text.replace(before, after))
    return folder


@pytest.mark.parametrize("target", COMPILERS)
@pytest.mark.parametrize("change", CHANGES)
def test_compilers_refuse_a_changed_header(tmp_path, change, target):
    """No change of a struct or constant goes unnoticed by either compiler."""
    assert "error" in compile_asserts(target, spoiled(tmp_path, change))


def generated_from(headers: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the generator would write, with cffi laying out the structs itself."""
    monkeypatch.setattr(_build, "ROOT", headers.parent)
    monkeypatch.setattr(_build, "ABI", headers / "abi")
    monkeypatch.setattr(_build, "ABI_TOP", headers / "abi" / "stats.h")
    text = _build.abi_declarations()
    monkeypatch.setattr(_abi, "abi_declarations", lambda: text)
    reader = FFI()
    integers = (ROOT / "tetragon_py/libbpf/_cdef.h").read_text().split("/* bpf/")[0]
    reader.cdef(re.sub(r"^\s*;", "", f"{integers}\n{text}", flags=re.MULTILINE))
    monkeypatch.setattr(_abi, "ffi", reader)
    return _abi.generate()


def test_generator_is_right_about_the_header(tmp_path, monkeypatch):
    """Without a change the generator writes the module that is there."""
    headers = tmp_path / "bpf"
    shutil.copytree(ROOT / "bpf/abi", headers / "abi")

    assert generated_from(headers, monkeypatch) == Path(_generated.__file__).read_text()


@pytest.mark.parametrize("change", CHANGES)
def test_generator_refuses_or_tells_a_change(tmp_path, monkeypatch, change):
    """Hidden padding stops the generator; all else shows in what it writes."""
    headers = spoiled(tmp_path / "bpf", change)
    if "hidden" in change:
        with pytest.raises(SystemExit, match="hidden padding"):
            generated_from(headers, monkeypatch)
    else:
        text = generated_from(headers, monkeypatch)

        assert text != Path(_generated.__file__).read_text()


def built_against(headers: Path, folder: Path) -> ModuleType:
    """The ABI as the true header declares it, compiled against another one."""
    builder = FFI()
    integers = (ROOT / "tetragon_py/libbpf/_cdef.h").read_text().split("/* bpf/")[0]
    text = f"{integers}\n{_build.abi_declarations()}"
    builder.cdef(re.sub(r"^\s*;", "", text, flags=re.MULTILINE))
    builder.set_source("_spoiled", '#include "abi/stats.h"')
    source, library = folder / "_spoiled.c", folder / "_spoiled.abi3.so"
    builder.emit_c_code(str(source))
    include = sysconfig.get_path("include")
    subprocess.run(
        [
            "cc",
            "-w",
            "-shared",
            "-fPIC",
            f"-I{include}",
            f"-I{headers}",
            source,
            "-o",
            library,
        ],
        check=True,
        capture_output=True,
    )
    loader = importlib.machinery.ExtensionFileLoader("_spoiled", str(library))
    spec = importlib.util.spec_from_file_location("_spoiled", library, loader=loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("change", "use"),
    [
        ("neighbours swapped", "struct credentials"),
        ("field narrowed, gap hidden", "struct event_exec"),
        ("constant changed", "EXEC_SETGID"),
    ],
)
def test_cffi_refuses_a_changed_header(tmp_path, change, use):
    """An extension built against another header fails when the name is used."""
    module = built_against(spoiled(tmp_path / "bpf", change), tmp_path)
    is_struct = use.startswith("struct")
    with pytest.raises(module.ffi.error):
        module.ffi.new(f"{use} *") if is_struct else getattr(module.lib, use)


@pytest.mark.parametrize("change", ["field widened, gap hidden", "array longer"])
def test_header_checks_its_own_sizes(tmp_path, change):
    """ABI_SIZE in the header stops the build itself."""
    headers = spoiled(tmp_path / "bpf", change)
    with pytest.raises(subprocess.CalledProcessError) as raised:
        built_against(headers, tmp_path)

    assert b"ABI: size of struct" in raised.value.stderr
