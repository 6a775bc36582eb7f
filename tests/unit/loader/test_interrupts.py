# SPDX-License-Identifier: Apache-2.0
"""Where interrupts are counted, by the symbols of several kernels."""

from __future__ import annotations

import pytest

from tetragon_py.loader import interrupts
from tetragon_py.loader.symbols import Symbols

OFFSETS = "ffffffff82000000 D __per_cpu_offset\n"


@pytest.mark.parametrize(
    ("text", "counter"),
    [
        (f"0000000000020b00 A __preempt_count\n{OFFSETS}", 0x20B00),
        (f"{OFFSETS}0000000000034f00 A pcpu_hot\n", 0x34F08),
        ("0000000000020b00 A __preempt_count\n", None),  # no CONFIG_KALLSYMS_ALL
        (OFFSETS, None),
        (f"0000000000000000 A __preempt_count\n0000000000000000{OFFSETS[16:]}", None),
    ],
)
def test_constants(tmp_path, monkeypatch, text, counter):
    """The counter of the first CPU without its offset; nothing where it is not told."""
    path = tmp_path / "kallsyms"
    path.write_text(text)
    monkeypatch.setattr(interrupts, "Symbols", lambda: Symbols(path))
    interrupts.interrupt_constants.cache_clear()
    found = interrupts.interrupt_constants()
    interrupts.interrupt_constants.cache_clear()

    wanted = {"preempt_counts": counter, "cpu_offsets": 0xFFFFFFFF82000000}
    assert found == (wanted if counter is not None else {})
