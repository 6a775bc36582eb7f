# SPDX-License-Identifier: Apache-2.0
"""The modules of vmlinux/, imported by path: that folder is no package."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

FOLDER = Path(__file__).resolve().parents[3] / "vmlinux"


def load(name: str) -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="session")
def generate() -> ModuleType:
    return load("generate")


@pytest.fixture(scope="session")
def declarations() -> ModuleType:
    return load("declarations")


@pytest.fixture(scope="session")
def trim() -> ModuleType:
    return load("trim")


@pytest.fixture(scope="session")
def btf() -> ModuleType:
    return load("btf")


@pytest.fixture(scope="session")
def package() -> ModuleType:
    return load("package")


@pytest.fixture(scope="session")
def sources() -> ModuleType:
    return load("sources")
