from __future__ import annotations

import pytest

from imports.marketingcloud.answers import read_message, text
from imports.marketingcloud.errors import OutcomeUnknownError, RequestRefusedError
from imports.marketingcloud.wire import Answer
from tests.marketingcloud.wording import SOAP, definition, envelope, retrieved

NAME = "RetrieveResponseMsg"


def _answer(body: str | bytes, status: int = 200, kind: str = "text/xml") -> Answer:
    data = body.encode() if isinstance(body, str) else body
    return Answer(status=status, content_type=kind, body=data)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is empty"),
        (b" \r\n ", "is empty"),
        (b"<!DOCTYPE html><html><body>Login</body></html>", "is a web page"),
        (b"\xef\xbb\xbf<HTML><body>Login", "is a web page"),
        (b'{"message": "Not Authorized"}', "is not XML but application/json"),
        (b"\x1f\x8b\x08\x00rubbish", "is not XML"),
        (retrieved(definition("a")).encode()[:-40], "broken XML"),
        (retrieved("\x01").encode(), "broken XML"),
        (retrieved("ä").encode("latin-1"), "broken XML"),
        (retrieved("&undefined;").encode(), "broken XML"),
        (b"<ok/>", "is not a SOAP message"),
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


@pytest.mark.parametrize(
    "prolog",
    [
        "<!DOCTYPE a>",
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/evil.dtd">',
        '<!DOCTYPE a [<!ENTITY x "ha">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_dtd_is_never_accepted(prolog: str, encoding: str) -> None:
    body = retrieved().replace('<?xml version="1.0" encoding="utf-8"?>', prolog)
    with pytest.raises(OutcomeUnknownError, match=r"DTD|broken XML"):
        read_message(_answer(body.encode(encoding)), NAME)


def test_a_dtd_in_plain_sight_is_not_even_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("imports.marketingcloud.answers._parser", pytest.fail)
    with pytest.raises(OutcomeUnknownError, match="DTD"):
        read_message(_answer("<!DOCTYPE a><a/>"), NAME)


@pytest.mark.parametrize(
    "bomb",
    ["<a/>" * 700_000, "<a " + " ".join(f'a{n}=""' for n in range(300_000)) + "/>"],
    ids=["elements", "attributes"],
)
def test_an_answer_of_endless_tiny_parts_is_not_parsed(bomb: str) -> None:
    body = retrieved(bomb)
    with pytest.raises(OutcomeUnknownError, match="far more elements"):
        read_message(_answer(body), NAME)


def test_deep_nesting_is_broken_xml() -> None:
    body = retrieved("<a>" * 50_000 + "</a>" * 50_000)
    with pytest.raises(OutcomeUnknownError, match="broken XML"):
        read_message(_answer(body), NAME)


def test_well_formed_soap_is_read_whatever_its_content_type() -> None:
    for kind in ("text/html", "application/json", "", "text/xml; charset=latin-1"):
        message = read_message(_answer(retrieved(), kind=kind), NAME)
        assert text(message.element, "OverallStatus") == "OK"


def test_utf_16_is_read() -> None:
    body = retrieved(definition("ключ 𝄞")).replace("utf-8", "utf-16")
    message = read_message(_answer(body.encode("utf-16")), NAME)
    assert text(message.element, "OverallStatus") == "OK"
