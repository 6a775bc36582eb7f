# SPDX-License-Identifier: Apache-2.0
"""Whole policies: our own ones cover the schema, the published ones all load."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.policy.texts import DATA
from tetragon_py.policy.diagnostic import Severity
from tetragon_py.policy.documents import load_text
from tetragon_py.policy.model.actions import ActionKind
from tetragon_py.policy.model.arguments import Argument, ArgumentType
from tetragon_py.policy.model.operators import Operator
from tetragon_py.policy.schema import Model
from tetragon_py.policy.source import SUFFIXES, load_policies

if TYPE_CHECKING:
    from tetragon_py.policy.loaded import LoadedPolicy

ACCEPTED = DATA / "accepted"
CORPUS = Path(
    os.environ.get("TETRAGON_CORPUS")
    or Path(__file__).parents[4] / "shared/corpus/examples"
)
#: These are filled in by a shell script before they are applied.
PLACEHOLDERS = {b"${PODCIDR}": b"10.44.0.0/14", b"${SERVICECIDR}": b"10.48.0.0/20"}
TEMPLATES = {
    "egress.yaml",
    "network_egress_cluster.yaml",
    "network_egress_cluster_enforce.yaml",
}


def load_accepted() -> tuple[LoadedPolicy, ...]:
    result = load_policies([ACCEPTED])
    assert not result.has_errors, [str(each) for each in result.diagnostics]
    return result.policies


def models(value: object) -> list[Model]:
    """Return all models inside of `value`, itself included."""
    if isinstance(value, Model):
        inner = [models(getattr(value, name)) for name in type(value).model_fields]
        return [value, *(model for found in inner for model in found)]
    if isinstance(value, dict):
        return [model for each in value.values() for model in models(each)]
    if isinstance(value, tuple):
        return [model for each in value for model in models(each)]
    return []


def test_own_policies_load():
    """They have no errors, and warnings only where those are the point."""
    result = load_policies([ACCEPTED])

    assert len(result.policies) == 20
    assert [d.message for d in result.diagnostics] == [
        "FollowFD does nothing",
        "UnfollowFD does nothing",
        "CopyFD does nothing",
        "'ConfigMap' is no policy: it is not read",
    ]


def test_own_policies_cover_the_schema():
    """Every field, argument type, operator and action is in one of them."""
    found = [model for loaded in load_accepted() for model in models(loaded.policy)]
    given = {(type(m), name) for m in found for name in m.model_fields_set}
    wanted = {(type(m), name) for m in found for name in type(m).model_fields}
    unused = {
        (kind.__name__, name)
        for kind, name in wanted - given
        if not issubclass(kind, Argument) and kind.__name__ != "Metadata"
    }

    assert unused == set()
    assert {name for kind, name in given if issubclass(kind, Argument)} == set(
        Argument.model_fields
    )
    assert {m.type for m in found if isinstance(m, Argument)} == set(ArgumentType)
    assert {m.action for m in found if hasattr(m, "action")} == set(ActionKind)
    assert {m.operator for m in found if hasattr(m, "operator")} >= set(Operator)


def corpus() -> list[Path]:
    return sorted(path for path in CORPUS.rglob("*") if path.suffix in SUFFIXES)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="set TETRAGON_CORPUS to the examples")
def test_published_policies_load():
    """All load; what is a template only after it was filled in."""
    paths = corpus()
    assert len(paths) >= 83
    for path in paths:
        data = path.read_bytes()
        result = load_text(data, path.name)
        if path.name in TEMPLATES:
            hints = {each.hint for each in result.diagnostics}
            assert hints == {
                "fill in the placeholder before loading, e.g. with envsubst"
            }
            for name, value in PLACEHOLDERS.items():
                data = data.replace(name, value)
            result = load_text(data, path.name)

        errors = [d for d in result.diagnostics if d.severity is Severity.ERROR]
        assert errors == []
        assert len(result.policies) == 1
