"""Errors named by what the caller may do next, each with its reason, and what a fault
or an HTTP status of Marketing Cloud proves.
"""

from __future__ import annotations

import re

from imports.reasons import Reason, refusal_reason

_MOST_WORDS = 500
_MOST_ID = 100


class MarketingCloudError(Exception):
    """Marketing Cloud did not do, or did not say that it did, what we asked.

    `reason` is for the program, `message` for a person: it never contains a credential
    or a token, and nobody looks into it. It ends with the vendor's words where they are
    `quoted`. `words` is what Marketing Cloud said itself, `vendor_message` the same on
    one line of at most 500 characters. `code` is the vendor's ErrorCode or fault code,
    `request_id` the vendor's RequestID; both are None where the answer had none.
    """

    reason: Reason = Reason.NO_ANSWER

    def __init__(
        self,
        message: str,
        *,
        quoted: str | None = None,
        reason: Reason | None = None,
        vendor_message: str = "",
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        if quoted is not None:
            message = ending_with(quoted, message)
        super().__init__(message)
        self.message = message
        self.reason = reason or self.reason
        self.words = quoted or vendor_message
        self.vendor_message = one_line(self.words)
        self.code = code or None
        self.request_id = request_id[:_MOST_ID] if request_id else None


class AuthenticationError(MarketingCloudError):
    """The credentials were refused; asking again with them is pointless."""

    reason = Reason.CREDENTIALS_REFUSED


class TokenExpiredError(AuthenticationError):
    """The token was refused for its age; nothing was carried out."""


class RequestRefusedError(MarketingCloudError):
    """An answer proves that the request was not carried out."""

    reason = Reason.REFUSED


class QuestionRefusedError(RequestRefusedError):
    """The question itself was refused: asked otherwise, it may be answered."""


class UnavailableError(MarketingCloudError):
    """Proven that nothing was sent; the same request may be made again."""

    reason = Reason.UNREACHABLE


class OutcomeUnknownError(MarketingCloudError):
    """The request was sent and no readable answer came.

    A read may be repeated. A Perform may have started an import: never again.
    """


_ABOUT_US = {"client", "sender", "security"}  # Sender is SOAP 1.2's word for Client
_NOT_DONE = _ABOUT_US | {"mustunderstand", "versionmismatch"}
_GENERAL_EXCEPTION = "2"
_IN_MAINTENANCE = "9"


def one_line(words: str) -> str:
    """The vendor's words on one line, at most 500 characters."""
    line = " ".join(words.split())
    return line if len(line) <= _MOST_WORDS else f"{line[: _MOST_WORDS - 1]}…"


def quote(words: str) -> str:
    """The vendor's words between quotes, as a sentence of ours gives them."""
    return f"“{one_line(words)}”"


def ending_with(words: str, sentence: str) -> str:
    """Our sentence with the vendor's words; a full stop of theirs ends it."""
    return f"{sentence}: {quote(words)}.".replace(".”.", ".”")


def fault_error(
    faultcode: str, words: str, detail_code: str, detail_words: str
) -> MarketingCloudError:
    """The error that a SOAP fault proves (vendor: "SOAP Faults").

    `faultcode` is a local name, `detail_code` and `detail_words` are the Code and
    Message inside the fault's detail; empty where absent.
    """
    kind, said = faultcode.casefold(), f"{words} {detail_words}".casefold()
    full = words or f"{faultcode or 'no'} fault"
    if detail_words and detail_words not in full:
        full = f"{full} {detail_words}"
    code, reason = detail_code or faultcode, refusal_reason(detail_code, said)
    # only in a fault about us: a server that broke may say the same of its own token
    if kind in _ABOUT_US and "token expired" in said:
        sentence = "Marketing Cloud did not accept the token"
        return TokenExpiredError(sentence, quoted=full, code=code)
    if kind in _ABOUT_US and "login failed" in said:
        sentence = "Marketing Cloud refused the credentials"
        return AuthenticationError(sentence, quoted=full, code=code)
    # the vendor documents these as not carried out, whichever side the fault blames
    if detail_code == _IN_MAINTENANCE or "not processed" in said:
        sentence = "Marketing Cloud did not carry out the request"
        return RequestRefusedError(sentence, quoted=full, reason=reason, code=code)
    if kind in _NOT_DONE and not is_general_exception(detail_code, said):
        sentence = "Marketing Cloud refused the request"
        return QuestionRefusedError(sentence, quoted=full, reason=reason, code=code)
    sentence = "Marketing Cloud reported an error of its own"
    return OutcomeUnknownError(sentence, quoted=full, reason=Reason.OUTAGE, code=code)


def is_general_exception(code: str, words: str) -> bool:
    """True for "something broke on our side", which proves nothing."""
    return code == _GENERAL_EXCEPTION or "exception occurred" in words.casefold()


def status_error(status: int, unknown: OutcomeUnknownError) -> MarketingCloudError:
    """What an HTTP status proves where the answer itself could not be used."""
    # 408: the request may have arrived, and only its answer was late
    if not 400 <= status < 500 or status == 408:
        return unknown
    return RequestRefusedError(
        f"Marketing Cloud refused the request with HTTP {status}.",
        reason=Reason.THROTTLED if status == 429 else None,
    )


def permission_error(words: str, request_id: str | None) -> RequestRefusedError | None:
    """The error where the vendor says that a scope or permission is missing."""
    if "api permission failed" not in words.casefold():
        return None
    return RequestRefusedError(
        "Marketing Cloud says that the account's package or user lacks a permission",
        quoted=words,
        reason=Reason.PERMISSION_MISSING,
        request_id=request_id,
    )


def named_properties(words: str, asked: tuple[str, ...]) -> tuple[str, ...]:
    """Which of the properties `asked` for a refusal names, in that order.

    The texts are "Error: The Request Property(s) A, B do not match …" and "Error:
    Invalid column name 'A'"; a column may be the last part of a dotted name.
    """
    listed = words.partition("Property(s)")[2]
    quoted = " ".join(re.findall(r"['\"‘“]([\w.]+)['\"’”]", words))
    names = {name.strip(".") for name in re.findall(r"[\w.]+", listed or quoted)}
    exact = tuple(name for name in asked if name in names)
    return exact or tuple(name for name in asked if name.rpartition(".")[2] in names)
