# SPDX-License-Identifier: Apache-2.0
"""What tests of policies stand on."""

from __future__ import annotations

import pytest

from tests.unit.daemon.policy_host import Host


@pytest.fixture
def host(tmp_path):
    folder = tmp_path / "tetragon.tp.d"
    folder.mkdir()
    folder.chmod(0o755)
    return Host(folder)
