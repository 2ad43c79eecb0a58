"""What a fault, an HTTP status or a status text proves: the table of errors."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Errors named by what the caller may do next.


class MarketingCloudError(Exception):
    """Marketing Cloud did not do, or did not say that it did, what we asked.

    `code` is the vendor's ErrorCode or fault code, `request_id` the vendor's
    RequestID; both are None where the answer had none. The message is fit for a
    person and never contains a credential or a token.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.request_id = request_id


class AuthenticationError(MarketingCloudError):
    """The credentials were refused; asking again with them is pointless."""


class RequestRefusedError(MarketingCloudError):
    """An answer proves that the request was not carried out."""


class UnavailableError(MarketingCloudError):
    """Proven that nothing was sent; the same request may be made again."""


class OutcomeUnknownError(MarketingCloudError):
    """The request was sent and no readable answer came.

    A read may be repeated. A Perform may have started an import: never again.
    """


_MOST_WORDS = 500
_NOT_DONE = frozenset(
    # Sender is SOAP 1.2's word for Client.
    {"client", "sender", "security", "mustunderstand", "versionmismatch"}
)
_ABOUT_US = frozenset({"client", "sender", "security"})
_GENERAL_EXCEPTION = "2"
_IN_MAINTENANCE = "9"


class TokenExpiredError(AuthenticationError):
    """The token was refused for its age; nothing was carried out."""


class QuestionRefusedError(RequestRefusedError):
    """The question itself was refused: asked otherwise, it may be answered.

    `words` is the vendor's text in full, to look for what it objects to.
    """

    def __init__(
        self,
        message: str,
        *,
        words: str,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, code=code, request_id=request_id)
        self.words = words


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A SOAP fault: `code` is the local name of its faultcode, `detail_code` and
    `detail_words` the Code and Message inside its detail; empty where absent.
    """

    code: str
    words: str
    detail_code: str = ""
    detail_words: str = ""


def quote(words: str) -> str:
    """The vendor's words between quotes, on one line, at most 500 characters."""
    line = " ".join(words.split())
    if len(line) > _MOST_WORDS:
        line = f"{line[: _MOST_WORDS - 1]}…"
    return f"“{line}”"


def fault_error(fault: Fault) -> MarketingCloudError:
    """The error that a SOAP fault proves (vendor: "SOAP Faults")."""
    kind, said = fault.code.casefold(), f"{fault.words} {fault.detail_words}".casefold()
    code, words = fault.detail_code or fault.code or None, _fault_words(fault)
    if kind in _ABOUT_US and "token expired" in said:
        return TokenExpiredError(
            f"Marketing Cloud did not accept the token: {words}.", code=code
        )
    if kind in _ABOUT_US and "login failed" in said:
        return AuthenticationError(
            f"Marketing Cloud refused the credentials: {words}.", code=code
        )
    if fault.detail_code == _IN_MAINTENANCE or "not processed" in said:
        return RequestRefusedError(
            f"Marketing Cloud did not carry out the request: {words}.", code=code
        )
    if kind in _NOT_DONE and not is_general_exception(fault.detail_code, said):
        return QuestionRefusedError(
            f"Marketing Cloud refused the request: {words}.",
            words=fault.words,
            code=code,
        )
    return OutcomeUnknownError(
        f"Marketing Cloud reported an error of its own: {words}.", code=code
    )


def is_general_exception(code: str, words: str) -> bool:
    """True for "something broke on our side", which proves nothing."""
    return code == _GENERAL_EXCEPTION or "exception occurred" in words.casefold()


def status_error(status: int, unknown: OutcomeUnknownError) -> MarketingCloudError:
    """What an HTTP status proves where the answer itself could not be used."""
    if 400 <= status < 500 and status != 408:
        return RequestRefusedError(
            f"Marketing Cloud refused the request with HTTP {status}."
        )
    return unknown


def overall_error(status: str, message: str, request_id: str) -> MarketingCloudError:
    """The error behind an OverallStatus which is neither OK nor MoreDataAvailable."""
    known = status.casefold()
    words = message if message and known in ("error", "has errors") else status
    if not known.startswith(("error", "has errors", "api permission failed")):
        return OutcomeUnknownError(
            f"Marketing Cloud's answer has an unknown status: {quote(status)}.",
            request_id=request_id[:100] or None,
        )
    if is_permission(words):
        return RequestRefusedError(
            "Marketing Cloud says that the account's package or user lacks a"
            f" permission: {quote(words)}.",
            request_id=request_id[:100] or None,
        )
    return QuestionRefusedError(
        f"Marketing Cloud refused the request: {quote(words)}.",
        words=words,
        request_id=request_id[:100] or None,
    )


def is_permission(words: str) -> bool:
    """True where the vendor says that a scope or permission is missing."""
    return "api permission failed" in words.casefold()


def named_properties(words: str, asked: tuple[str, ...]) -> tuple[str, ...]:
    """Which of the properties `asked` for a refusal names, in that order.

    The texts are "Error: The Request Property(s) A, B do not match …" and "Error:
    Invalid column name 'A'"; a column may be the last part of a
    dotted name.
    """
    listed = words.partition("Property(s)")[2]
    quoted = " ".join(re.findall(r"['\"‘“]([\w.]+)['\"’”]", words))
    names = {name.strip(".") for name in re.findall(r"[\w.]+", listed or quoted)}
    exact = tuple(name for name in asked if name in names)
    return exact or tuple(name for name in asked if name.rpartition(".")[2] in names)


def _fault_words(fault: Fault) -> str:
    words = fault.words or fault.detail_words or f"{fault.code or 'no'} fault"
    if fault.detail_words and fault.detail_words not in words:
        words = f"{words} {fault.detail_words}"
    return quote(words)
