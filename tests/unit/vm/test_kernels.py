# SPDX-License-Identifier: Apache-2.0
"""Tests of tests.vm.kernels: kernels.toml is right, and mistakes in it are told."""

from __future__ import annotations

import pytest

from tests.vm.kernels import KernelsError, load_kernels, parse_kernels

HEAD = """
[qemu]
suites = ["backports"]
packages = { qemu = "1:1" }
[smoke]
tests = ["t"]
"""
KERNEL = """
[kernel."5.10"]
suites = ["old", "old-security"]
newest = "meta"
packages = { image = "1" }
features = ["one"]
without = { two = "off" }
"""


def test_a_kernel():
    """What is told is there; what is not has a default."""
    kernel = parse_kernels(HEAD + KERNEL).kernels["5.10"]

    assert kernel.packages.suites == ("old", "old-security")
    assert dict(kernel.packages.versions) == {"image": "1"}
    assert kernel.packages.newest == "meta"
    assert kernel.version == (5, 10)
    assert not kernel.has_systemd
    assert not kernel.command_line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[kernel", "kernels.toml: "),
        (HEAD, "no \\[kernel.NAME\\]"),
        (HEAD + KERNEL + "sytemd = true", "unknown: sytemd"),
        (HEAD + KERNEL.replace('["one"]', '["two"]'), "in without: two"),
        (HEAD + KERNEL.replace('["one"]', '"one"'), "features: list is needed"),
        (HEAD + KERNEL.replace('image = "1"', ""), "needs suites and packages"),
        (HEAD + KERNEL.replace('"meta"', "1"), "newest: str is needed"),
        (HEAD + KERNEL + "[kernels.x]", "unknown: kernels"),
        (HEAD + KERNEL + "[native.x]\noptions_off = []\nwithout = {}", "every kernel"),
    ],
)
def test_mistakes(text, message):
    """What is wrong is told with its section and key."""
    with pytest.raises(KernelsError, match=message):
        parse_kernels(text)


def test_our_kernels():
    """The four of Debian; one of them boots systemd too."""
    kernels = load_kernels().kernels

    assert [name.split(".")[0] for name in kernels] == ["5", "6", "6", "7"]
    assert sum(kernel.has_systemd for kernel in kernels.values()) == 1
    assert list(kernels.values()) == sorted(kernels.values(), key=lambda k: k.version)


def test_every_feature_is_judged():
    """A kernel that is old enough for a feature has it, or says why not."""
    features = pytest.importorskip("tetragon_py.libbpf.features").FEATURES
    for kernel in load_kernels().kernels.values():
        for name, feature in features.items():
            since = tuple(map(int, feature.since.split(".")))
            if since <= kernel.version:
                assert name in kernel.features | kernel.without.keys(), kernel.name
            else:
                assert name not in kernel.features | kernel.without.keys()

        assert kernel.features | kernel.without.keys() <= features.keys()


def test_native_features_exist():
    """What a native kernel is excused from are features."""
    features = pytest.importorskip("tetragon_py.libbpf.features").FEATURES
    for native in load_kernels().native:
        assert native.without.keys() <= features.keys()
