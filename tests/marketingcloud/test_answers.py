from __future__ import annotations

import pytest

from imports.marketingcloud.errors import OutcomeUnknownError, RequestRefusedError
from imports.marketingcloud.http import Answer
from imports.marketingcloud.parse import read_message
from tests.marketingcloud.wording import SOAP, envelope

NAME = "RetrieveResponseMsg"


def _answer(body: str | bytes, status: int = 200, kind: str = "text/xml") -> Answer:
    data = body.encode() if isinstance(body, str) else body
    return Answer(status=status, content_type=kind, body=data)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html><html><body>Login</body></html>", "is a web page"),
        (b"\xef\xbb\xbf<HTML><body>Login", "is a web page"),
        (f'<e:Envelope xmlns:e="{SOAP}"/>'.encode(), "is not a SOAP message"),
        (envelope("").encode(), "does not contain what was asked for"),
        (envelope("<PerformResponseMsg/>").encode(), "does not contain"),
    ],
)
def test_an_answer_that_cannot_be_read_leaves_the_outcome_unknown(
    body: bytes, words: str
) -> None:
    with pytest.raises(OutcomeUnknownError, match=words):
        read_message(_answer(body, kind="application/json"), NAME)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 413, 429])
def test_an_unreadable_4xx_is_a_refusal(status: int) -> None:
    with pytest.raises(RequestRefusedError, match=f"HTTP {status}"):
        read_message(_answer(b"<html>No</html>", status), NAME)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_an_unreadable_408_or_5xx_leaves_the_outcome_unknown(status: int) -> None:
    with pytest.raises(OutcomeUnknownError, match=f"HTTP {status}"):
        read_message(_answer(b"<html>No</html>", status), NAME)


def test_a_4xx_whose_body_broke_off_is_a_refusal_all_the_same() -> None:
    broken = OutcomeUnknownError("broke off")
    with pytest.raises(RequestRefusedError, match="HTTP 403"):
        read_message(Answer(status=403, broken=broken), NAME)
    with pytest.raises(OutcomeUnknownError, match="broke off"):
        read_message(Answer(status=200, broken=broken), NAME)


def test_a_dtd_in_plain_sight_is_not_even_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("imports.marketingcloud.parse.etree.fromstring", pytest.fail)
    with pytest.raises(OutcomeUnknownError, match="DTD"):
        read_message(_answer("<!DOCTYPE a><a/>"), NAME)
