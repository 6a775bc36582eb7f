# SPDX-License-Identifier: Apache-2.0
"""The agent's own log, on standard error."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

import orjson
import structlog

if TYPE_CHECKING:
    from tetragon_py.settings import Settings

__all__ = ["configure_logging"]


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
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
