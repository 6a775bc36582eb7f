# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.model.workloads: selectors by label."""

from __future__ import annotations

from tests.unit.policy.texts import check_refused, read_policy
from tetragon_py.policy.model.workloads import HostSelector, LabelOperator


def test_refused():
    """Each wrong field is told with its place and a hint."""
    check_refused("model-workloads")


def test_read():
    """Selectors are read; null is the same as none."""
    spec = read_policy(
        """
        kprobes: [{call: f}]
        podSelector:
          matchLabels: {app: web, "k8s:io.kubernetes.pod.namespace": x}
          matchExpressions: [{key: tier, operator: notin, values: [db]}]
        containerSelector: {matchLabels: {name: main}}
        hostSelector: {}
        nodeSelector: ~
        """
    ).spec

    assert spec.pod_selector is not None
    assert spec.pod_selector.match_labels["app"] == "web"
    assert spec.pod_selector.match_expressions[0].operator is LabelOperator.NOT_IN
    assert spec.container_selector is not None
    assert spec.host_selector == HostSelector()
    assert spec.node_selector is None
