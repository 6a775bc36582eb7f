# SPDX-License-Identifier: Apache-2.0
"""The tree keeps its rules: format, lint, types, imports, names, licences, sizes."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tetragon_py
from tetragon_py.libbpf import _abi

ROOT = Path(__file__).parent.parent
TOOLS = Path(sys.executable).parent
CLANG_FORMAT = "clang-format-19"

TOP_LEVEL = frozenset(
    (
        *("bpf", "tetragon_py", "tests", "vmlinux", "LICENSES"),
        *("CHANGELOG.md", "LICENSE", "Makefile", "README.md", "pyproject.toml"),
        "build",  # artefacts, ignored by git
    )
)
FORBIDDEN_STEMS = frozenset(
    ("utils", "common", "helpers", "misc", "core", "base", "types", "manager")
)
SOURCE_SUFFIXES = frozenset((".py", ".pyi", ".c", ".h", ".toml", ".yaml", ".yml"))
OTHER_SOURCES = (ROOT / "Makefile", ROOT / ".clang-format")
LINES_MAX = 500

#: Modules without a test file of their own, and why.
UNTESTED_ALONE = {
    "__main__": "one call; the tests of the command line run it",
    "compiler/entry": "values without behaviour",
    "compiler/plan": "values without behaviour",
    "compiler/target": "a protocol and values: the kernel's is loader/kernel",
    "daemon/app": "composition only: tests/e2e",
    "daemon/keeper": "it acts when agents die: tests/e2e/test_pins.py",
    "daemon/leftover": "another agent has to have left it: tests/e2e/test_pins.py",
    "events/agent": "values without behaviour",
    "events/process": "values without behaviour",
    "events/repeat": "values without behaviour",
    "libbpf/_abi": "`make abi` is a no-op: below, and tests/unit/abi/test_generated.py",
    "libbpf/_attempt": "what the probes stand on: tests/*/libbpf/test_features.py",
    "libbpf/_build": "it has built what all tests use",
    "libbpf/_insn": "what the probes stand on: tests/*/libbpf/test_features.py",
    "libbpf/_probe_base": "a table of probes: tests/*/libbpf/test_features.py",
    "libbpf/_probe_helpers": "a table of probes: tests/*/libbpf/test_features.py",
    "loader/tables": "what programs read: tests/bpf/test_generation.py",
    "libbpf/_probe_hooks": "a table of probes: tests/*/libbpf/test_features.py",
}
#: Longer than LINES_MAX, and why.
LONG = {
    "tetragon_py/settings.py": "one model: each option takes some lines",
    "tests/unit/enrich/test_procfs.py": "one real process of each kind",
}


def sources() -> list[Path]:
    """All source files, without what is generated or built."""
    found = [path for path in OTHER_SOURCES if path.exists()]
    for name in ("bpf", "tetragon_py", "tests", "vmlinux"):
        found += [
            path
            for path in (ROOT / name).rglob("*")
            if path.suffix in SOURCE_SUFFIXES and path.is_file()
        ]
    return sorted([*found, ROOT / "pyproject.toml"])


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


SOURCES = sources()
C_SOURCES = [
    path for path in SOURCES if path.suffix in {".c", ".h"} and path.name != "vmlinux.h"
]
MODULES = [
    path
    for path in SOURCES
    if path.suffix == ".py" and relative(path).startswith("tetragon_py/")
]
BPF_SOURCES = [path for path in C_SOURCES if relative(path).startswith("bpf/")]


def run(*command: str | Path) -> None:
    """Run a tool over the tree; what it says is the failure."""
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"\n{done.stdout}{done.stderr}"


def test_ruff_finds_nothing():
    """Every rule that pyproject.toml selects holds."""
    run(TOOLS / "ruff", "check", "--no-fix", "--quiet")


def test_python_is_formatted():
    """`ruff format` would change nothing."""
    run(TOOLS / "ruff", "format", "--check", "--quiet")


@pytest.mark.timeout(600)
def test_types_hold():
    """Mypy's strict mode has nothing to say."""
    run(TOOLS / "mypy")


def test_imports_point_down():
    """The contracts between the packages hold."""
    run(TOOLS / "lint-imports")


def test_c_is_formatted():
    """clang-format with the kernel's style would change nothing."""
    assert shutil.which(CLANG_FORMAT), f"{CLANG_FORMAT} is missing: run `make`"
    run(CLANG_FORMAT, "--dry-run", "-Werror", *C_SOURCES)


def test_abi_is_generated():
    """`make abi` is a no-op: nobody edits the module, nobody forgets to generate it."""
    assert _abi.generate() == (ROOT / "tetragon_py/abi/_generated.py").read_text()


# ---- the kernel side's include rules ----


def layer(name: str) -> str:
    """The folder of a header of bpf/; those beside the folders are layers."""
    folder, _, rest = name.partition("/")
    return folder if rest else name


def stage(path: Path) -> str:
    """The stage that a header belongs to: "capture" for capture_path.bpf.h."""
    return path.name.split(".")[0].split("_")[0] if path.parent.name == "stage" else ""


#: The shared maps, those of the policy set, and the work space of one object.
MAP_HEADERS = ("maps.bpf.h", "tables.bpf.h", "hit.bpf.h")
#: What a file of each layer may include of ours.
MAY_INCLUDE = {
    "abi": {"abi"},
    "lib": {"abi", "lib", *MAP_HEADERS},
    "maps.bpf.h": {"abi"},
    "tables.bpf.h": {"abi"},
    "hit.bpf.h": {"abi", "lib"},
    "stage": {"abi", "lib", *MAP_HEADERS},
    "program": {"abi", "lib", *MAP_HEADERS, "stage"},
}


@pytest.mark.parametrize("path", BPF_SOURCES, ids=relative)
def test_kernel_side_includes_point_down(path):
    """A header includes only what is below it; "process.h" means its own folder.

    Stages meet only where they are put in a row.
    """
    name = path.relative_to(ROOT / "bpf").as_posix()
    allowed = MAY_INCLUDE.get(layer(name), MAY_INCLUDE["program"])
    for included in re.findall(r'^#include "(.+)"$', path.read_text(), re.MULTILINE):
        if included == "vmlinux.h" and layer(name) != "abi":
            continue
        beside = path.parent / included
        found = beside if beside.exists() else ROOT / "bpf" / included

        assert found.exists(), included
        assert not included.endswith(".bpf.c")
        if stage(path) and stage(path) == stage(found):
            continue  # parts of one stage
        if path.name == "hook.bpf.h" and stage(found):
            continue  # puts the stages in a row
        assert layer(found.relative_to(ROOT / "bpf").as_posix()) in allowed, included


@pytest.mark.parametrize("path", BPF_SOURCES, ids=relative)
def test_maps_are_in_few_headers(path):
    """Only those headers and the programs themselves declare maps."""
    if path.name not in MAP_HEADERS and not path.name.endswith(".bpf.c"):
        code = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)

        assert 'SEC(".maps")' not in code


# ---- every source file ----


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_licence_is_on_the_first_line(path):
    """The first line (after #!) names the licence; the kernel side's is another one."""
    lines = path.read_text().splitlines()[:2]
    kernel_side = relative(path).startswith("bpf/") or path.name.endswith(".bpf.c")
    licence = "GPL-2.0-only OR BSD-2-Clause" if kernel_side else "Apache-2.0"
    if path.name == "vmlinux.h":
        licence = "GPL-2.0-only"
    first = lines[1] if lines[0].startswith("#!") else lines[0]
    mark, _, end = first.partition(" ")

    assert mark in {"#", "//", "/*"}
    assert f"SPDX-License-Identifier: {licence}" == end.removesuffix(" */")


def test_names_say_what_is_inside():
    """No file is called after nothing in particular."""
    for path in SOURCES:
        stem = path.name.split(".", 1)[0].strip("_")

        assert stem not in FORBIDDEN_STEMS, relative(path)


def test_files_are_short():
    """No file is longer than a reader can hold; generated ones are not read."""
    for path in SOURCES:
        if path.name not in {"vmlinux.h", "_generated.py"}:
            count = path.read_bytes().count(b"\n")

            assert count <= LINES_MAX or relative(path) in LONG, relative(path)


def test_the_top_level_is_small():
    """Whoever opens the repository sees its parts and nothing else."""
    extra = {
        path.name
        for path in ROOT.iterdir()
        if not path.name.startswith(".") and path.suffix != ".egg-info"
    } - TOP_LEVEL

    assert set() == extra


# ---- Python modules ----


def defined(tree: ast.Module) -> set[str]:
    """The public functions and classes of a module."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {
        node.name
        for node in tree.body
        if isinstance(node, kinds) and not node.name.startswith("_")
    }


def listed(tree: ast.Module) -> list[str] | None:
    """The names in `__all__`, None if there is none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and [
            target.id for target in node.targets if isinstance(target, ast.Name)
        ] == ["__all__"]:
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def imported(tree: ast.Module) -> dict[str, set[str]]:
    """Module of ours -> names that are imported from it."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = found.setdefault(node.module, set())
            names |= {alias.name for alias in node.names}
    return found


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def sort_key(name: str) -> tuple[int, str]:
    """Constants, classes, functions; each in alphabetical order."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.suffix == ".py"], ids=relative
)
def test_module_says_what_it_is(path):
    """Every Python file starts with a docstring."""
    assert ast.get_docstring(parse(path))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_public_names_are_listed(path):
    """`__all__` has every public function and class, nothing made up, and is sorted."""
    if path.name.startswith("_") and path.name != "__init__.py":
        return
    tree = parse(path)
    names = listed(tree)
    if names is None:
        assert not defined(tree)
        assert path.name == "__init__.py"
        return

    assert sorted(names, key=sort_key) == names
    assert defined(tree) <= set(names)
    module = relative(path).removesuffix(".py").removesuffix("/__init__")
    space: dict[str, object] = {}
    exec(f"from {module.replace('/', '.')} import *", space)

    assert set(names) <= set(space)


def test_only_listed_names_are_imported():
    """What another module uses is public: it stands in `__all__`."""
    public = {}
    for path in MODULES:
        module = relative(path).removesuffix(".py").removesuffix("/__init__")
        own = listed(parse(path))
        if own is not None:
            public[module.replace("/", ".")] = set(own)
    packages = {name.rpartition(".")[0] for name in public}
    for path in MODULES:
        for module, names in imported(parse(path)).items():
            if module in public and module not in packages:
                assert names <= public[module], (relative(path), module)


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.name != "__init__.py"],
    ids=relative,
)
def test_module_has_tests_of_its_name(path):
    """tests/unit (or tests/bpf, for what needs a kernel) mirrors the tree."""
    name = path.relative_to(ROOT / "tetragon_py").with_suffix("").as_posix()
    folder, _, stem = name.rpartition("/")
    test = f"test_{stem.lstrip('_')}.py"
    exists = (ROOT / "tests/unit" / folder / test).exists() or (
        folder in {"libbpf", "loader"} and (ROOT / "tests/bpf" / test).exists()
    )

    assert exists is not (name in UNTESTED_ALONE)


# ---- versions ----


def test_version_is_told_once():
    """The package knows its version; pyproject.toml and the change log follow it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    changes = ROOT / "CHANGELOG.md"

    assert re.fullmatch(r"\d+\.\d+\.\d+", tetragon_py.__version__)
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "tetragon_py.__version__"
    }
    if changes.exists():
        text = changes.read_text()
        versions = re.findall(r"^## \[?([^\]\s]+)", text, re.MULTILINE)
        released = [version for version in versions if version != "Unreleased"]

        assert not released or released[0] == tetragon_py.__version__
