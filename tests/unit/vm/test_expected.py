# SPDX-License-Identifier: Apache-2.0
"""Tests of tests.vm.expected: who is excused from a feature."""

from __future__ import annotations

import pytest

from tests.vm import expected


@pytest.fixture(autouse=True)
def _fresh():
    expected._without.cache_clear()
    yield
    expected._without.cache_clear()


def test_in_a_guest(monkeypatch):
    """The section of the guest decides."""
    monkeypatch.setenv(expected.KERNEL_VARIABLE, "6.1")

    assert expected.configured_without("kprobe_multi")
    assert not expected.configured_without("kprobe")


def test_unknown_guest(monkeypatch):
    """A kernel that has no section is a mistake of the runner."""
    monkeypatch.setenv(expected.KERNEL_VARIABLE, "1.0")

    with pytest.raises(KeyError):
        expected.configured_without("kprobe")


@pytest.mark.parametrize(
    ("configuration", "excused"),
    [
        ("# CONFIG_KPROBES is not set\nCONFIG_BPF=y\n", True),
        ("CONFIG_KPROBES=y\n", False),
        ("", False),  # not readable: nothing is excused
    ],
)
def test_natively(monkeypatch, configuration, excused):
    """The running kernel is known by its own configuration."""
    monkeypatch.delenv(expected.KERNEL_VARIABLE, raising=False)
    monkeypatch.setattr(expected, "_configuration", lambda: configuration)

    assert expected.configured_without("kprobe") is excused


def test_options_are_off():
    """An option is on as y and as m; a longer name is another option."""
    text = "CONFIG_A=m\nCONFIG_B_LONG=y\n# CONFIG_C is not set\n"

    assert expected.options_are_off(text, ("CONFIG_B", "CONFIG_C"))
    assert not expected.options_are_off(text, ("CONFIG_C", "CONFIG_A"))
