"""Log lines: which ids they carry, and how a record becomes text.

One record is one line, whatever the message holds: characters that could end a line,
move a terminal's cursor or turn the reading direction are escaped. A traceback follows
its line, each of its own lines marked by a bar that no record begins with.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from imports.text import visible

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
REPEATED_AFTER_SECONDS = 30
TRACEBACK_BAR = "    | "
ACCESS_LOGGER = "gunicorn.access"
# Under which the request's id is found in what WSGI tells of a request.
REQUEST_ID_KEY = "mcdash.request_id"
REQUEST_ID_ATOM = "{x-request-id}o"
HIDDEN = "•••"
# What anybody who can send a request makes them say, as often as they like.
ABOUT_STRANGERS = ("imports.middleware", "imports.views.system")

_SECRET = re.compile(
    r"""
    (?P<kept>
        \bfueloauth\b [^>]{0,200} >
      | ["']? \b (?:[a-z]{1,20}[_-])? (?:authorization|password|passwd|secret|token)
        ["']? \s* [:=] \s* ["']? (?:(?:bearer|basic)\s+)?
      | \bbearer\s+
      | :// [^\s:/@]{0,200} :  (?=[^\s/@]{1,500}@)
    )
    [^\s"'<>,;&}@]+
    """,
    re.VERBOSE | re.IGNORECASE,
)

_about: ContextVar[Mapping[str, object]] = ContextVar(
    "about", default=MappingProxyType({})
)


@contextmanager
def about(**ids: object) -> Iterator[None]:
    """Log lines within, of this thread, carry `ids` that aren't empty: run, account,
    task, request, job. A new thread starts with none.
    """
    given = {name: value for name, value in ids.items() if value not in (None, "")}
    before = _about.set({**_about.get(), **given})
    try:
        yield
    finally:
        _about.reset(before)


class AboutFilter(logging.Filter):
    """Puts the ids of `about` on each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        ids = dict(_about.get())
        # Django and gunicorn log when the request is over and `about` with it: Django
        # puts the request on the record, gunicorn the headers of the response.
        if record.name == ACCESS_LOGGER and isinstance(record.args, Mapping):
            request_id = record.args.get(REQUEST_ID_ATOM)
        else:
            request = getattr(record, "request", None)
            request_id = getattr(request, "META", {}).get(REQUEST_ID_KEY)
        if request_id:
            ids["request"] = request_id
        record.__dict__["about"] = ids
        return True


class RepetitionFilter(logging.Filter):
    """Lets the same complaint through once in a while, and says how many were left
    out: a scanner that asks for ten hosts a second would fill a disk in an hour.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        key, now = (record.name, str(record.msg)), time.monotonic()
        with self._lock:
            since, left_out = self._seen.get(key, (-math.inf, 0))
            if now - since < REPEATED_AFTER_SECONDS:
                self._seen[key] = (since, left_out + 1)
                return False
            self._seen[key] = (now, 0)
        if left_out:
            record.msg = f"{record.msg} (and {left_out} times more since the last line)"
        return True


class TextFormatter(logging.Formatter):
    """A line for people: time, level, logger, ids, message."""

    def format(self, record: logging.LogRecord) -> str:
        about: dict[str, object] = getattr(record, "about", {})
        ids = " ".join(f"{name}={value}" for name, value in about.items())
        start = f"{_time_of(record)} {record.levelname} {record.name}"
        message, *tracebacks = _texts_of(record).values()
        lines = [f"{start} [{ids}]: {message}" if ids else f"{start}: {message}"]
        for text in tracebacks:
            lines += [f"{TRACEBACK_BAR}{line}" for line in text.split("\n")]
        return "\n".join(visible(line, is_log=True) for line in lines)


class JsonFormatter(logging.Formatter):
    """A JSON object a line, for programs."""

    def format(self, record: logging.LogRecord) -> str:
        texts = _texts_of(record)
        # no other fields: Django hangs whole requests on its records
        fields = {
            "time": _time_of(record),
            "level": record.levelname,
            "logger": record.name,
            "message": texts.pop("message"),
            **getattr(record, "about", {}),
            "process": record.process,
            "thread": record.threadName,
            **texts,
        }
        # ASCII alone: no line separator and no turned direction can be in it
        line = json.dumps(fields, default=str, ensure_ascii=True)
        return line.replace("\x7f", "\\u007f")


def _texts_of(record: logging.LogRecord) -> dict[str, str]:
    """The message and tracebacks, without secrets: the last of several nets."""
    texts = {"message": record.getMessage()}
    if record.exc_info:
        trace = traceback.format_exception(*record.exc_info)
        texts["exc_info"] = "".join(trace).rstrip("\n")
    if record.stack_info:
        texts["stack_info"] = record.stack_info.rstrip("\n")
    return {n: _SECRET.sub(rf"\g<kept>{HIDDEN}", text) for n, text in texts.items()}


def _time_of(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


FORMATTERS = {"text": TextFormatter, "json": JsonFormatter}
FILTERS = {"about": AboutFilter, "repetition": RepetitionFilter}


def configuration(*, form: str, level: str, access: bool) -> dict[str, Any]:
    """The LOGGING setting; `access` adds gunicorn's line for each request."""

    def at_least(lowest: str) -> str:
        return LEVELS[max(LEVELS.index(lowest), LEVELS.index(level))]

    levels = {
        "imports": level,
        # at DEBUG Django prints SQL with its values
        "django": at_least("WARNING"),
        "axes": at_least("WARNING"),
        **dict.fromkeys(ABOUT_STRANGERS, level),
        # zeep prints whole envelopes, secrets included, at DEBUG
        "zeep": at_least("INFO"),
        "gunicorn.error": at_least("INFO"),
        ACCESS_LOGGER: "INFO" if access else "CRITICAL",
    }
    handler = {"class": "logging.StreamHandler", "formatter": "record"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {n: {"()": each} for n, each in FILTERS.items()},
        "formatters": {"record": {"()": FORMATTERS[form]}},
        "handlers": {
            "stderr": handler | {"filters": ["about"]},
            "seldom": handler | {"filters": ["about", "repetition"]},
        },
        "root": {"handlers": ["stderr"], "level": at_least("WARNING")},
        "loggers": {
            name: {
                "handlers": ["seldom" if name in ABOUT_STRANGERS else "stderr"],
                "level": own,
                "propagate": False,
            }
            for name, own in levels.items()
        },
    }
