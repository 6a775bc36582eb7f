# SPDX-License-Identifier: Apache-2.0
"""What lies in these folders says something in guests, and is no test elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.vm.expected import guest_kernel

if TYPE_CHECKING:
    from tests.vm.kernels import Kernel

if guest_kernel() is None:
    collect_ignore = ["in_guest", "in_systemd"]
elif not Path("/run/systemd/system").is_dir():
    collect_ignore = ["in_systemd"]


@pytest.fixture(scope="session")
def kernel() -> Kernel:
    """The section of kernels.toml that this guest was booted from."""
    found = guest_kernel()
    assert found is not None
    return found
