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
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tetragon_py.encode.agent_json import loss_object, policy_change_object
from tetragon_py.encode.arguments import (
    SHOWN_ARGUMENTS_BYTES,
    binary_of,
    join_arguments,
)
from tetragon_py.encode.flags import flag_words
from tetragon_py.encode.hook_json import HookJson
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
    from tetragon_py.events.agent import (
        HeartbeatEvent,
        LossEvent,
        PolicyChangeEvent,
        StartEvent,
    )
    from tetragon_py.events.process import (
        CgroupInfo,
        ExitEvent,
        Image,
        Namespaces,
        Process,
    )

__all__ = ["JsonEncoder", "JsonOptions"]

#: The API has room for this much of a container id.
_CONTAINER_ID_SHOWN = 31
#: Longer arguments are not remembered: what is remembered stays below 1 MB.
_REMEMBERED_ARGUMENTS_BYTES = 256
_REMEMBERED_IMAGES = 2048
#: Longer objects are made anew for each line: hostile texts must not fill the memory.
_KEPT_BYTES = 8192
_USER_KEY = b',"user":{"name":'
_TREE_KEY = b',"in_init_tree":'
_PARENT_KEY = b',"parent":'
_IN_INIT_TREE = (_TREE_KEY + b"false", _TREE_KEY + b"true")
#: What a line shows of an image that another event tells: a parent, an ancestor, that
#: of a fork. A process with long arguments and many children must not fill the disk.
_ANCESTORS_MAX_BYTES = 65536


_ImageTexts = tuple[bytes, bytes, bytes, bytes]


@dataclass(frozen=True, slots=True)
class JsonOptions:
    """What a line shows beyond the least."""

    extended: bool = False
    origin: bool = False  # where a record comes from: lane, CPU and number
    credentials: bool = False
    namespaces: bool = False
    ancestors: bool = False
    environment: bool = False
    environment_names: frozenset[str] = frozenset()
    run: str = ""  # letters and digits: names the numbering; shown behind the numbers

    @property
    def run_member(self) -> bytes:
        """What follows a sequence number."""
        return b',"run":"%b"' % self.run.encode() if self.run else b""


def _arguments_member(argv: bytes) -> bytes:
    arguments = join_arguments(argv)
    return b',"arguments":%b' % json_value(arguments) if arguments else b""


_remembered_arguments = lru_cache(maxsize=2048)(_arguments_member)


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
        self._has_origin = options.extended or options.origin
        self._user_name = user_name
        self._remembered_texts: dict[Image, _ImageTexts] = {}
        self._run = options.run_member
        self._node = b',"node_name":%b,"time":"' % json_value(
            node_name.encode("utf-8", "replace").decode()
        )
        hooks = HookJson(self._texts_of, self._node, self._time, host, options)
        #: process_kprobe and the like; without a call in between.
        self.hook_lines = hooks.lines
        self.repeat_line = hooks.repeat_line

    def exec_line(self, process: Process) -> bytes:
        """process_exec."""
        event = process.exec
        options = self._options
        fragment = process.fragment or self._fragment(process)
        if options.credentials or options.extended:
            properties = binary_properties(event)
            if properties:
                # Tetragon's order. Quotes in texts are escaped: no text has this key.
                next_key = _USER_KEY if _USER_KEY in fragment else _TREE_KEY
                head, _, tail = fragment.partition(next_key)
                fragment = b'%b,"binary_properties":%b%b%b' % (
                    head,
                    properties,
                    next_key,
                    tail,
                )
        if options.environment and event.environment:
            variables = environment_variables(event, options.environment_names)
            if variables:
                fragment = b'%b,"environment_variables":%b' % (fragment, variables)
        return b'{"process_exec":{"process":%b}%b}%b%b"%b}\n' % (
            fragment,
            self._lineage(process),
            self._node,
            self._time(event.boottime_ns),
            self._origin(event.cpu, event.sequence),
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
        """What was lost."""
        body = loss_object(event, self._time)
        return self._own_line(b"loss", body, event.until_boottime_ns)

    def policy_change_line(self, event: PolicyChangeEvent) -> bytes:
        """What became of the policy set."""
        body = policy_change_object(event)
        return self._own_line(b"policy_change", body, event.boottime_ns)

    def heartbeat_line(self, event: HeartbeatEvent) -> bytes:
        """How the agent does."""
        return self._own_line(b"heartbeat", dict(event.state), event.boottime_ns)

    def _own_line(self, kind: bytes, body: dict[str, Any], boottime_ns: int) -> bytes:
        time = self._time(boottime_ns)
        return b'{"%b":%b%b%b"}\n' % (kind, json_value(body), self._node, time)

    def start_line(self, event: StartEvent) -> bytes:
        """The first line of a file."""
        body: dict[str, Any] = {
            "boot_id": event.boot_id,
            "run": event.run,
            "version": event.version,
        }
        if event.file:
            body["file"] = event.file
        return self._own_line(b"start", body, event.boottime_ns)

    def _origin(self, cpu: int, sequence: int) -> bytes:
        if not self._has_origin:
            return b""
        return b',"cpu":%d,"sequence":"%d"%b' % (cpu, sequence, self._run)

    def _texts_of(self, process: Process) -> tuple[bytes, bytes]:
        return process.fragment or self._fragment(process), self._lineage(process)

    def _lineage(self, process: Process) -> bytes:
        parent = process.parent
        if parent is None:
            return b""
        text = parent.parent_fragment or self._parent_fragment(parent)
        if not self._options.ancestors:
            return text
        ancestors = []
        room = _ANCESTORS_MAX_BYTES
        # pid 1 and 2 are the last ones listed, process 0 never is
        ancestor: Process | None = parent
        while ancestor is not None and ancestor.key.tgid > 2 and room > 0:
            ancestor = ancestor.parent
            if ancestor is not None and ancestor.key.tgid:
                shown = ancestor.parent_fragment or self._parent_fragment(ancestor)
                shown = shown.removeprefix(_PARENT_KEY)
                ancestors.append(shown)
                room -= len(shown)
        if not ancestors:
            return text
        return b'%b,"ancestors":[%b]' % (text, b",".join(ancestors))

    def _parent_fragment(self, process: Process) -> bytes:
        """The whole object of a process as its children show it, with its key."""
        if len(process.exec.arguments) <= SHOWN_ARGUMENTS_BYTES:
            fragment = process.fragment or self._fragment(process)
        else:
            fragment = self._object(process, SHOWN_ARGUMENTS_BYTES)
        whole = b"%b%b}" % (_PARENT_KEY, fragment)
        if len(whole) <= _KEPT_BYTES:
            process.parent_fragment = whole
        return whole

    def _fragment(self, process: Process) -> bytes:
        """The object of a process without its closing brace, kept if it is short."""
        limit = SHOWN_ARGUMENTS_BYTES if process.forked else None
        fragment = self._object(process, limit)
        if len(fragment) <= _KEPT_BYTES:
            process.fragment = fragment
        return fragment

    def _object(self, process: Process, arguments_max: int | None = None) -> bytes:
        key = process.key
        event = process.exec
        if not process.known:
            return self._unknown_object(process)
        program, account, privileges, credentials = (
            self._remembered_texts.get(event.image)
            if process.namespaces is event.image.namespaces
            else None
        ) or self._make_texts(process)
        argv = event.arguments
        is_cut = arguments_max is not None and len(argv) > arguments_max
        if is_cut:
            argv = argv[:arguments_max]
        remembered = len(argv) <= _REMEMBERED_ARGUMENTS_BYTES
        text = (
            b'{"exec_id":"%b","pid":%d%b%b,"flags":"%b","start_time":"%b"%b'
            b',"parent_exec_id":"%b"%b,"tid":%d%b%b'
        ) % (
            process.exec_id,
            key.tgid,
            program,
            _remembered_arguments(argv) if remembered else _arguments_member(argv),
            flag_words(process, arguments_cut=is_cut),
            self._time(key.start_boottime_ns),
            account,
            process.parent_exec_id,
            privileges,
            key.tgid,
            credentials,
            self._tail(process, arguments_max),
        )
        if process.parent_exec_id:
            return text
        return text.replace(b',"parent_exec_id":""', b"", 1)  # of process 0

    def _unknown_object(self, process: Process) -> bytes:
        tgid, parent = process.key.tgid, process.parent_exec_id
        return (
            b'{"exec_id":"%b","pid":%d,"flags":"unknown","start_time":"%b"%b,"tid":%d'
            % (
                process.exec_id,
                tgid,
                self._time(process.key.start_boottime_ns),
                b',"parent_exec_id":"%b"' % parent if parent else b"",
                tgid,
            )
        )

    def _make_texts(self, process: Process) -> _ImageTexts:
        """The parts that equal images share; kept unless the fork changed something."""
        image = process.exec.image
        texts = self._image_texts(image, process.namespaces, process.cgroup)
        if image.is_shared and process.namespaces is image.namespaces:
            if len(self._remembered_texts) >= _REMEMBERED_IMAGES:
                self._remembered_texts.clear()
            self._remembered_texts[image] = texts
        return texts

    def _image_texts(
        self, image: Image, namespaces: Namespaces, cgroup: CgroupInfo
    ) -> _ImageTexts:
        """In the object's order: program, account, privileges, credentials."""
        program = b',"uid":%d' % image.credentials.euid
        if image.cwd:
            cwd = marked_path(image.cwd, image.cwd_flags)
            program += b',"cwd":%b' % json_string(cwd)
        binary = binary_of(image)
        if binary:
            program += b',"binary":%b' % json_string(binary)
        account = b',"auid":%d' % image.credentials.login_uid
        if cgroup.container_id:
            shown = cgroup.container_id[:_CONTAINER_ID_SHOWN]
            account += b',"docker":%b' % json_value(shown)
        privileges = credentials = b""
        if self._options.credentials:
            privileges = b',"cap":%b' % capability_sets(image.credentials)
            shown_ids = credentials_object(image.credentials)
            credentials = b',"process_credentials":%b' % shown_ids
        if self._options.namespaces:
            privileges += b',"ns":%b' % namespaces_object(namespaces, self._host)
        return program, account, privileges, credentials

    def _tail(self, process: Process, arguments_max: int | None = None) -> bytes:
        text = _IN_INIT_TREE[process.in_init_tree]
        if self._user_name is not None and self._is_on_host(process):
            name = self._user_name(process.exec.image.credentials.euid)
            if name:
                text = b"%b%b}%b" % (_USER_KEY, json_value(name), text)
        if self._options.extended:
            text += extended_keys(process, arguments_max)
        return text

    def _is_on_host(self, process: Process) -> bool:
        """The host's user database names only users of its own namespaces."""
        return (
            process.namespaces.mnt == self._host.mnt
            and process.namespaces.user == self._host.user
        )
