# SPDX-License-Identifier: Apache-2.0
"""Policies on BPF, modules and terminals; and what no release runs yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.corpus.example import Example
from tests.corpus.patterns import file, function, number, text, unsigned
from tests.corpus.triggers import kernel

if TYPE_CHECKING:
    from tests.corpus.patterns import Pattern
    from tests.corpus.told import Told

__all__ = ["KERNEL", "LATER"]

_OK = number(0)
_READING_MODULE = number(2)


def _objects(told: Told) -> list[Pattern]:
    program = {
        "ProgType": "BPF_PROG_TYPE_SOCKET_FILTER",
        "InsnCnt": 2,
        "ProgName": "corpus_prog",
    }
    map_ = {
        "MapType": "BPF_MAP_TYPE_ARRAY",
        "KeySize": 4,
        "ValueSize": 8,
        "MaxEntries": 17,
        "MapName": "corpus_map",
    }
    event = {"Type": "PERF_TYPE_SOFTWARE", "Config": "2"}
    return [
        function("bpf_check", {"bpf_attr_arg": program}),
        function(told["map_function"], {"bpf_map_arg": map_}),
        function("security_perf_event_alloc", {"perf_event_arg": event}),
    ]


def _objects_and_files(told: Told) -> list[Pattern]:
    folder = file("/sys/fs/bpf", told["permission"])
    return [
        *_objects(told),
        function("security_file_permission", folder, number(4), returned=_OK),
    ]


def _requested(told: Told) -> list[Pattern]:
    none = file(told["path"], told["permission"])
    return [
        function("security_kernel_module_request", text(told["request"]), returned=_OK),
        function("security_kernel_read_file", none, _READING_MODULE, returned=_OK),
    ]


def _loaded(told: Told) -> list[Pattern]:
    found = file(told["module_path"], told["permission"])
    module = {"module_arg": {"name": told["module"], "signature_ok": True}}
    return [
        *_requested(told),
        function("security_kernel_read_file", found, _READING_MODULE, returned=_OK),
        function("do_init_module", module),
        function("free_module", module),
    ]


def _terminal(told: Told) -> list[Pattern]:
    data = {"bytes_arg": told["data"]}
    return [function("tty_write", file(told["path"], told["permission"]), data)]


def _mapped(told: Told) -> list[Pattern]:
    library = file(told["path"], told["permission"])
    return [function("security_mmap_file", library, unsigned(1), returned=_OK)]


KERNEL = [
    Example("tracingpolicy/bpf.yaml", kernel.use_bpf, _objects),
    Example("policylibrary/bpf.yaml", kernel.use_bpf, _objects_and_files),
    Example("policylibrary/modules.yaml", kernel.request_modules, _requested),
    Example(
        "tracingpolicy/host-changes/monitor-kernel-modules.yaml",
        kernel.load_module,
        _loaded,
    ),
    Example(
        "tracingpolicy/host-changes/monitor-signed-kernel-modules.yaml",
        kernel.load_module,
        refused={"*": "the kernel has no function 'find_module_sections'"},
    ),
    Example("tracingpolicy/tty.yaml", kernel.write_terminal, _terminal),
    Example(
        "tracingpolicy/tty_54.yaml", refused={"*": "'tty_write' has no argument 2"}
    ),
    Example(
        "tracingpolicy/cves/cve-2024-3094-xz-ssh.yaml", kernel.map_library, _mapped
    ),
]

_LATER = {
    "loader events cannot run in this release": (
        "policylibrary/library.yaml",
        "tracingpolicy/loader.yaml",
    ),
    "podSelector cannot run in this release": ("tracingpolicy/modules-nohost.yaml",),
    "uprobes cannot run in this release": (
        "tracingpolicy/uprobe-binaries.yaml",
        "tracingpolicy/uprobe-host.yaml",
        "tracingpolicy/uprobe-pid.yaml",
        "tracingpolicy/uprobe.yaml",
    ),
    "usdts cannot run in this release": (
        "tracingpolicy/usdt-set.yaml",
        "tracingpolicy/usdt.yaml",
    ),
}
LATER = [
    Example(file, refused={"*": reason})
    for reason, files in _LATER.items()
    for file in files
]
