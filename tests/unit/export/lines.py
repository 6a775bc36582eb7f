# SPDX-License-Identifier: Apache-2.0
"""Lines as the encoder makes them, for tests that read files."""

from __future__ import annotations

__all__ = ["event_line", "start_line"]


def start_line(
    file: int = 1,
    run: str = "cafe",
    boot: str = "boot",
    time: str = "2026-11-22T00:00:00Z",
) -> bytes:
    """A start record."""
    return (
        f'{{"start":{{"boot_id":"{boot}","run":"{run}","version":"0.1.0",'
        f'"file":{file}}},"node_name":"n","time":"{time}"}}\n'
    ).encode()


def event_line(
    sequence: int, cpu: int = 0, run: str = "cafe", lane: str = "", padding: int = 0
) -> bytes:
    """An exit, or with a lane a hit."""
    end = f',"lane":"{lane}"' if lane else ""
    kind = "process_kprobe" if lane else "process_exit"
    return (
        f'{{"{kind}":{{"process":{{"pid":1,"cwd":"{"x" * padding}"}}}},"node_name":"n",'
        f'"time":"2026-11-22T00:00:00Z","cpu":{cpu},"sequence":"{sequence}",'
        f'"run":"{run}"{end}}}\n'
    ).encode()
