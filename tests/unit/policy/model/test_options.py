# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.model.options: names, values, defaults."""

from __future__ import annotations

import pytest

from tests.unit.policy.texts import check_refused, read_policy
from tetragon_py.policy.model.options import (
    OnFailure,
    OnReadError,
    OverrideMethod,
    PolicyMode,
    PolicyOptions,
    parse_option,
)


def test_refused():
    """An unknown option is no option: it is refused, with the nearest one."""
    check_refused("model-options")


def test_defaults():
    """Without options a policy enforces and ignores what it cannot read."""
    assert read_policy("kprobes: [{call: f}]").options == PolicyOptions(
        on_failure=OnFailure.IGNORE,
        on_read_error=OnReadError.IGNORE,
        policy_mode=PolicyMode.ENFORCE,
    )


def test_typed():
    """All options come out typed."""
    policy = read_policy(
        """
        kprobes: [{call: f}]
        options:
        - {name: disable-kprobe-multi, value: "1"}
        - {name: disable-uprobe-multi, value: "false"}
        - {name: on-failure, value: kill}
        - {name: On-Read-Error, value: Deny}
        - {name: override-method, value: fmod-ret}
        - {name: policy-mode, value: monitor-only}
        - {name: sleepable-preload-size, value: 64}
        """
    )

    assert policy.options == PolicyOptions(
        disable_kprobe_multi=True,
        disable_uprobe_multi=False,
        on_failure=OnFailure.KILL,
        on_read_error=OnReadError.DENY,
        override_method=OverrideMethod.FMOD_RET,
        policy_mode=PolicyMode.MONITOR_ONLY,
        sleepable_preload_size=64,
    )


@pytest.mark.parametrize("text", ["1", "t", "TRUE", " true "])
def test_truth(text):
    """The usual spellings of true are read."""
    assert parse_option("disable-kprobe-multi", text) is True
