# SPDX-License-Identifier: Apache-2.0
"""tests/bpf/progs/classify.bpf.c in the kernel: plans and hits in, matches out."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING, NamedTuple, Self

from tests.fuzz.record import INPUT_SIZE, pack_input
from tetragon_py.abi import _generated as c
from tetragon_py.errors import KernelError
from tetragon_py.libbpf import BpfObject
from tetragon_py.libbpf._libbpf import ffi, lib
from tetragon_py.libbpf.maps import can_create, possible_cpus
from tetragon_py.loader.tables import PolicyTables, SelectorNumbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.fuzz.hit import ArgumentKey, Hit, Process
    from tetragon_py.compiler.plan import HookPlan, Plan
    from tetragon_py.loader.tables import StoredTables

__all__ = ["HITS_MAX", "Classified", "Classifier", "StoredHook"]

#: Those of classify.bpf.c.
HITS_MAX = 128
_TOLD_MAX = 512
_OUTPUT = struct.Struct(f"<{c.VECTOR_WORDS}QQ")
_HASH = 1  # BPF_MAP_TYPE_HASH
_GENERATION = 1
_CLASSES_AT = c.PROCESS_ENTRY_OFFSETS["classes"]


class Classified(NamedTuple):
    """What the kernel made of a hit."""

    matched: int  #: vector: bit n is selector n of the hook
    told: tuple[tuple[int, int], ...]  #: match number and selector, in their order


class StoredHook(NamedTuple):
    """A hook and the classes of processes in the maps."""

    tables: StoredTables
    classes: StoredTables


class Classifier:
    """The test program, loaded. A context manager; for one thread.

    Args:
        image: The object, built from classify.bpf.c.
        has_long_texts: False: as on kernels whose hash keys end at 512 bytes.
    """

    def __init__(self, image: bytes, *, has_long_texts: bool = True) -> None:
        self._undo = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            self._object = undo.enter_context(BpfObject(image, "classify"))
            maps = self._object.maps
            maps["hits"].set_max_entries(possible_cpus())
            maps["processes"].set_max_entries(64)
            #: The longest text that can be compared as a whole.
            self.text_bytes_max = c.LONG_TEXT_BYTES
            if not has_long_texts or not can_create(_HASH, c.LONG_TEXT_KEY_SIZE, 4):
                self.text_bytes_max = c.SHORT_TEXT_BYTES
                maps["long_texts"].skip()
                self._object.set_constant("has_long_texts", 0)
            self._object.load()
            self._tables = PolicyTables(maps)
            self._undo = undo.pop_all()
        self._maps = maps
        self._keys = b"".join(_u32(number) for number in range(HITS_MAX))

    def close(self) -> None:
        """Take it out of the kernel; twice does nothing."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def store(self, plan: Plan, hook: HookPlan) -> Iterator[StoredHook]:
        """Write the tables of a plan; matches are numbered by policy and hook entry."""
        with contextlib.ExitStack() as undo:
            numbers: dict[tuple[str, str], int] = {}
            for selector in hook.selectors:
                key = (selector.policy, selector.hook_entry)
                numbers.setdefault(key, len(numbers))
            tables = self._tables.store_hook(
                hook,
                _GENERATION,
                [
                    SelectorNumbers(numbers[s.policy, s.hook_entry], counter)
                    for counter, s in enumerate(hook.selectors)
                ],
            )
            undo.callback(tables.give_back)
            classes = self._tables.store_classes(plan.classes)
            undo.callback(classes.give_back)
            for half in range(2):
                self._maps["class_configs"].update(_u32(half), classes.class_config)
            yield StoredHook(tables, classes)

    def classify_process(self, process: Process) -> bytes:
        """Return struct process_class of a process, by the forks and execs it had."""
        before = None
        for image in process.images:
            is_fork = before is None or image.pid != before.pid
            if is_fork:
                parent = 0 if before is None else before.pid
                self._run("fork", image.pid, parent, image.namespace_pid)
            if not is_fork or before is None or image.binary != before.binary:
                path = image.binary.rjust(c.PATH_MAX_BYTES, b"\0")
                self._maps["paths"].update(_u32(0), path)
                self._run("exec", image.pid, len(image.binary))
            before = image
        entry = self._maps["processes"].lookup(_u32(process.pid)) or b""
        for image in process.images:
            self._maps["processes"].delete(_u32(image.pid))
        classes = entry[_CLASSES_AT:]
        size = c.PROCESS_CLASS_SIZE
        assert classes[:size] == classes[size : 2 * size]
        return classes[:size]

    def classify(
        self,
        stored: StoredHook,
        slots: Sequence[ArgumentKey],
        hits: Sequence[tuple[Hit, bytes]],
    ) -> list[Classified]:
        """Classify hits, each with the class of its process; at most HITS_MAX."""
        inputs = b"".join(
            pack_input(hit, slots, stored.tables.row, process_class)
            for hit, process_class in hits
        )
        assert len(inputs) == len(hits) * INPUT_SIZE
        self._maps["inputs"].update_many(self._keys[: 4 * len(hits)], inputs)
        done = self._run("classify_all", len(hits))
        assert done == len(hits)
        return [self._read(number) for number in range(len(hits))]

    def _read(self, number: int) -> Classified:
        output = self._maps["outputs"].lookup(_u32(number)) or b""
        *words, count = _OUTPUT.unpack_from(output)
        assert count < _TOLD_MAX
        numbers = struct.unpack_from(f"<{2 * count}H", output, _OUTPUT.size)
        told = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        matched = int.from_bytes(output[: 8 * len(words)], "little")
        return Classified(matched, told)

    def _run(self, name: str, *arguments: int) -> int:
        context = struct.pack(f"={len(arguments)}Q", *arguments)
        result = ffi.new("__u32 *")
        error = lib.tpy_test_run(
            self._object.programs[name].fd,
            ffi.from_buffer("char[]", context),
            len(context),
            result,
        )
        status = int(ffi.cast("int", result[0]))
        if error < 0 or status < 0:
            raise KernelError(f"run {name}", -(error or status))
        return status


def _u32(number: int) -> bytes:
    return number.to_bytes(4, "little")
