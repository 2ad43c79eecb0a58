"""Log lines: which ids they carry, and how a record becomes text.

One record is one line, whatever the message holds: characters that could end a line,
move a terminal's cursor or turn the reading direction are escaped. A traceback follows
its line, each of its own lines marked by a bar that no record begins with; in JSON it
is a field. What looks like a secret is left out.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

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
SELDOM = {"huey", *ABOUT_STRANGERS}

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
    """Log lines within, of this thread, carry `ids`: run, account, task, request, job.

    An id that is empty is left out. A new thread starts with none.
    """
    given = {name: value for name, value in ids.items() if value not in (None, "")}
    before = _about.set({**_about.get(), **given})
    try:
        yield
    finally:
        _about.reset(before)


class AboutFilter(logging.Filter):
    """Hangs the ids of `about` on each record. What Django and gunicorn tell of a
    request once it is over knows its id by the request or the answer.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        ids = dict(_about.get())
        if request_id := _id_of_request(record):
            ids["request"] = request_id
        record.__dict__["about"] = ids
        return True


class RepetitionFilter(logging.Filter):
    """Lets the same complaint through once in a while, and says how many were left
    out: Huey's threads give a traceback ten times a second each while the queue is
    down, and a scanner asks for as many hosts; either would fill a disk in an hour.
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


def _id_of_request(record: logging.LogRecord) -> object:
    if record.name == ACCESS_LOGGER and isinstance(record.args, Mapping):
        return record.args.get(REQUEST_ID_ATOM)
    request = getattr(record, "request", None)
    return getattr(request, "META", {}).get(REQUEST_ID_KEY)


class LineFormatter(logging.Formatter):
    """A line for people: time, level, logger, ids, message."""

    def format(self, record: logging.LogRecord) -> str:
        ids = " ".join(f"{name}={value}" for name, value in _ids(record).items())
        start = f"{_time(record)} {record.levelname} {record.name}"
        message = hide_secrets(record.getMessage())
        line = one_line(f"{start} [{ids}]: {message}" if ids else f"{start}: {message}")
        return "\n".join([line, *(TRACEBACK_BAR + one for one in self._more(record))])

    def _more(self, record: logging.LogRecord) -> list[str]:
        texts = [
            self.formatException(record.exc_info) if record.exc_info else "",
            record.stack_info or "",
        ]
        lines = [line for text in texts if text for line in text.split("\n")]
        return [one_line(hide_secrets(line)) for line in lines]


class RecordFormatter(JsonFormatter):
    """A JSON object a line for programs: only fields that are named here."""

    def add_fields(
        self,
        log_data: dict[str, Any],
        record: logging.LogRecord,
        message_dict: dict[str, Any],
    ) -> None:
        log_data |= {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": hide_secrets(record.getMessage()),
            **_ids(record),
            "process": record.process,
            "thread": record.threadName,
        }
        for name in ("exc_info", "stack_info"):
            if text := message_dict.get(name):
                log_data[name] = hide_secrets(str(text))

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        # ASCII alone: no line separator and no turned direction can be in it
        text = json.dumps(log_data, default=str, ensure_ascii=True)
        return text.replace("\x7f", "\\u007f")


def one_line(text: str) -> str:
    """`text` with every character that is not plainly shown escaped as in Python."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


def hide_secrets(text: str) -> str:
    """`text` without what follows the name of a secret: the last of several nets."""
    return _SECRET.sub(rf"\g<kept>{HIDDEN}", text)


def _ids(record: logging.LogRecord) -> dict[str, object]:
    ids: dict[str, object] = getattr(record, "about", {})
    return ids


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


FORMATTERS = {"text": LineFormatter, "json": RecordFormatter}


def configuration(*, form: str, level: str, access: bool) -> dict[str, Any]:
    """The LOGGING setting, of a form in FORMATTERS and a level in LEVELS; `access` adds
    gunicorn's line for each request.
    """
    levels = {
        "imports": level,
        # at DEBUG Django prints SQL with its values, Huey every look at the queue
        "django": _at_least("WARNING", level),
        "axes": _at_least("WARNING", level),
        "huey": _at_least("WARNING", level),
        **dict.fromkeys(ABOUT_STRANGERS, level),
        # zeep prints whole envelopes, secrets included, at DEBUG
        "zeep": _at_least("INFO", level),
        "gunicorn.error": _at_least("INFO", level),
        ACCESS_LOGGER: "INFO" if access else "CRITICAL",
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "about": {"()": AboutFilter},
            "repetition": {"()": RepetitionFilter},
        },
        "formatters": {"record": {"()": FORMATTERS[form]}},
        "handlers": {
            "stderr": _handler("about"),
            "seldom": _handler("about", "repetition"),
        },
        "root": {"handlers": ["stderr"], "level": _at_least("WARNING", level)},
        "loggers": {
            name: {
                "handlers": ["seldom" if name in SELDOM else "stderr"],
                "level": own,
                "propagate": False,
            }
            for name, own in levels.items()
        },
    }


def _handler(*filters: str) -> dict[str, Any]:
    return {
        "class": "logging.StreamHandler",
        "formatter": "record",
        "filters": list(filters),
    }


def _at_least(lowest: str, level: str) -> str:
    return LEVELS[max(LEVELS.index(lowest), LEVELS.index(level))]
