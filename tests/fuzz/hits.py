# SPDX-License-Identifier: Apache-2.0
"""Random hits with values near those of the policies."""

from __future__ import annotations

import errno
import stat
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from tests.fuzz.hit import (
    Captured,
    File,
    Hit,
    Image,
    Process,
    Socket,
    UnixName,
    Unreadable,
)
from tetragon_py.abi import _generated as c
from tetragon_py.policy.model.arguments import ArgumentType
from tetragon_py.policy.model.operators import TypeKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from tests.fuzz.hit import Address, ArgumentKey
    from tests.fuzz.pools import Pools
    from tests.fuzz.shape import Shape
    from tetragon_py.policy.model.kernel_names import Namespace
    from tetragon_py.policy.model.selectors import CapabilitySet

__all__ = ["HitMaker"]

_UNREADABLE_SHARE = 0.04
_AF_UNIX, _AF_INET, _AF_NETLINK, _AF_INET6 = 1, 2, 16, 10
_FAMILIES = (_AF_INET, _AF_INET, _AF_INET6, _AF_INET6, _AF_UNIX, _AF_NETLINK, 0)
_PROTOCOLS = (6, 17, 58, 0, 1, 255, 262)
_ONLY_SOURCE = ArgumentType.SOCKADDR
_FILE_TYPES = (
    *(stat.S_IFREG, stat.S_IFREG, stat.S_IFDIR, stat.S_IFSOCK, stat.S_IFLNK),
    *(stat.S_IFBLK, stat.S_IFCHR, stat.S_IFIFO, 0),
)
_COUNTED = (ArgumentType.CHAR_BUF, ArgumentType.CHAR_IOVEC)
_PATHS = (
    *(ArgumentType.FILE, ArgumentType.FD, ArgumentType.KIOCB, ArgumentType.PATH),
    *(ArgumentType.DENTRY, ArgumentType.LINUX_BINPRM),
)
#: A record has room for three of the longest texts.
_LONG_TEXTS_MAX = 3
_LONG_BYTES = 256
_NAMES_MAX = 108


class HitMaker:
    """Makes the hits of one round."""

    def __init__(
        self, rng: Random, pools: Pools, shape: Shape, myself: Process
    ) -> None:
        self._rng = rng
        self._pools = pools
        self._shape = shape
        self._myself = myself
        self._texts = [text.encode() for text in pools.texts]
        self._long_texts = [text.encode() for text in pools.long_texts]
        self._long = 0

    def process(self) -> Process:
        """Return a process: the running one, with a life of its own."""
        rng = self._rng
        pids = [pid for pid in self._pools.pids if pid and pid != self._myself.pid]
        rng.shuffle(pids)
        images = [self._image(pids.pop(), self._binary())]
        for _ in range(rng.randint(1, 4)):
            before = images[-1]
            # Whoever forked has the image of its parent until its first exec.
            forked_only = len(images) > 1 and before.binary == images[-2].binary
            if forked_only or rng.random() < 0.6:
                keeps = rng.random() < 0.25
                binary = before.binary if keeps else self._binary()
                images.append(self._image(pids.pop(), binary))
            else:
                images.append(before._replace(binary=self._binary()))
        # The last one is who runs the test.
        last, [me] = images[-1], self._myself.images
        return Process(
            tuple(
                me._replace(binary=image.binary) if image.pid == last.pid else image
                for image in images
            ),
            self._myself.namespaces,
            self._myself.capabilities,
            *self._before(),
        )

    def _image(self, pid: int, binary: bytes) -> Image:
        return Image(pid, self._rng.choice((pid, *self._pools.pids)), binary)

    def _before(self) -> tuple[dict[Namespace, int], dict[CapabilitySet, int]]:
        rng = self._rng
        namespaces = dict(self._myself.namespaces)
        for name in rng.sample(sorted(namespaces), rng.choice((0, 0, 1, 2))):
            namespaces[name] ^= 1
        capabilities = dict(self._myself.capabilities)
        for which in capabilities:
            capabilities[which] ^= rng.getrandbits(41) & rng.getrandbits(41)
        return namespaces, capabilities

    def hit(self, processes: Sequence[Process]) -> Hit:
        """Return a hit of one of `processes`."""
        self._long = 0
        return Hit(
            self._rng.choice(processes),
            {key: self._value(key) for key in self._shape.keys},
            self._rng.choice((0.0, 0.0, self._rng.random(), 1.0)),
        )

    def _binary(self) -> bytes:
        path = self._rng.choice(self._pools.binaries).encode()
        roll = self._rng.random()
        if roll < 0.5:
            return path
        if roll < 0.7:
            return path + self._rng.choice(self._texts)[:200].replace(b"\0", b"")
        if roll < 0.8:
            return (b"/" + path * 40)[: self._rng.choice((246, 247, 248, 249, 4000))]
        return path[: self._rng.randint(1, len(path))]

    def _value(self, key: ArgumentKey) -> Captured:
        rng, kind = self._rng, key.type
        if rng.random() < _UNREADABLE_SHARE:
            return Unreadable(rng.choice((errno.EFAULT, errno.EBADF, 0)))
        if kind.bits:
            return self._number(kind)
        if kind in _PATHS:
            mode = rng.choice(_FILE_TYPES) | rng.getrandbits(12)
            return File(self._text(may_hold_nuls=False), mode)
        if kind.kind in {TypeKind.STRING, TypeKind.DEVICE}:
            return self._text(may_hold_nuls=kind in _COUNTED)
        if kind is ArgumentType.SOCKADDR_UN:
            return self._unix_name()
        return self._socket(kind)

    def _number(self, kind: ArgumentType) -> int:
        rng, bits = self._rng, kind.bits
        number = rng.choice(self._pools.numbers)
        match rng.randrange(8):
            case 0:
                number += rng.choice((1, -1, 2))
            case 1:
                number ^= 1 << rng.randrange(64)
            case 2:
                number = rng.getrandbits(64)
            case 3:
                number = rng.choice((0, 1, 2, 62, 257, 321))
                number |= rng.choice((0, 1 << 31))
        number %= 1 << bits
        if kind.is_signed and number >> (bits - 1):
            number -= 1 << bits
        return number

    # ---- texts ----

    def _text(self, *, may_hold_nuls: bool) -> bytes:
        rng = self._rng
        text = self._near(rng.choice(self._texts))
        roll = rng.random()
        if roll < 0.06:
            text = self._near(rng.choice(self._long_texts))
        elif roll < 0.12:
            # Something to be found where the search ends.
            at = c.SUBSTRING_BYTES_MAX - len(text) + rng.randint(-2, 2)
            text = b"." * max(0, at) + text + b"." * rng.randint(0, 40)
        if may_hold_nuls and rng.random() < 0.3:
            text += b"\0" + rng.choice(self._texts)
        if may_hold_nuls and rng.random() < 0.1:
            at = rng.randint(0, len(text))
            text = text[:at] + b"\0" + text[at:]
        if not may_hold_nuls:
            text = text.replace(b"\0", b"")
        text = text[: c.ARGUMENT_TEXT_MAX]
        if len(text) > _LONG_BYTES:
            self._long += 1
            if self._long > _LONG_TEXTS_MAX:
                return text[:_LONG_BYTES]
        return text

    def _near(self, text: bytes) -> bytes:
        rng = self._rng
        at = rng.randint(0, len(text))
        other = rng.choice(self._texts)
        byte = bytes((rng.choice(b"aA/\xff\x01 "),))
        ways = (
            *(text, text, text, text[:at], text[at:], text + byte, byte + text),
            *(text[:at] + byte + text[at + 1 :], text.swapcase(), text + other),
            other[:at] + text + text[at:],
        )
        return rng.choice(ways)

    # ---- sockets ----

    def _unix_name(self) -> UnixName:
        rng = self._rng
        family = rng.choice((_AF_UNIX, _AF_UNIX, _AF_UNIX, _AF_INET))
        name = self._text(may_hold_nuls=False)[:_NAMES_MAX]
        if family != _AF_UNIX:
            name = b""
        elif rng.random() < 0.5:  # abstract: any bytes
            more = b"\0" if rng.random() < 0.2 else b""
            name = b"\0" + name.removeprefix(b"@")[: _NAMES_MAX - 2] + more
        return UnixName(family, name)

    def _socket(self, kind: ArgumentType) -> Socket:
        rng, pools = self._rng, self._pools
        family = rng.choice(_FAMILIES)
        has_addresses = family in {_AF_INET, _AF_INET6}
        source = self._address(family) if has_addresses else None
        if kind is _ONLY_SOURCE:
            port = rng.choice(pools.ports) if has_addresses else 0
            return Socket(family, source=source, source_port=port)
        return Socket(
            family,
            rng.choice(_PROTOCOLS),
            rng.randint(0, 13),
            source,
            self._address(family) if has_addresses else None,
            self._port(),
            self._port(),
        )

    def _port(self) -> int:
        port = self._rng.choice(self._pools.ports)
        return (port + self._rng.choice((0, 0, 1, -1))) % 65536

    # At the borders of a network, inside of it, just outside.
    def _address(self, family: int) -> Address:
        rng = self._rng
        network = rng.choice(self._pools.networks)
        first, last = int(network.network_address), int(network.broadcast_address)
        number = rng.choice(
            (first, last, first - 1, last + 1, rng.randint(first, last))
        )
        number %= 1 << network.max_prefixlen
        if family == _AF_INET:
            return IPv4Address(number % (1 << 32))
        if network.version == 4:
            number |= 0xFFFF << 32  # in a socket of both families
        return IPv6Address(number)
