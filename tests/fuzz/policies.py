# SPDX-License-Identifier: Apache-2.0
"""Random policies, as documents: plain data that YAML can write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.fuzz.filters import COMPAT_LIST, NATIVE_LIST, argument_filter
from tests.fuzz.shape import argument_document
from tests.fuzz.target import EVENT, FUNCTION, OTHER_FUNCTION, SUBSYSTEM, SYSCALLS
from tetragon_py.policy.model.kernel_names import CAPABILITIES, Namespace
from tetragon_py.policy.model.operators import TypeKind
from tetragon_py.policy.model.selectors import HOST_NAMESPACE, CapabilitySet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from tests.fuzz.hit import ArgumentKey
    from tests.fuzz.pools import Pools
    from tests.fuzz.shape import Shape

__all__ = ["Document", "PolicyMaker", "draw_count", "write_documents"]

Document = dict[str, Any]

_SELECTORS = (1, 1, 2, 2, 3, 4, 5)
_FILTERS = (0, 1, 1, 1, 2, 2, 3)
_FEW = (1, 1, 2, 3)
_OTHER_SHARE = 0.05
#: How many policies -> how often.
_COUNTS = {(1, 3): 50, (4, 12): 38, (13, 60): 10, (61, 200): 2}


def draw_count(rng: Random, most: int) -> int:
    """Return a number of policies: mostly few, sometimes `most`."""
    [(low, high)] = rng.choices(list(_COUNTS), list(_COUNTS.values()))
    return min(rng.randint(low, high), most)


def write_documents(documents: Sequence[Document]) -> bytes:
    """Return the text of a file: each document as JSON, which YAML can read."""
    return b"".join(b"---\n" + json.dumps(d).encode() + b"\n" for d in documents)


class _ProcessFilter(NamedTuple):
    """A filter on the process: its key, and what draws an entry."""

    key: str
    draw: Callable[[], Document]


class PolicyMaker:
    """Makes the policies of one round.

    Only some filters on processes are used in a round, for a hook can compare 24
    properties only.
    """

    def __init__(
        self, rng: Random, pools: Pools, shape: Shape, text_bytes_max: int
    ) -> None:
        self._rng = rng
        self._pools = pools
        self._shape = shape
        self._text_bytes_max = text_bytes_max
        self._namespaces = rng.sample(list(Namespace), 2)
        self._set = rng.choice(list(CapabilitySet))
        self._capability_names = rng.sample([*sorted(CAPABILITIES), "63", "41"], 6)
        known = [
            _ProcessFilter("matchPIDs", self._pids),
            _ProcessFilter("matchBinaries", self._binaries),
            _ProcessFilter("matchParentBinaries", self._parents),
            _ProcessFilter("matchNamespaces", self._namespace),
            _ProcessFilter("matchNamespaceChanges", self._namespace_changes),
            _ProcessFilter("matchCapabilities", self._capabilities),
            _ProcessFilter("matchCapabilityChanges", self._capabilities),
        ]
        self._process = rng.sample(known, rng.randint(0, 3))

    def policy(self, number: int) -> Document:
        """Return a policy."""
        rng = self._rng
        hooks = [self._hook() for _ in range(2 if rng.random() < 0.05 else 1)]
        section = "tracepoints" if self._shape.is_tracepoint else "kprobes"
        # it is this process that signals would be sent to
        options = [{"name": "policy-mode", "value": "monitor"}]
        if rng.random() < 0.2:
            options.append({"name": "on-read-error", "value": "deny"})
        spec: Document = {section: hooks, "options": options}
        native = rng.sample(sorted(SYSCALLS["x64"]), 2)
        compat = [f"i386/{name}" for name in rng.sample(sorted(SYSCALLS["i386"]), 2)]
        spec["lists"] = [
            {"name": name, "type": "syscalls", "values": values}
            for name, values in ((NATIVE_LIST, native), (COMPAT_LIST, compat))
        ]
        return {
            "apiVersion": "cilium.io/v1alpha1",
            "kind": "TracingPolicy",
            "metadata": {"name": f"p{number}"},
            "spec": spec,
        }

    def _hook(self) -> Document:
        rng, shape = self._rng, self._shape
        args = rng.sample(shape.args, rng.randint(1, len(shape.args)))
        hook: Document
        if shape.is_tracepoint:
            hook = {"subsystem": SUBSYSTEM, "event": EVENT}
            hook["args"] = [argument_document(key) for key in args]
            return self._with_selectors(hook, args, [])
        call = OTHER_FUNCTION if rng.random() < _OTHER_SHARE else FUNCTION
        hook = {"call": call, "syscall": False}
        wants_return = bool(shape.returned) and rng.random() < 0.5
        if wants_return or any(key.at_return for key in args):
            hook["return"] = True
            hook["returnArg"] = argument_document(rng.choice(shape.returned))
        hook["args"] = [argument_document(key) for key in args]
        data = rng.sample(shape.data, rng.randint(0, len(shape.data)))
        if data:
            hook["data"] = [argument_document(key) for key in data]
        return self._with_selectors(hook, args, data)

    def _with_selectors(
        self, hook: Document, args: list[ArgumentKey], data: list[ArgumentKey]
    ) -> Document:
        rng = self._rng
        if rng.random() < 0.95:
            count = rng.choice(_SELECTORS)
            hook["selectors"] = [self._selector(hook, args, data) for _ in range(count)]
        return hook

    def _selector(
        self, hook: Document, args: list[ArgumentKey], data: list[ArgumentKey]
    ) -> Document:
        rng = self._rng
        selector: Document = {}
        for _ in range(rng.choice(_FILTERS)):
            if self._process and rng.random() < 0.35:
                wanted = rng.choice(self._process)
                selector.setdefault(wanted.key, []).append(wanted.draw())
            elif data and rng.random() < 0.3:
                entry = self._filter(data, "args")
                selector.setdefault("matchData", []).append(entry)
            elif "returnArg" in hook and rng.random() < 0.3:
                entry = self._return_filter(hook["returnArg"])
                selector.setdefault("matchReturnArgs", []).append(entry)
            else:
                entry = self._argument(args)
                selector.setdefault("matchArgs", []).append(entry)
        if rng.random() < 0.4:
            selector["matchActions"] = [self._action()]
        return selector

    def _action(self) -> Document:
        kind = self._rng.choice(("Post", "NoPost", "Sigkill", "Signal"))
        return {"action": kind} | ({"argSig": 10} if kind == "Signal" else {})

    # ---- arguments ----

    def _argument(self, args: list[ArgumentKey]) -> Document:
        places = [
            place
            for place, key in enumerate(args)
            if key.type.kind is TypeKind.CAPABILITIES
        ]
        if len(places) > 1 and self._rng.random() < 0.3:
            both = self._rng.sample(places, 2)
            return {"args": both, "operator": "CapabilitiesGained"}
        return self._filter(args, self._rng.choice(("args", "index")))

    def _filter(self, keys: list[ArgumentKey], way: str) -> Document:
        place = self._rng.randrange(len(keys))
        key = keys[place]
        first = [k.number for k in keys].index(key.number)
        by_index = way == "index" and first == place
        where = {"index": key.number} if by_index else {"args": [place]}
        if by_index and self._shape.is_tracepoint and self._rng.random() < 0.3:
            where = {"index": place}  # there it may be a position too
        return where | argument_filter(
            self._rng, self._pools, key.type, self._text_bytes_max
        )

    def _return_filter(self, returned: Document) -> Document:
        [key] = [k for k in self._shape.returned if k.type.value == returned["type"]]
        return argument_filter(self._rng, self._pools, key.type, self._text_bytes_max)

    # ---- the process ----

    def _set_operator(self) -> str:
        return self._rng.choice(("In", "NotIn"))

    def _pids(self) -> Document:
        document: Document = {
            "operator": self._set_operator(),
            "values": self._some(self._pools.pids),
        }
        for flag in ("followForks", "isNamespacePID"):
            if self._rng.random() < 0.4:
                document[flag] = True
        return document

    def _binaries(self) -> Document:
        if self._rng.random() < 0.3:
            values = self._some(self._pools.binaries)
            operator = self._set_operator()
            return {"operator": operator, "values": values, "followChildren": True}
        return self._parents()

    def _parents(self) -> Document:
        rng = self._rng
        positive = rng.choice(("In", "Prefix", "Postfix"))
        values = self._some(self._pools.binaries)
        if positive == "Prefix":
            values = [value[: rng.randint(1, len(value))] for value in values]
        if positive == "Postfix":
            values = [value[rng.randint(0, len(value) - 1) :] for value in values]
        return {"operator": rng.choice(("", "Not")) + positive, "values": values}

    def _namespace(self) -> Document:
        values: list[Any] = self._some(self._pools.inodes)
        if self._rng.random() < 0.3:
            values.append(HOST_NAMESPACE)
        return {
            "namespace": self._rng.choice(self._namespaces).value,
            "operator": self._set_operator(),
            "values": values,
        }

    def _namespace_changes(self) -> Document:
        names = [name.value for name in Namespace]
        return {"operator": self._set_operator(), "values": self._some(names)}

    def _capabilities(self) -> Document:
        return {
            "type": self._set.value,
            "operator": self._set_operator(),
            "values": self._some(self._capability_names),
        }

    def _some(self, values: Sequence[Any]) -> list[Any]:
        count = min(self._rng.choice(_FEW), len(values))
        return self._rng.sample(list(values), count)
