# SPDX-License-Identifier: Apache-2.0
"""Lines into a descriptor that may be slow or full: the caller never waits.

Comes in: batches of whole lines. Goes out: one write per batch. What the descriptor
does not take now waits in a bounded backlog; when that is full the oldest batch goes,
those that may be spared first, and is counted. A line is written whole or not at all;
of one that is begun the rest is kept.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LineSink"]

#: Memory for lines that a slow reader or a full disk has not taken.
BACKLOG_MAX_BYTES = 8 << 20


@dataclass(slots=True)
class _Batch:
    data: memoryview
    line_count: int
    rank: int  # the lowest goes first: 0 may be spared, 2 is to be kept


class LineSink:
    """One output. For one thread.

    Args:
        fd: Open for writing, non-blocking unless a regular file; closed by `close`.
        name: For messages.
        write: Writes what it can without waiting, as os.write does.
    """

    def __init__(
        self,
        fd: int,
        name: str,
        write: Callable[[int, memoryview], int] = os.write,
    ) -> None:
        self.name = name
        self.fd = fd
        self._is_terminal = os.isatty(fd)
        self._write_fd = write
        self.written_bytes = 0
        self.written_lines = 0
        self._write_error = ""
        self.is_broken = False  # nobody reads any more
        self._dropped_lines = 0
        self._backlog: deque[_Batch] = deque()
        self._backlog_bytes = 0
        self._line_start = b""  # the last write ended within a line: what is out of it

    def write(
        self, data: bytes, line_count: int, *, spare: bool = False, keep: bool = False
    ) -> None:
        """Write `data`, whole lines, now or as soon as the descriptor takes it.

        Args:
            data: Whole lines.
            line_count: How many.
            spare: If there is no room, these go before others.
            keep: If there is no room, others go before these.
        """
        if not self._backlog:
            done = self._write(memoryview(data))
            if done == len(data):
                self.written_lines += line_count
                return
            rest = memoryview(data)[done:]
            written = data.count(b"\n", 0, done)
            self.written_lines += written
            line_count -= written
        else:
            rest = memoryview(data)
        self._backlog.append(_Batch(rest, line_count, 2 if keep else not spare))
        self._backlog_bytes += len(rest)
        self.flush()
        self._limit()

    def flush(self) -> bool:
        """Try to write the backlog; True if none is left, or nobody reads any more."""
        if self.is_broken:
            self._dropped_lines += sum(batch.line_count for batch in self._backlog)
            self._backlog.clear()
            self._backlog_bytes = 0
        while self._backlog:
            batch = self._backlog[0]
            done = self._write(batch.data)
            self._backlog_bytes -= done
            if done < len(batch.data):
                written = bytes(batch.data[:done]).count(b"\n")
                self.written_lines += written
                batch.line_count -= written
                batch.data = batch.data[done:]
                return False
            self.written_lines += batch.line_count
            self._backlog.popleft()
        return True

    @property
    def error(self) -> str:
        """Why lines cannot be written as they should; "": all is well."""
        return self._write_error

    @property
    def backlog_bytes(self) -> int:
        """What waits."""
        return self._backlog_bytes

    def take_dropped(self) -> int:
        """Lines dropped since the last call."""
        count, self._dropped_lines = self._dropped_lines, 0
        return count

    def close(self) -> None:
        """Write what can be written, drop and count the rest; twice does nothing."""
        self.flush()
        self._dropped_lines += sum(batch.line_count for batch in self._backlog)
        self._backlog.clear()
        self._backlog_bytes = 0
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def reopen(self) -> None:
        """Ask for the file of this name, if it is another one; safe in any thread."""

    def _write(self, data: memoryview) -> int:
        """Write as much of whole and begun lines as can be written now."""
        done = self._put(data)
        if done:
            self._note_end(data[:done])
        return done

    def _put(self, data: memoryview) -> int:
        """Write as much as the descriptor takes; remember why not more."""
        done = 0
        while done < len(data) and not self.is_broken:
            try:
                written = self._write_fd(self.fd, data[done:])
            except BlockingIOError:
                break
            except (BrokenPipeError, ConnectionResetError):
                self.is_broken, self._write_error = True, "nobody reads it any more"
                break
            except OSError as error:  # full disk, failed disk, quota
                self._write_error = error.strerror or str(error)
                # a terminal that was hung up; on a disk EIO may pass
                self.is_broken = error.errno == errno.EIO and self._is_terminal
                break
            self._write_error = ""
            done += written
            self.written_bytes += written
        return done

    def _note_end(self, written: memoryview) -> None:
        if written[-1] == 0x0A:
            self._line_start = b""
            return
        _, newline, start = bytes(written).rpartition(b"\n")
        self._line_start = start if newline else self._line_start + start

    def _limit(self) -> None:
        """Drop the oldest batch of the lowest rank."""
        first = 0
        if self._line_start and self._backlog_bytes > BACKLOG_MAX_BYTES:
            # its start is out already, so its end has to follow
            self._split_open_line()
            first = 1
        while self._backlog_bytes > BACKLOG_MAX_BYTES and len(self._backlog) > first:
            ranks = [batch.rank for batch in self._backlog]
            index = min(range(first, len(ranks)), key=ranks.__getitem__)
            batch = self._backlog[index]
            del self._backlog[index]
            self._backlog_bytes -= len(batch.data)
            self._dropped_lines += batch.line_count

    def _split_open_line(self) -> None:
        batch = self._backlog.popleft()
        end = bytes(batch.data).find(b"\n") + 1
        if end < len(batch.data):
            rest = _Batch(batch.data[end:], batch.line_count - 1, batch.rank)
            self._backlog.appendleft(rest)
        self._backlog.appendleft(_Batch(batch.data[:end], 1, batch.rank))
