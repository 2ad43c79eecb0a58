"""Errors named by what the caller may do next, each with its reason, and what a fault,
an HTTP status or a status text of Marketing Cloud proves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from imports.reasons import Reason, refusal_reason

_MOST_WORDS = 500


class MarketingCloudError(Exception):
    """Marketing Cloud did not do, or did not say that it did, what we asked.

    `reason` is for the program, `message` for a person: it never contains a credential
    or a token, and nobody looks into it. `vendor_message` is what Marketing Cloud said
    itself, on one line, at most 500 characters. `code` is the vendor's ErrorCode or
    fault code, `request_id` the vendor's RequestID; both are None where the answer had
    none.
    """

    reason: Reason = Reason.NO_ANSWER

    def __init__(
        self,
        message: str,
        *,
        reason: Reason | None = None,
        vendor_message: str = "",
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.reason
        self.vendor_message = one_line(vendor_message)
        self.code = code
        self.request_id = request_id


class AuthenticationError(MarketingCloudError):
    """The credentials were refused; asking again with them is pointless."""

    reason = Reason.CREDENTIALS_REFUSED


class TokenExpiredError(AuthenticationError):
    """The token was refused for its age; nothing was carried out."""


class RequestRefusedError(MarketingCloudError):
    """An answer proves that the request was not carried out."""

    reason = Reason.REFUSED


class QuestionRefusedError(RequestRefusedError):
    """The question itself was refused: asked otherwise, it may be answered.

    `words` is the vendor's text in full, to look for what it objects to.
    """

    def __init__(
        self,
        message: str,
        *,
        words: str,
        reason: Reason | None = None,
        vendor_message: str = "",
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(
            message,
            reason=reason,
            vendor_message=vendor_message or words,
            code=code,
            request_id=request_id,
        )
        self.words = words


class UnavailableError(MarketingCloudError):
    """Proven that nothing was sent; the same request may be made again."""

    reason = Reason.UNREACHABLE


class OutcomeUnknownError(MarketingCloudError):
    """The request was sent and no readable answer came.

    A read may be repeated. A Perform may have started an import: never again.
    """

    reason = Reason.NO_ANSWER


_NOT_DONE = frozenset(
    # Sender is SOAP 1.2's word for Client.
    {"client", "sender", "security", "mustunderstand", "versionmismatch"}
)
_ABOUT_US = frozenset({"client", "sender", "security"})
_GENERAL_EXCEPTION = "2"
_IN_MAINTENANCE = "9"
_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A SOAP fault: `code` is the local name of its faultcode, `detail_code` and
    `detail_words` the Code and Message inside its detail; empty where absent.
    """

    code: str
    words: str
    detail_code: str = ""
    detail_words: str = ""

    @property
    def said(self) -> str:
        """All that it says, on one line."""
        words = self.words or self.detail_words or f"{self.code or 'no'} fault"
        if self.detail_words and self.detail_words not in words:
            words = f"{words} {self.detail_words}"
        return one_line(words)


def one_line(words: str) -> str:
    """The vendor's words on one line, at most 500 characters."""
    line = " ".join(words.split())
    return line if len(line) <= _MOST_WORDS else f"{line[: _MOST_WORDS - 1]}…"


def quote(words: str) -> str:
    """The vendor's words between quotes, as a sentence of ours gives them."""
    return f"“{one_line(words)}”"


def fault_error(fault: Fault) -> MarketingCloudError:
    """The error that a SOAP fault proves (vendor: "SOAP Faults")."""
    kind, said = fault.code.casefold(), f"{fault.words} {fault.detail_words}".casefold()
    code, words = fault.detail_code or fault.code or None, fault.said
    # only in a fault about us: a server that broke may say the same of its own token
    if kind in _ABOUT_US and "token expired" in said:
        return TokenExpiredError(
            f"Marketing Cloud did not accept the token: {quote(words)}.",
            vendor_message=words,
            code=code,
        )
    if kind in _ABOUT_US and "login failed" in said:
        return AuthenticationError(
            f"Marketing Cloud refused the credentials: {quote(words)}.",
            vendor_message=words,
            code=code,
        )
    # the vendor documents these as not carried out, whichever side the fault blames
    if fault.detail_code == _IN_MAINTENANCE or "not processed" in said:
        return RequestRefusedError(
            f"Marketing Cloud did not carry out the request: {quote(words)}.",
            reason=refusal_reason(fault.detail_code, said),
            vendor_message=words,
            code=code,
        )
    if kind in _NOT_DONE and not is_general_exception(fault.detail_code, said):
        return QuestionRefusedError(
            f"Marketing Cloud refused the request: {quote(words)}.",
            words=fault.words,
            reason=refusal_reason(fault.detail_code, said),
            vendor_message=words,
            code=code,
        )
    return OutcomeUnknownError(
        f"Marketing Cloud reported an error of its own: {quote(words)}.",
        reason=Reason.OUTAGE,
        vendor_message=words,
        code=code,
    )


def is_general_exception(code: str, words: str) -> bool:
    """True for "something broke on our side", which proves nothing."""
    return code == _GENERAL_EXCEPTION or "exception occurred" in words.casefold()


def status_error(status: int, unknown: OutcomeUnknownError) -> MarketingCloudError:
    """What an HTTP status proves where the answer itself could not be used."""
    # 408: the request may have arrived, and only its answer was late
    if 400 <= status < 500 and status != 408:
        is_throttled = status == _TOO_MANY_REQUESTS
        return RequestRefusedError(
            f"Marketing Cloud refused the request with HTTP {status}.",
            reason=Reason.THROTTLED if is_throttled else None,
        )
    return unknown


def overall_error(status: str, message: str, request_id: str) -> MarketingCloudError:
    """The error behind an OverallStatus which is neither OK nor MoreDataAvailable."""
    known = status.casefold()
    words = message if message and known in ("error", "has errors") else status
    # a status that nobody documented proves nothing
    if not known.startswith(("error", "has errors", "api permission failed")):
        return OutcomeUnknownError(
            f"Marketing Cloud's answer has an unknown status: {quote(status)}.",
            vendor_message=status,
            request_id=request_id[:100] or None,
        )
    if is_permission(words):
        return RequestRefusedError(
            "Marketing Cloud says that the account's package or user lacks a"
            f" permission: {quote(words)}.",
            reason=Reason.PERMISSION_MISSING,
            vendor_message=words,
            request_id=request_id[:100] or None,
        )
    return QuestionRefusedError(
        f"Marketing Cloud refused the request: {quote(words)}.",
        words=words,
        reason=refusal_reason("", words),
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
