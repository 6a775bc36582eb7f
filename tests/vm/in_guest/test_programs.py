# SPDX-License-Identifier: Apache-2.0
"""Every BPF program loads where it did, and has not grown: programs.toml."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.vm.in_guest.program_sizes import measure_programs
from tests.vm.programs import PROGRAMS_FILE, compare_sizes, load_table


def test_programs_are_as_in_the_table(kernel):
    """Loads or not, and at most 10 % more instructions for the verifier."""
    sizes, errors = measure_programs()
    output = Path(os.environ["TETRAGON_TEST_OUTPUT"])
    (output / "programs.json").write_text(json.dumps(sizes))
    if os.environ.get("TETRAGON_TEST_UPDATE"):
        return
    table = load_table(PROGRAMS_FILE.read_text())

    if problems := compare_sizes(table, kernel.name, sizes, errors):
        pytest.fail("\n".join(problems), pytrace=False)
