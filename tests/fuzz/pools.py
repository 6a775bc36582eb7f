# SPDX-License-Identifier: Apache-2.0
"""What the values of one round are made of: few, alike, and at the borders.

Policies and hits draw from the same pools, so that values meet: equal, one a part of
the other, one off, in nested networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, TypeAlias

from tetragon_py.abi import _generated as c

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

__all__ = ["PID_MAX", "Network", "Pools"]

Network: TypeAlias = IPv4Network | IPv6Network

PID_MAX = 1 << 22
_ALPHABETS = ("ab", "aB/", "/etc.", "xyé", "abcdefghijklmnop/.-_ ")
_STEMS = ("/usr/bin/", "/usr/lib/", "/etc/", "/", "./", "eth0", "", "a", "ab", "@a")
#: Around what kernel structures hold: words, keys of tables, the searched part, pages.
_TEXT_BORDERS = (
    *(1, 7, 8, 9, 15, 16, 17, 31, 32, 33),
    *(c.TEXT_KEY_BYTES - 2, c.TEXT_KEY_BYTES - 1, c.TEXT_KEY_BYTES),
    *(c.TEXT_KEY_BYTES + 1, c.TEXT_KEY_BYTES + 2),
)
_LONG_TEXT_BORDERS = (
    *(c.SHORT_TEXT_BYTES - 1, c.SHORT_TEXT_BYTES, c.SHORT_TEXT_BYTES + 1),
    *(c.SUBSTRING_BYTES_MAX - 1, c.SUBSTRING_BYTES_MAX, c.SUBSTRING_BYTES_MAX + 1),
    *(c.ARGUMENT_TEXT_MAX - 1, c.ARGUMENT_TEXT_MAX),
)
_BITS = (7, 8, 15, 16, 31, 32, 63, 64)
_NETWORKS = ("10.0.0.0/8", "10.1.0.0/16", "192.168.1.0/24", "0.0.0.0/0", "fd00::/8")
_MORE_NETWORKS = ("2001:db8::/32", "::ffff:10.0.0.0/104", "::/0", "127.0.0.1/32")


@dataclass(frozen=True, slots=True)
class Pools:
    """The values of one round, by what they are for."""

    texts: tuple[str, ...]
    long_texts: tuple[str, ...]
    numbers: tuple[int, ...]  #: of 64 bits
    networks: tuple[Network, ...]
    ports: tuple[int, ...]
    binaries: tuple[str, ...]
    pids: tuple[int, ...]
    inodes: tuple[int, ...]

    @classmethod
    def draw(cls, rng: Random, own_pid: int, own_inodes: tuple[int, ...]) -> Pools:
        """Make the pools of a round; the test process's own values are among them."""
        texts = _grow(rng, [rng.choice(_STEMS) for _ in range(4)], _next_text, 14)
        long_texts = [_stretch(rng, t) for t in rng.sample(texts, 3)]
        paths = _grow(rng, [rng.choice(("/", "/bin/", "/bin/a"))], _next_path, 8)
        return cls(
            texts=tuple(texts),
            long_texts=tuple(long_texts),
            numbers=tuple(_numbers(rng)),
            networks=tuple(_networks(rng)),
            ports=tuple(
                {
                    *(0, 1023, 1024, 65535),
                    *(rng.randrange(65536) for _ in range(3)),
                }
            ),
            binaries=tuple(paths),
            pids=(own_pid, own_pid + 1, own_pid - 1, *rng.sample(range(PID_MAX), 5)),
            inodes=(*own_inodes, *(rng.randrange(1, 1 << 32) for _ in range(2))),
        )


def _grow(
    rng: Random,
    first: list[str],
    following: Callable[[Random, list[str]], str],
    count: int,
) -> list[str]:
    found = list(first)
    while len(found) < count:
        found.append(following(rng, found))
    return found


def _word(rng: Random) -> str:
    return "".join(rng.choices(rng.choice(_ALPHABETS), k=rng.randint(1, 6)))


# Longer, shorter, from behind, or with a few bytes more than a border.
def _next_text(rng: Random, known: list[str]) -> str:
    text = rng.choice(known)
    at, word, size = rng.randint(0, len(text)), _word(rng), rng.choice(_TEXT_BORDERS)
    ways = (
        *(text[:at], text[at:], word + text, text + word, text.swapcase()),
        *(text[:64] + rng.choice(known)[:64], (text + word * size)[:size]),
    )
    return rng.choice(ways)


def _next_path(rng: Random, known: list[str]) -> str:
    text = _next_text(rng, known)[: c.TEXT_KEY_BYTES - 1]
    while len(text.encode()) > c.TEXT_KEY_BYTES - 1:
        text = text[:-1]
    return text if text.startswith("/") else "/" + text[:-1]


def _stretch(rng: Random, text: str) -> str:
    size = rng.choice(_LONG_TEXT_BORDERS)
    text = (text + _word(rng) * size)[:size]
    while len(text.encode()) > size:
        text = text[:-1]
    return text


def _numbers(rng: Random) -> set[int]:
    found = {0, 1}
    for _ in range(5):
        border = 1 << rng.choice(_BITS)
        found |= {border - 1, border, border + 1, -border}
    found |= {1 << rng.randrange(64) for _ in range(2)}
    found |= {rng.getrandbits(rng.choice((4, 8, 31, 64))) for _ in range(4)}
    kept = rng.sample(sorted(found), min(len(found), rng.randint(3, 14)))
    return {number & ((1 << 64) - 1) for number in kept}


def _networks(rng: Random) -> list[Network]:
    found = [ip_network(rng.choice(_NETWORKS)), ip_network(rng.choice(_MORE_NETWORKS))]
    while len(found) < 8:
        network = rng.choice(found)
        size = network.max_prefixlen
        bits = rng.choice((rng.randint(network.prefixlen, size), size))
        shift = size - bits
        address = int(network.network_address) | (rng.getrandbits(shift + 1) << shift)
        address &= (1 << size) - 1
        text = (address.to_bytes(size // 8, "big"), bits)
        found.append(ip_network(text, strict=False))
    return found
