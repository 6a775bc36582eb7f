# SPDX-License-Identifier: Apache-2.0
"""Random filters on arguments, as policies write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tetragon_py.abi import _generated as c
from tetragon_py.policy.model.arguments import ArgumentType
from tetragon_py.policy.model.kernel_names import (
    CAPABILITIES,
    FAMILIES,
    FILE_TYPES,
    PROTOCOLS,
    STATES,
)
from tetragon_py.policy.model.operators import OPERATORS, Operator, TypeKind

if TYPE_CHECKING:
    from random import Random

    from tests.fuzz.pools import Pools

__all__ = ["COMPAT_LIST", "NATIVE_LIST", "argument_filter"]

#: The lists that each policy has; the second one's calls are those of syscall64 only.
NATIVE_LIST, COMPAT_LIST = "calls", "compat-calls"
_COUNTED = (ArgumentType.CHAR_BUF, ArgumentType.CHAR_IOVEC)
_SEARCHES = (Operator.SUBSTRING, Operator.SUBSTRING_IGNORE_CASE)
_SEARCHED_CHARS = 24
_FEW, _MANY = (1, 1, 1, 2, 2, 3, 4), 30
_FAMILIES = ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK")
_PROTOCOLS = ("IPPROTO_TCP", "IPPROTO_UDP", "IPPROTO_ICMPV6", "IPPROTO_MPTCP")


def argument_filter(
    rng: Random, pools: Pools, kind: ArgumentType, text_bytes_max: int
) -> dict[str, Any]:
    """Return operator and values of a filter on an argument of type `kind`."""
    allowed = sorted(OPERATORS[kind.kind] - {Operator.CEL_EXPR})
    allowed = [o for o in allowed if o is not Operator.CAPABILITIES_GAINED]
    operator = rng.choice(allowed)
    document: dict[str, Any] = {"operator": operator.value}
    if operator.takes_values:
        count = rng.choice(_FEW) if rng.random() < 0.95 else _MANY
        draw = _Values(rng, pools, kind, text_bytes_max)
        values = [draw.one(operator.positive) for _ in range(count)]
        document["values"] = list(dict.fromkeys(values))
    return document


class _Values:
    def __init__(
        self, rng: Random, pools: Pools, kind: ArgumentType, text_bytes_max: int
    ) -> None:
        self._rng = rng
        self._pools = pools
        self._kind = kind
        self._text_bytes_max = text_bytes_max

    def one(self, operator: Operator) -> str:
        draw = {
            Operator.SADDR: self._network,
            Operator.DADDR: self._network,
            Operator.SPORT: self._ports,
            Operator.DPORT: self._ports,
            Operator.PROTOCOL: self._protocol,
            Operator.FAMILY: lambda: self._name(FAMILIES, *_FAMILIES),
            Operator.STATE: lambda: self._name(STATES, "TCP_LISTEN", "1", "10"),
            Operator.FILE_TYPE: lambda: self._name(FILE_TYPES).lower(),
        }.get(operator)
        if draw:
            return draw()
        return self._number(operator) if self._kind.bits else self._text(operator)

    def _network(self) -> str:
        network = self._rng.choice(self._pools.networks)
        return f"{self._rng.choice((network, network, network.network_address))}"

    def _ports(self) -> str:
        low, high = sorted(self._rng.choices(self._pools.ports, k=2))
        return self._rng.choice((f"{low}", f"{low}:{high}"))

    def _protocol(self) -> str:
        numbers = [f"{number}" for number in sorted(PROTOCOLS.values())]
        return self._rng.choice((*_PROTOCOLS, self._rng.choice(numbers)))

    def _name(self, table: dict[str, int], *often: str) -> str:
        return self._rng.choice((*often, self._rng.choice(sorted(table))))

    # ---- numbers ----

    def _number(self, operator: Operator) -> str:
        match operator:
            case Operator.GT | Operator.LT:
                return self._spelled(self._in_type())
            case Operator.IN_RANGE:
                return self._range()
            case Operator.IN_MAP:
                if self._kind.bits == 64 and self._rng.random() < 0.1:
                    is_raw = self._kind is ArgumentType.SYSCALL64
                    lists = (NATIVE_LIST, COMPAT_LIST if is_raw else NATIVE_LIST)
                    return f"list:{self._rng.choice(lists)}"
                if self._rng.random() < 0.4:
                    return self._range()
        if self._kind.kind is TypeKind.CAPABILITIES and self._rng.random() < 0.3:
            names = self._rng.sample(sorted(CAPABILITIES), self._rng.randint(1, 3))
            return ",".join(f"CAP_{name}" for name in names)
        # The same bits may be written in the notation of the other sign.
        number = self._in_type()
        if number < 0 and self._rng.random() < 0.5:
            number += 1 << self._kind.bits
        return self._spelled(number)

    def _in_type(self) -> int:
        number = self._rng.choice(self._pools.numbers)
        number = (number + self._rng.choice((0, 0, 0, 1, -1))) % (1 << self._kind.bits)
        if self._kind.is_signed and number >> (self._kind.bits - 1):
            number -= 1 << self._kind.bits
        return number

    def _range(self) -> str:
        low, high = sorted((self._in_type(), self._in_type()))
        if self._rng.random() < 0.1:  # more than the type has
            low, high = low - 5, high + (1 << 70)
        return f"{self._spelled(low)}:{self._spelled(high)}"

    def _spelled(self, number: int) -> str:
        sign = "-" if number < 0 else ""
        form = self._rng.choice(("d", "d", "#x", "#o", "#b"))
        return f"{sign}{abs(number):{form}}"

    # ---- texts ----

    def _text(self, operator: Operator) -> str:
        pools, rng = self._pools, self._rng
        limit = c.TEXT_KEY_BYTES
        text = rng.choice(pools.texts)
        if operator is Operator.EQUAL:
            limit = min(self._text_bytes_max, c.LONG_TEXT_BYTES)
            if rng.random() < 0.1:
                text = rng.choice(pools.long_texts)
        elif operator in _SEARCHES and rng.random() < 0.95:
            # All patterns of a hook share the states of one automaton.
            at = rng.randint(0, max(0, len(text) - _SEARCHED_CHARS))
            text = text[at : at + rng.randint(1, _SEARCHED_CHARS)]
        text = self._with_nuls(text)
        while len(text.encode()) > limit:
            text = text[:-1]
        if operator is Operator.PREFIX:
            text = text.rstrip("\0")
        if operator is Operator.EQUAL:
            return text
        if operator is Operator.PREFIX and text == "@":
            return "@a"  # any abstract name: refused, its pattern ends with a NUL
        return text or "a"

    def _with_nuls(self, text: str) -> str:
        roll = self._rng.random()
        if self._kind in _COUNTED and roll < 0.25:
            at = self._rng.randint(0, len(text))
            return text[:at] + "\0" + text[at:]
        if self._kind is ArgumentType.SOCKADDR_UN and roll < 0.4:
            return "@" + text
        return text
