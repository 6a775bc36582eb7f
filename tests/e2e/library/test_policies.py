# SPDX-License-Identifier: Apache-2.0
"""Every policy of the library fires when it should, and only then."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from tests.e2e.library.conftest import POLICIES
from tests.e2e.library.table import CASES

if TYPE_CHECKING:
    from tests.e2e.library.conftest import Library
    from tests.e2e.library.table import Case

pytestmark = pytest.mark.kernel(feature="lsm", since="5.7")
_DENIED = {errno.EPERM, errno.EACCES}


@pytest.mark.parametrize("case", CASES, ids=[case.policy for case in CASES])
def test_policy(library: Library, case: Case) -> None:
    """Each trigger is told, and denied where it has to be; the benign action is not."""
    library.require(case.policy)
    policy = POLICIES[case.policy]
    quiet = library.do(case.benign)
    for trigger in case.triggers:
        deed = library.do(trigger)
        body = library.wait_for(case.policy, deed.pid)

        assert body["message"]
        assert body["tags"] == [
            f"mitre.{tag}" for tag in (*policy.tactics, *policy.techniques)
        ]
        if library.mode == "enforce" and policy.effect == "blocks":
            assert deed.errno in _DENIED
    library.agent.settle()

    assert library.hits(case.policy, quiet.pid) == []
