# SPDX-License-Identifier: Apache-2.0
"""The agent's own log, on standard error; the journal gets severities with it."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

import orjson
import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

    from tetragon_py.settings import Settings

__all__ = ["configure_logging", "set_log_level"]

_LEVELS = logging.getLevelNamesMapping()
#: Below it nothing is logged. Loggers keep their form: this alone can change later.
_least = [logging.INFO]
#: Of sd-daemon(3), by the logger's method.
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4}
_ERROR = 3


def configure_logging(settings: Settings) -> None:
    """Set form, level and colour for the whole process."""
    is_json = settings.log_format == "json"
    color = settings.color == "always" or (
        settings.color == "auto"
        and sys.stderr.isatty()
        and "NO_COLOR" not in os.environ
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(
            serializer=lambda value, **_: orjson.dumps(value, default=str).decode()
        )
        if is_json
        else structlog.dev.ConsoleRenderer(
            colors=color,
            pad_event_to=0,
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    set_log_level(settings.log_level)
    structlog.configure(
        processors=[
            _drop_lower,
            structlog.processors.add_log_level,
            *_stamp_and_render(renderer),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def set_log_level(level: str) -> None:
    """Log what is at least so severe from here on."""
    _least[0] = _LEVELS[level.upper()]


def _drop_lower(_: object, method: str, event: EventDict) -> EventDict:
    if _LEVELS.get(method.upper(), logging.CRITICAL) < _least[0]:
        raise structlog.DropEvent
    return event


# The journal has the time itself, and takes the prefix off.
def _stamp_and_render(renderer: Processor) -> list[Processor]:
    form_exception = structlog.processors.format_exc_info
    if not _is_journal(2):
        stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
        return [stamp, form_exception, renderer]

    def render(logger: object, method: str, fields: EventDict) -> str:
        return (
            f"<{_PRIORITIES.get(method, _ERROR)}>{renderer(logger, method, fields)!s}"
        )

    return [form_exception, render]


def _is_journal(fd: int) -> bool:
    """Whether the journal reads it: systemd.exec(5) says so by device and inode."""
    found = os.fstat(fd)
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
