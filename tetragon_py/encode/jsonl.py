# SPDX-License-Identifier: Apache-2.0
"""Tetragon's JSON, one line per event.

In come processes and events, out goes one line of UTF-8 that ends with a newline: keys
and their order as Tetragon writes them, 64-bit integers as strings, what is empty left
out. `extended` adds keys that Tetragon does not have.

The constant part of a process is made once and spliced into each of its events, so most
of a line is a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tetragon_py.encode.arguments import binary_of, join_arguments
from tetragon_py.encode.flags import flag_words
from tetragon_py.encode.names import signal_name
from tetragon_py.encode.process_details import (
    binary_properties,
    capability_sets,
    credentials_object,
    environment_variables,
    extended_keys,
    namespaces_object,
)
from tetragon_py.encode.text import json_string, json_value, marked_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from tetragon_py.encode.timestamp import Timestamps
    from tetragon_py.events.agent import LossEvent
    from tetragon_py.events.process import ExitEvent, Namespaces, Process

__all__ = ["JsonEncoder", "JsonOptions"]

#: The API has room for this much of a container id.
_CONTAINER_ID_SHOWN = 31


@dataclass(frozen=True, slots=True)
class JsonOptions:
    """What a line shows beyond the least."""

    extended: bool = False
    credentials: bool = False
    namespaces: bool = False
    ancestors: bool = False
    environment: bool = False
    environment_names: frozenset[str] = frozenset()


class JsonEncoder:
    """Makes the lines of one configuration. For one thread.

    Args:
        node_name: The host in each event.
        timestamps: Formats the times.
        host: Namespaces of process 1.
        options: What is shown.
        user_name: uid -> name, "" if it has none; None to show no names.
    """

    def __init__(
        self,
        node_name: str,
        timestamps: Timestamps,
        host: Namespaces,
        options: JsonOptions,
        user_name: Callable[[int], str] | None = None,
    ) -> None:
        self._time = timestamps.format
        self._host = host
        self._options = options
        self._user_name = user_name
        self._node = b',"node_name":%b,"time":"' % json_value(
            node_name.encode("utf-8", "replace").decode()
        )

    def exec_line(self, process: Process) -> bytes:
        """process_exec."""
        image = process.image
        fragment = process.fragment or self._fragment(process)
        options = self._options
        if options.credentials or options.extended:
            properties = binary_properties(image)
            if properties:
                fragment = b'%b,"binary_properties":%b' % (fragment, properties)
        if options.environment and image.environment:
            variables = environment_variables(image, options.environment_names)
            if variables:
                fragment = b'%b,"environment_variables":%b' % (fragment, variables)
        return b'{"process_exec":{"process":%b}%b}%b%b"%b}\n' % (
            fragment,
            self._lineage(process),
            self._node,
            self._time(image.boottime_ns),
            self._origin(image.cpu, image.sequence),
        )

    def exit_line(self, process: Process, event: ExitEvent) -> bytes:
        """process_exit."""
        status = event.status
        end = b""
        if status:
            if status & 0x7F:
                end = b',"signal":"%b"' % signal_name(status & 0x7F).encode()
                if self._options.extended and status & 0x80:
                    end += b',"core_dumped":true'
            elif status >> 8 & 0xFF:
                end = b',"status":%d' % (status >> 8 & 0xFF)
        time = self._time(event.boottime_ns)
        return b'{"process_exit":{"process":%b}%b%b,"time":"%b"}%b%b"%b}\n' % (
            process.fragment or self._fragment(process),
            self._lineage(process),
            end,
            time,
            self._node,
            time,
            self._origin(event.cpu, event.sequence),
        )

    def loss_line(self, event: LossEvent) -> bytes:
        """What was lost: Tetragon has no such event."""
        sources = [
            {
                "pid": source.tgid,
                "exec_id": source.process.exec_id.decode() if source.process else "",
                "binary": binary_of(source.process.image).decode("utf-8", "replace")
                if source.process
                else "",
                "count": str(source.count),
            }
            for source in event.sources
        ]
        body: dict[str, object] = {
            "lane": event.lane,
            "cause": event.cause,
            "total": str(event.total),
            "counts": {kind: str(count) for kind, count in event.counts.items()},
            "since": self._time(event.since_boottime_ns).decode(),
            "until": self._time(event.until_boottime_ns).decode(),
        }
        if sources:
            body["sources"] = sources
        return b'{"loss":%b%b%b"}\n' % (
            json_value(body),
            self._node,
            self._time(event.until_boottime_ns),
        )

    def _origin(self, cpu: int, sequence: int) -> bytes:
        if not self._options.extended:
            return b""
        return b',"cpu":%d,"sequence":"%d"' % (cpu, sequence)

    def _lineage(self, process: Process) -> bytes:
        parent = process.parent
        if parent is None:
            return b""
        text = b',"parent":%b}' % (parent.fragment or self._fragment(parent))
        if not self._options.ancestors:
            return text
        ancestors = []
        # pid 1 and 2 are the last ones listed, process 0 never is
        while parent is not None and parent.key.tgid > 2:
            parent = parent.parent
            if parent is not None and parent.key.tgid:
                fragment = parent.fragment or self._fragment(parent)
                ancestors.append(b"%b}" % fragment)
        if not ancestors:
            return text
        return b'%b,"ancestors":[%b]' % (text, b",".join(ancestors))

    def _fragment(self, process: Process) -> bytes:
        """The object of a process without its closing brace, kept in `process`."""
        image = process.image
        key = process.key
        text = b'{"exec_id":"%b","pid":%d' % (process.exec_id, key.tgid)
        if process.known:
            text += self._program(process)
        else:
            text += b',"flags":"unknown"'
        text += b',"start_time":"%b"' % self._time(key.start_boottime_ns)
        if process.known:
            text += b',"auid":%d' % image.credentials.login_uid
            if process.cgroup.container_id:
                shown = process.cgroup.container_id[:_CONTAINER_ID_SHOWN]
                text += b',"docker":%b' % json_value(shown)
        if process.parent_exec_id:
            text += b',"parent_exec_id":"%b"' % process.parent_exec_id
        if process.known and self._options.credentials:
            text += b',"cap":%b' % capability_sets(image.credentials)
        if process.known and self._options.namespaces:
            ns = namespaces_object(process.namespaces, self._host)
            text += b',"ns":%b' % ns
        text += b',"tid":%d' % key.tgid
        if process.known and self._options.credentials:
            text += b',"process_credentials":%b' % credentials_object(image.credentials)
        if process.known:
            text += self._tail(process)
        process.fragment = text
        return text

    def _program(self, process: Process) -> bytes:
        image = process.image
        text = b',"uid":%d' % image.credentials.euid
        if image.cwd:
            cwd = marked_path(image.cwd, image.cwd_flags)
            text += b',"cwd":%b' % json_string(cwd)
        binary = binary_of(image)
        if binary:
            text += b',"binary":%b' % json_string(binary)
        if image.arguments:
            arguments = join_arguments(image.arguments)
            if arguments:
                text += b',"arguments":%b' % json_value(arguments)
        return b'%b,"flags":"%b"' % (text, flag_words(process).encode())

    def _tail(self, process: Process) -> bytes:
        text = b""
        if self._user_name is not None and self._is_on_host(process):
            name = self._user_name(process.image.credentials.euid)
            if name:
                text = b',"user":{"name":%b}' % json_value(name)
        tree = b"true" if process.in_init_tree else b"false"
        text += b',"in_init_tree":%b' % tree
        if self._options.extended:
            text += extended_keys(process)
        return text

    def _is_on_host(self, process: Process) -> bool:
        """The host's user database names only users of its own namespaces."""
        return (
            process.namespaces.mnt == self._host.mnt
            and process.namespaces.user == self._host.user
        )
