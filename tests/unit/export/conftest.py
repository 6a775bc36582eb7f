# SPDX-License-Identifier: Apache-2.0
"""What the tests of the export file share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.export.sinks import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A folder of its own; its sinks are closed afterwards."""
    made = World(tmp_path / "log")
    yield made
    made.close()
