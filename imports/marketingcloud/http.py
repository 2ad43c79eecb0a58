"""One HTTP POST, sent at most once, bounded in time and size.

No redirects, no retries, no proxies or passwords from the environment, TLS
always verified. What went wrong is told as an error named by what we know:
`UnavailableError` only where the exchange saw that nothing was sent.
"""

from __future__ import annotations

import io
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Protocol
from urllib.parse import urlsplit

import requests
from urllib3 import exceptions as urllib3_errors

from imports.marketingcloud import errors
from imports.marketingcloud.records import Limits
from imports.marketingcloud.sockets import Exchange, PeerCheck, ReportingAdapter
from imports.reasons import Reason


class RequestHook(Protocol):
    """Is called with each request once it is over; must not raise.

    `operation` is the SOAP operation, or "token". `outcome` is one of: answered (HTTP
    200), error (another status, SOAP faults among them), refused (a redirect),
    unavailable (nothing was sent), unknown (sent, and no readable answer came).
    """

    def __call__(self, *, operation: str, outcome: str, seconds: float) -> None: ...


logger = logging.getLogger(__name__)

_PIECE = 64 * 1024
_FORESEEN = (
    requests.RequestException,
    urllib3_errors.HTTPError,
    HTTPException,
    OSError,
)
_WHY_NOT_SENT: tuple[tuple[type[BaseException], str], ...] = (
    (urllib3_errors.NameResolutionError, "its name could not be looked up"),
    (urllib3_errors.ProxyError, "the proxy did not let the connection through"),
    (urllib3_errors.SSLError, "the secure connection could not be set up"),
    (ConnectionRefusedError, "the connection was refused"),
    (urllib3_errors.NewConnectionError, "no connection could be made"),
    (urllib3_errors.ConnectTimeoutError, "the connection was not answered in time"),
)
_DECODING = (urllib3_errors.DecodeError, requests.exceptions.ContentDecodingError)
_SLOW = (urllib3_errors.ReadTimeoutError, requests.ReadTimeout)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An HTTP answer as it came. `broken` says why `body` could not be read."""

    status: int
    content_type: str = ""
    retry_after: str = ""
    # not in a representation, which is logged: it may echo a request and its secrets
    body: bytes = field(default=b"", repr=False)
    broken: errors.OutcomeUnknownError | None = None

    @property
    def retry_after_seconds(self) -> float | None:
        """Retry-After, which may be a number of seconds or a date, in seconds."""
        if self.retry_after.isascii() and self.retry_after.isdecimal():
            return float(self.retry_after[:6])
        try:
            at = parsedate_to_datetime(self.retry_after)
        except (ValueError, OverflowError):
            return None
        if at.tzinfo is None:  # "-0000": a zone that the sender does not know
            return None
        return max(0.0, (at - datetime.now(UTC)).total_seconds())


class HttpSession:
    """Sends requests, and knows whether the last one was `sent`; used by one thread at
    a time. The arguments are as `MarketingCloudClient` has them.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        proxy: str | None = None,
        check_peer: PeerCheck | None = None,
        on_request: RequestHook | None = None,
    ) -> None:
        self.sent = False
        self._on_request = on_request
        self._limits = limits
        self._check_peer = check_peer
        self._adapter = ReportingAdapter()
        self._session = _Session(self._adapter, proxy)

    def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        send_before: float | None = None,
        fresh: bool = False,
        operation: str = "other",
    ) -> Answer:
        """Sends `body` once and gives the answer, whatever its status but 3xx.

        `fresh` forbids a kept connection. Raises UnavailableError when nothing was
        sent, RequestRefusedError for a redirect, OutcomeUnknownError for no answer.
        """
        if fresh:
            # the other side may have closed what was kept, which shows only after
            # sending, when the outcome is unknown already
            self.close()
        exchange = Exchange(
            seconds=self._limits.call_deadline_seconds,
            send_before=send_before,
            check_peer=self._check_peer,
        )
        began, outcome = time.monotonic(), "unknown"
        try:
            answer = self._send_once(exchange, url, body, headers)
            if answer.broken is None:
                outcome = "answered" if answer.status == 200 else "error"
            return answer
        except errors.UnavailableError:
            outcome = "unavailable"
            raise
        except errors.RequestRefusedError:
            outcome = "refused"
            raise
        finally:
            self.sent = exchange.sent
            if self._on_request is not None:
                seconds = time.monotonic() - began
                self._on_request(operation=operation, outcome=outcome, seconds=seconds)

    def _send_once(
        self, exchange: Exchange, url: str, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        limits = self._limits
        connect_seconds = min(limits.connect_timeout_seconds, exchange.seconds)
        with exchange:
            try:
                with self._session.post(
                    url,
                    data=body,
                    headers=dict(headers),
                    allow_redirects=False,
                    # streamed, so that the size is judged while it is read
                    stream=True,
                    timeout=(connect_seconds, limits.read_timeout_seconds),
                ) as response:
                    return self._answer(exchange, response)
            except errors.MarketingCloudError:
                raise
            except Exception as exc:
                raise self._failure(exchange, url, exc) from exc

    def close(self) -> None:
        """Closes the connections that were kept for later."""
        self._adapter.close()

    def _answer(self, exchange: Exchange, response: requests.Response) -> Answer:
        status = response.status_code
        if 300 <= status < 400:
            raise errors.RequestRefusedError(
                f"Marketing Cloud pointed to another address (HTTP {status}), which"
                " mcdash does not follow. Check the account's addresses.",
                reason=Reason.WRONG_ADDRESS,
            )
        answer = Answer(
            status=status,
            content_type=response.headers.get("Content-Type", ""),
            retry_after=response.headers.get("Retry-After", "").strip(),
        )
        try:
            return replace(answer, body=self._body(exchange, response))
        except errors.OutcomeUnknownError as broken:
            return replace(answer, broken=broken)

    def _body(self, exchange: Exchange, response: requests.Response) -> bytes:
        cap = self._limits.max_answer_bytes
        too_large = errors.OutcomeUnknownError(
            f"Marketing Cloud's answer is larger than {cap / (1024 * 1024):g} MB,"
            " so it was not read."
        )
        declared = response.headers.get("Content-Length", "")
        if declared.isdecimal() and int(declared[:20]) > cap:
            raise too_large
        body = io.BytesIO()
        try:
            for piece in response.iter_content(_PIECE):
                # counted as unpacked: a few packed bytes may become gigabytes
                if body.tell() + len(piece) > cap:
                    raise too_large
                body.write(piece)
        except _FORESEEN as exc:
            if exchange.expired or _comes_from(exc, *_SLOW):
                raise _too_slow(exchange) from exc
            what = "broke off in the middle"
            if _comes_from(exc, *_DECODING):
                what = "could not be unpacked: its compression is broken"
            raise errors.OutcomeUnknownError(
                f"Marketing Cloud's answer {what}."
            ) from exc
        # a socket that was shut when the time was up looks like an answer's end
        if exchange.expired:
            raise _too_slow(exchange)
        return body.getvalue()

    def _failure(
        self, exchange: Exchange, url: str, exc: Exception
    ) -> errors.MarketingCloudError:
        if not isinstance(exc, _FORESEEN):
            logger.exception("Unforeseen failure while talking to Marketing Cloud")
        if not exchange.sent:
            host = urlsplit(url).hostname or "the address"
            whys = (why for kind, why in _WHY_NOT_SENT if _comes_from(exc, kind))
            return errors.UnavailableError(
                f"Marketing Cloud could not be reached at {host}:"
                f" {next(whys, 'the connection could not be set up')}."
                " Nothing was sent."
            )
        if exchange.expired or _comes_from(exc, *_SLOW):
            return _too_slow(exchange)
        if _comes_from(exc, HTTPException) and not _comes_from(exc, ConnectionError):
            return errors.OutcomeUnknownError(
                "Marketing Cloud's answer is not proper HTTP."
            )
        return errors.OutcomeUnknownError(
            "The connection to Marketing Cloud broke before an answer came."
        )


class _Session(requests.Session):
    def __init__(self, adapter: ReportingAdapter, proxy: str | None) -> None:
        super().__init__()
        # Neither .netrc nor proxy variables of the environment; a proxy is a setting.
        self.trust_env = False
        self.proxies = {"http": proxy, "https": proxy} if proxy else {}
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers.clear()
        self.headers.update(
            {"User-Agent": "mcdash", "Accept-Encoding": "gzip, deflate"}
        )
        self.adapters.clear()
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(
        self,
        resp: requests.Response,  # noqa: ARG002 - requests' own signature
    ) -> str | None:
        """None, always: even unfollowed, requests would read a redirect whole."""
        return None


def _too_slow(exchange: Exchange) -> errors.OutcomeUnknownError:
    what = "answer in time"
    if exchange.expired:
        what = f"finish its answer within {exchange.seconds:g} seconds"
    return errors.OutcomeUnknownError(
        f"Marketing Cloud did not {what}.", reason=Reason.TIMEOUT
    )


def _comes_from(exc: BaseException | None, *kinds: type[BaseException]) -> bool:
    # requests and urllib3 wrap what happened several times: only the innermost says
    # whether a name was not found, or a connection not made
    while exc is not None and not isinstance(exc, kinds):
        exc = exc.__cause__ or exc.__context__
    return exc is not None


# Too many requests, and what gateways say while the service behind them is away.
PASSING = frozenset({429, 502, 503, 504})
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0


def retry_read(read: Callable[[], Answer], limits: Limits) -> Answer:
    """Calls `read` up to `limits.read_tries` times, waiting longer each time.

    Never to be used for a Perform, which may have started an import all the same.
    Repeated are failed and broken connections, timeouts and the statuses of `PASSING`
    (whose Retry-After is honoured, RFC 9110 section 10.2.3), while the call's deadline
    has not passed. The last answer or error stands.
    """
    give_up = time.monotonic() + limits.call_deadline_seconds
    tried = 0
    while True:
        tried += 1
        wait: float | None = None
        end: Answer | errors.MarketingCloudError
        try:
            end = read()
            if end.status not in PASSING:
                return end
            wait = end.retry_after_seconds
        except (errors.UnavailableError, errors.OutcomeUnknownError) as failure:
            end = failure
        if wait is None:  # with jitter, so that many readers do not come back at once
            longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (tried - 1))
            wait = random.uniform(longest / 2, longest)  # noqa: S311  no secret
        if tried >= limits.read_tries or time.monotonic() + wait > give_up:
            if isinstance(end, Answer):
                return end
            raise end
        logger.info("A read failed (%s); again in %.1f s", end, wait)
        time.sleep(wait)
