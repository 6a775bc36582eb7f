# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.model.selectors: typed values of filters."""

from __future__ import annotations

from tests.unit.policy.texts import check_refused, read_hook
from tetragon_py.policy.model.kernel_names import Namespace
from tetragon_py.policy.model.operators import Operator
from tetragon_py.policy.model.selectors import FILTERS, HOST_NAMESPACE, CapabilitySet


def test_refused():
    """Each wrong value is told with its place and a hint."""
    check_refused("model-selectors")


def test_typed():
    """Values of filters on the process are numbers and names of the kernel."""
    [selector] = read_hook(
        """
        kprobes:
        - call: f
          selectors:
          - label: all
            matchPIDs:
            - {operator: in, values: [0, 1], isNamespacePid: true, followForks: true}
            matchNamespaces:
            - {namespace: pid, operator: NotIn, values: [HOST_NS, "4026531836", 7]}
            matchNamespaceChanges: [{operator: In, values: [mnt, PidForChildren]}]
            matchCapabilities:
            - {operator: In, values: [CAP_SYS_ADMIN, DAC_OVERRIDE, "40", 5]}
            matchCapabilityChanges:
            - {type: permitted, operator: In, values: [cap_bpf]}
            matchBinaries: [{operator: notpostfix, values: [sh]}]
        """
    ).selectors

    assert selector.label == "all"
    [pids] = selector.match_pids
    assert (pids.operator, pids.values) == (Operator.IN, (0, 1))
    assert (pids.is_namespace_pid, pids.follow_forks) == (True, True)
    [namespaces] = selector.match_namespaces
    assert namespaces.namespace is Namespace.PID
    assert namespaces.values == (HOST_NAMESPACE, 4026531836, 7)
    [changes] = selector.match_namespace_changes
    assert changes.values == (Namespace.MNT, Namespace.PID_FOR_CHILDREN)
    [capabilities] = selector.match_capabilities
    assert capabilities.type is CapabilitySet.EFFECTIVE
    assert capabilities.values == (21, 1, 40, 5)
    [capability_changes] = selector.match_capability_changes
    assert capability_changes.type is CapabilitySet.PERMITTED
    assert capability_changes.values == (39,)
    assert selector.match_binaries[0].operator is Operator.NOT_POSTFIX


def test_values_keep_their_text():
    """A number without quotes is what was written, not what YAML makes of it."""
    [selector] = read_hook(
        """
        kprobes:
        - call: f
          args: [{index: 0, type: int}]
          selectors:
          - matchArgs: [{index: 0, operator: Equal, values: [0x10, 010, 1, "2"]}]
          - matchArgs: [{index: 0, operator: InRange, values: [1:30]}]
        """
    ).selectors[:1]

    assert selector.match_args[0].values == ("0x10", "010", "1", "2")


def test_filters():
    """All filters and actions have their key in YAML."""
    assert len(FILTERS) == 13
    assert FILTERS["match_pids"] == "matchPIDs"
    assert FILTERS["match_return_actions"] == "matchReturnActions"
