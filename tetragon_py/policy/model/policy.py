# SPDX-License-Identifier: Apache-2.0
"""A policy: what stands in one YAML document of kind TracingPolicy.

The models are what the document says, typed and frozen; rules that concern more than
one field are in check/, and a Policy that comes from source.py has passed them.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from tetragon_py.policy.model.hooks import (
    Hook,
    HookSection,
    KprobeHook,
    LsmHook,
    TracepointHook,
    UprobeHook,
    UsdtHook,
)
from tetragon_py.policy.model.names import Function, ListName, matches, spelled
from tetragon_py.policy.model.options import Option, PolicyOptions
from tetragon_py.policy.model.selectors import Selector
from tetragon_py.policy.model.workloads import (
    ContainerSelector,
    HostSelector,
    LabelSelector,
)
from tetragon_py.policy.schema import Flag, Model, Text

__all__ = [
    "API_VERSION",
    "Enforcer",
    "ListType",
    "Metadata",
    "NameList",
    "Policy",
    "PolicyKind",
    "Spec",
]

API_VERSION = "cilium.io/v1alpha1"


class PolicyKind(StrEnum):
    """Kinds of documents."""

    TRACING_POLICY = "TracingPolicy"
    NAMESPACED = "TracingPolicyNamespaced"


class ListType(StrEnum):
    """What the names of a list are, and who writes them."""

    FUNCTIONS = ""
    SYSCALLS = "syscalls"
    GENERATED_SYSCALLS = "generated_syscalls"
    GENERATED_FTRACE = "generated_ftrace"


_DNS = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_PolicyName = Annotated[
    Text,
    matches(
        rf"(?=.{{1,253}}$){_DNS}(\.{_DNS})*",
        "policy name",
        "use lower case letters, digits, '-' and '.'; letters or digits at the ends",
    ),
]


class Enforcer(Model):
    """Where NotifyEnforcer takes effect."""

    calls: tuple[Function, ...] = Field(min_length=1)


class NameList(Model):
    """Names for `list:NAME`."""

    name: ListName
    type: Annotated[ListType, spelled(ListType, "type of list")] = ListType.FUNCTIONS
    values: tuple[Function, ...] = ()
    pattern: Text | None = None
    #: A mark of another agent; without meaning.
    validated: Flag = False


class Metadata(Model):
    """Name and labels; what a cluster adds is accepted and unused."""

    name: _PolicyName
    namespace: Text | None = None
    labels: dict[Text, Text] = {}  # noqa: RUF012 - pydantic copies defaults
    annotations: dict[Text, Text] = {}  # noqa: RUF012 - pydantic copies defaults
    creation_timestamp: object = None
    finalizers: object = None
    generate_name: object = None
    generation: object = None
    managed_fields: object = None
    owner_references: object = None
    resource_version: object = None
    uid: object = None


class Spec(Model):
    """What the policy does."""

    kprobes: tuple[KprobeHook, ...] = ()
    fentries: tuple[KprobeHook, ...] = ()
    tracepoints: tuple[TracepointHook, ...] = ()
    lsmhooks: tuple[LsmHook, ...] = ()
    uprobes: tuple[UprobeHook, ...] = ()
    usdts: tuple[UsdtHook, ...] = ()
    loader: Flag = False
    enforcers: tuple[Enforcer, ...] = ()
    lists: tuple[NameList, ...] = ()
    options: tuple[Option, ...] = ()
    selectors_macros: dict[Text, Selector] = {}  # noqa: RUF012 - pydantic copies defaults
    pod_selector: LabelSelector | None = None
    container_selector: ContainerSelector | None = None
    host_selector: HostSelector | None = None
    node_selector: LabelSelector | None = None


class Policy(Model):
    """One document."""

    api_version: Literal["cilium.io/v1alpha1"]
    kind: Annotated[PolicyKind, spelled(PolicyKind, "kind")]
    metadata: Metadata
    spec: Spec

    @property
    def name(self) -> str:
        """The name; unique in a set of policies of one namespace."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """The Kubernetes namespace, empty for the whole host."""
        if self.kind is PolicyKind.TRACING_POLICY:
            return ""
        return self.metadata.namespace or "default"

    @property
    def options(self) -> PolicyOptions:
        """The options, typed and with their defaults."""
        return PolicyOptions.of(self.spec.options)

    def hooks(self) -> Iterator[tuple[HookSection, int, Hook]]:
        """Yield section, position in it and hook; its path is (spec, section, i)."""
        for section in HookSection:
            for index, hook in enumerate(getattr(self.spec, section.value)):
                yield section, index, hook
