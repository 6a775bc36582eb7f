# SPDX-License-Identifier: Apache-2.0
"""The guest's kernel offers exactly what kernels.toml says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tetragon_py.libbpf.features import FEATURES, probe_all


def test_it_is_the_kernel_of_the_section(kernel):
    """The guest runs the version that its section is called after."""
    assert os.uname().release.startswith(f"{kernel.name}.")


def test_lsm_programs_run():
    """Bpf is in the list of security modules."""
    assert "bpf" in Path("/sys/kernel/security/lsm").read_text().split(",")


def test_features_are_the_expected_ones(kernel):
    """Nothing that is listed is missing, nothing else is found."""
    differences = []
    for result in probe_all():
        if result.name in kernel.features and not result.available:
            differences.append(
                f"{result.name} is expected on {kernel.name}, but: {result.reason}"
            )
        elif result.name not in kernel.features and result.available:
            differences.append(
                f"{result.name} is found on {kernel.name} ({result.reason}), but is "
                f"not in kernels.toml"
            )

    if differences:
        pytest.fail("\n".join(differences), pytrace=False)


def test_listed_features_exist(kernel):
    """Every name in the section is one that can be probed."""
    assert set() == (kernel.features | kernel.without.keys()) - FEATURES.keys()
