"""Reads are repeated while a failure may pass; a Perform never comes here."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from imports.marketingcloud.errors import OutcomeUnknownError, UnavailableError
from imports.marketingcloud.records import Limits
from imports.marketingcloud.wire import Answer

logger = logging.getLogger(__name__)

# Too many requests, and what gateways say while the service behind them is away.
PASSING = frozenset({429, 502, 503, 504})
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0


def read_patiently(read: Callable[[], Answer], limits: Limits) -> Answer:
    """Does `read` up to `limits.read_tries` times, waiting longer each time.

    Repeated are connections that failed or broke, timeouts, and HTTP 429, 502,
    503 and 504 (whose Retry-After is honoured, RFC 9110 section 10.2.3), while the
    call's deadline has not passed. The last answer or error stands.
    """
    give_up = time.monotonic() + limits.call_deadline_seconds
    for tried in range(1, limits.read_tries + 1):
        answer, error = _try(read)
        wait = _wait(tried, answer)
        is_last = tried >= limits.read_tries or time.monotonic() + wait > give_up
        if answer is not None and (answer.status not in PASSING or is_last):
            return answer
        if error is not None and is_last:
            raise error
        logger.info("A read failed (%s); again in %.1f s", error or answer, wait)
        time.sleep(wait)
    raise AssertionError("read_tries is at least 1")


def _try(read: Callable[[], Answer]) -> tuple[Answer | None, Exception | None]:
    try:
        return read(), None
    except (UnavailableError, OutcomeUnknownError) as error:
        return None, error


def _wait(tried: int, answer: Answer | None) -> float:
    """Seconds until the next try: what the answer asks for, else 0.5, 1, 2 … with
    jitter, so that many readers do not come back at once.
    """
    asked = _asked_for(answer.retry_after) if answer else None
    if asked is not None:
        return asked
    longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (tried - 1))
    return random.uniform(longest / 2, longest)  # noqa: S311  jitter, no secret


def _asked_for(retry_after: str) -> float | None:
    """Retry-After in seconds; it may be a number or a date."""
    if retry_after.isascii() and retry_after.isdecimal():
        return float(retry_after[:6])
    try:
        at = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        return None
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
