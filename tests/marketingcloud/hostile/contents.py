"""The table of what rows and token answers may hold, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tests.marketingcloud.playing import Play, answer
from tests.marketingcloud.wording import result

TASK = "129159023"
ODD_TEXTS = {
    "10,000 characters": "ä" * 10_000,
    "HTML and script": "<b>hi</b><script>alert(1)</script><img src=x onerror=a()>",
    "a formula": "=cmd|' /C calc'!A0",
    "astral characters": "𝄞 👩\u200d👩\u200d👧 \U0010fffd",
    "turned around": "\u202eexe.csv\u202c \u2066x\u2069",
    "combining without end": "e" + "\u0301" * 500,
    "a template": "{{ settings.SECRET_KEY }} {% load x %} %s %(a)s {0}",
    "a path": "../../etc/passwd",
    "C1 control characters": "red \x9b31m \x85 text",
}


@dataclass(frozen=True, kw_only=True)
class Content:
    """Rows of an answer to a question about TASK, and what is kept of each row."""

    rows: tuple[str, ...]
    kept: tuple[Mapping[str, object], ...]


def _row(says: Mapping[str, str], **kept: object) -> Content:
    return Content(rows=(result(TASK, **says),), kept=({"task_id": TASK, **kept},))


def _count(text: str) -> Content:
    return _row({"NumberErrors": text, "TotalRows": "7"}, errors=None, total_rows=7)


def _date(text: str) -> Content:
    return _row({"StartDate": text}, start_text=text)


COUNTS = {
    "a count that is empty": _count(""),
    "a count of blanks": _count(" "),
    "a count below zero": _count("-1"),
    "a count with a sign": _count("+1"),
    "a count in words": _count("many"),
    "half a count": _count("1.5"),
    "a count with an exponent": _count("1e3"),
    "a count with a comma": _count("1,000"),
    "a count in hexadecimal": _count("0x10"),
    "a count with underscores": _count("1_000"),
    "a count in other digits": _count("٣"),
    "a count beyond 31 bits": _count("2147483648"),
    "a count of 5,000 digits": _count("9" * 5000),
    "NaN for a count": _count("NaN"),
    "no count": _row({"TotalRows": "7"}, errors=None, total_rows=7),
}
DATES = {
    "a date in words": _date("tomorrow"),
    "a date that is none": _date("2026-02-30T00:00:00"),
    "a year of five digits": _date("12026-01-01T00:00:00"),
    "a year long ago": _date("0001-01-01T00:00:00"),
    "a zone that is none": _date("2026-01-01T00:00:00+99:99"),
    "a date of 10,000 digits": _date("1" * 10_000),
    "a date that is empty": _date(""),
}
PHASES = {
    "a phase nobody knows": _row({"ImportStatus": "Dreaming"}, phase="Dreaming"),
    "no phase": _row({}, phase=""),
    **{
        f"a phase and a key: {name}": _row(
            {"ImportStatus": text, "ImportDefinitionCustomerKey": text},
            phase=text,
            customer_key=text,
        )
        for name, text in ODD_TEXTS.items()
    },
}
ROWS = {
    "a row twice": Content(
        rows=(result(TASK), result(TASK)), kept=({"task_id": TASK},)
    ),
    "two rows of a task that differ": Content(
        rows=(result(TASK, NumberErrors="1"), result(TASK, NumberErrors="2")),
        kept=({"errors": 1}, {"errors": 2}),
    ),
    "a row of another task": Content(
        rows=(result("9"), result(TASK)), kept=({"task_id": TASK},)
    ),
    "a row without a task": Content(
        rows=("<Results><ID>1</ID></Results>", result(TASK)),
        kept=({"task_id": TASK},),
    ),
    "a row of another kind": Content(
        rows=(
            f'<Results xsi:type="User"><TaskResultID>{TASK}</TaskResultID></Results>',
        ),
        kept=({"task_id": TASK, "errors": None},),
    ),
    "a row within a row": Content(
        rows=(
            f"<Results><Results><TaskResultID>{TASK}</TaskResultID></Results></Results>",
        ),
        kept=(),
    ),
    "elements within a count": Content(
        rows=(
            f"<Results><TaskResultID>{TASK}</TaskResultID><NumberErrors><a>1</a>"
            "</NumberErrors></Results>",
        ),
        kept=({"errors": None},),
    ),
}
CONTENTS: dict[str, Content] = {**COUNTS, **DATES, **PHASES, **ROWS}


def token_answer(**changed: object) -> Play:
    whole: dict[str, object] = {"access_token": "t", "expires_in": 1079}
    return json_answer({**whole, **changed})


def json_answer(content: object, status: int = 200) -> Play:
    return answer(json.dumps(content), status=status, content_type="application/json")


# Each of them is "gave no access token": nothing is performed then.
NO_TOKENS: dict[str, Play] = {
    "not JSON": answer("{"),
    "JSON nested 100,000 deep": answer("[" * 100_000),
    "not Unicode": answer(b"\xff\xfe\x00"),
    "a list": json_answer([]),
    "null": json_answer(None),
    "a text": json_answer("token"),
    "a number": json_answer(7),
    "an object without anything": json_answer({}),
    "a token under HTTP 201": json_answer({"access_token": "t", "expires_in": 9}, 201),
    "a token under HTTP 404": json_answer({"access_token": "t", "expires_in": 9}, 404),
    "a token under HTTP 500": json_answer({"access_token": "t", "expires_in": 9}, 500),
    "an error of the server's": json_answer({"error": "server_error"}, 400),
    "an error that is no text": json_answer({"error": ["invalid_client"]}, 400),
    "blocked": json_answer({"message": "Blocked"}, 403),
    "too many": json_answer({"message": "Too many"}, 429),
    "an empty token": token_answer(access_token=""),
    "null for a token": token_answer(access_token=None),
    "a list for a token": token_answer(access_token=["t"]),
    "a number for a token": token_answer(access_token=7),
    "a token of two words": token_answer(access_token="two words"),
    "a token with a line break": token_answer(access_token="line\r\nbreak"),
    "a token with half a character": token_answer(access_token="t\ud800"),
    "a token that is no ASCII": token_answer(access_token="töken"),
    "a token of 8,001 characters": token_answer(access_token="t" * 8_001),
    "no life": json_answer({"access_token": "t"}),
    "a life that is a text": token_answer(expires_in="1079"),
    "a life that is true": token_answer(expires_in=True),
    "a life of 0": token_answer(expires_in=0),
    "a life below 0": token_answer(expires_in=-5),
    "a life without end": token_answer(expires_in=float("inf")),
    "a life that is not a number": token_answer(expires_in=float("nan")),
}
# What a token answer may name as the SOAP service's address: it is never called, and
# shown only where it is an address at all.
INSTANCE_URLS: dict[str, tuple[object, str | None]] = {
    "the vendor's": ("https://mc1.soap.marketingcloudapis.com/",) * 2,
    "another host": ("https://evil.example/", "https://evil.example/"),
    "an object": ({"evil": 1}, None),
    "not an address": ("evil", None),
    "a script": ("javascript:alert(1)", None),
    "a host that is none": ("https://[::1", None),
    "a sign-in": ("https://a:b@evil.example/", None),
    "half a character": ("https://evil\ud800.example/", None),
    "a line break": ("https://evil.example/\n", None),
    "an escape sequence": ("https://evil.example/\x1b[31m", None),
    "600 characters": (f"https://evil.example/{'x' * 600}", None),
}
