# SPDX-License-Identifier: Apache-2.0
"""Selectors of pods, containers, hosts and nodes by their labels."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from tetragon_py.policy.diagnostic import PolicyValueError, one_of, quote
from tetragon_py.policy.model.names import spelled
from tetragon_py.policy.schema import Model, Text

__all__ = [
    "ContainerSelector",
    "HostSelector",
    "LabelExpression",
    "LabelOperator",
    "LabelSelector",
    "Workloads",
]

#: What a container selector may ask for.
_CONTAINER_KEYS = ("name", "repo")


class LabelOperator(StrEnum):
    """How an expression compares a label."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


def _check_key(key: str) -> str:
    if not key or len(key) > 317 or not key.isprintable() or " " in key:
        raise PolicyValueError(f"{quote(key)} is no label")
    return key


def _check_container_key(key: str) -> str:
    if key not in _CONTAINER_KEYS:
        raise PolicyValueError(
            f"a container has no field {quote(key)}",
            lambda: one_of(key, _CONTAINER_KEYS),
        )
    return key


_Key = Annotated[Text, AfterValidator(_check_key)]


class LabelExpression(Model):
    """One condition on the label `key`."""

    key: _Key
    operator: Annotated[LabelOperator, spelled(LabelOperator, "operator")]
    values: tuple[Text, ...] = ()


class LabelSelector(Model):
    """All conditions must hold; without any it selects everything."""

    match_labels: dict[_Key, Text] = {}  # noqa: RUF012 - pydantic copies defaults
    match_expressions: tuple[LabelExpression, ...] = ()


class _ContainerExpression(LabelExpression):
    key: Annotated[Text, AfterValidator(_check_container_key)]


class ContainerSelector(LabelSelector):
    """A selector whose labels are fields of a container: name, repo."""

    match_labels: dict[Annotated[Text, AfterValidator(_check_container_key)], Text] = {}  # noqa: RUF012 - pydantic copies defaults
    match_expressions: tuple[_ContainerExpression, ...] = ()


class HostSelector(Model):
    """All processes of the host; it has no conditions."""


class Workloads(Model):
    """What processes belong to; a selector that is absent selects nothing."""

    pod_selector: LabelSelector | None = None
    container_selector: ContainerSelector | None = None
    host_selector: HostSelector | None = None
