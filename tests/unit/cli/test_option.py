# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.cli.option: one click option per field of the settings."""

from __future__ import annotations

import click
import pytest

from tetragon_py.cli.option import given_settings, setting_options
from tetragon_py.settings import Settings


def command():
    return click.Command("x", params=setting_options())


def test_one_option_per_field():
    """Every field has its option, in the order of the model."""
    names = [option.name for option in setting_options()]

    assert names == list(Settings.model_fields)


def test_flags_have_a_negative():
    """A flag can be switched on and off, and is neither if it is not given."""
    seen = [
        given_settings(command().make_context("x", args))
        for args in ([], ["--timestamps"], ["--no-timestamps"])
    ]

    assert seen == [{}, {"timestamps": True}, {"timestamps": False}]


def test_given_settings_keep_text():
    """Only options on the command line count, as they were typed."""
    ctx = command().make_context("x", ["--policy-ring-size", "1K", "--output", "xml"])

    assert given_settings(ctx) == {"policy_ring_size": "1K", "output": "xml"}


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--tracing-policy", "a.yaml"], "a.yaml"),
        (["--tracing-policy", "a.yaml", "--tracing-policy=b.yaml"], "a.yaml,b.yaml"),
        (["--tracing-policy", "a.yaml,b.yaml"], "a.yaml,b.yaml"),
        (["--tracing-policy", ""], ""),
    ],
)
def test_lists_of_files_can_be_given_several_times(args, expected):
    """They are joined as in a file; an empty one goes back to the default."""
    ctx = command().make_context("x", args)

    assert given_settings(ctx) == {"tracing_policy": expected}


def test_choices_are_completed():
    """The shell completes the words that a field allows."""
    option = next(o for o in setting_options() if o.name == "log_level")
    items = option.shell_complete(click.Context(command()), "w")

    assert [item.value for item in items] == ["warning"]
