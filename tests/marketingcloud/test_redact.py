"""What the other side says of our secrets is not passed on, however it writes them."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.marketingcloud.redact import redacted

SECRET = "p4&<'\"é\\ss w0rd +/%> of nordlicht"
WRITINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "XML": lambda words: html.escape(words, quote=False),
    "HTML": html.escape,
    "HTML twice": lambda words: html.escape(html.escape(words)),
    "JSON": json.dumps,
    "JSON in XML": lambda words: html.escape(json.dumps(words)[1:-1], quote=False),
    "JSON in HTML": lambda words: html.escape(json.dumps(words)[1:-1]),
    "readable JSON": lambda words: json.dumps(words, ensure_ascii=False),
    "an address": quote,
    "a form": lambda words: quote(words, safe=""),
    "base64": lambda words: base64.b64encode(words.encode()).decode(),
    "Python": repr,
    "on one line": lambda words: " ".join(words.split()),
}
EVERY = pytest.mark.parametrize("write", WRITINGS.values(), ids=WRITINGS)


@EVERY
def test_a_secret_is_masked_in_every_writing(write: Callable[[str], str]) -> None:
    said = redacted(f"You sent {write(SECRET)} to us", [SECRET])
    assert "nordlicht" not in said
    assert "w0rd" not in said
    assert said.startswith("You sent ")
    assert "•••" in said
    assert said.endswith(" to us")


@EVERY
def test_of_one_that_is_cut_short_nothing_is_left(write: Callable[[str], str]) -> None:
    whole = write(SECRET).strip("'\"")
    for length in range(14, len(whole)):
        said = redacted(f"You sent “{whole[:length]}…”", [SECRET])
        assert said == "You sent “•••…”"


def test_every_occurrence_and_every_secret_is_masked() -> None:
    said = redacted("one-secret, two-secret, one-secret", ["one-secret", "two-secret"])
    assert said == "•••, •••, •••"


def test_words_that_only_begin_alike_stay() -> None:
    assert redacted("client-secre", ["client-secret-of-nordlicht"]) == "•••"
    assert redacted("client-secr and client", ["client-secret-of-nordlicht"]) == (
        "client-secr and client"
    )


def test_what_is_too_short_to_tell_from_words_is_left() -> None:
    assert redacted("an apple", ["an"]) == "an apple"


@given(st.text(min_size=4), st.text(), st.text())
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    said = redacted(f"{before}{secret}{after}", [secret])
    assert secret not in said or secret in "•••"
