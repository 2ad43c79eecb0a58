"""A name that nobody can see is no name."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from imports.models import Account, ImportDefinition, ImportRun, User
from imports.text import first_with_ink, has_ink
from imports.wording.formats import spoken

UNSEEN = {
    "nothing": "",
    "blanks": "  \t\n",
    "no-break space": "\u00a0\u202f\u3000",
    "zero-width": "\u200b\u200c\u200d\ufeff",
    "word joiner": "\u2060\u2063",
    "soft hyphen": "\u00ad",
    "Hangul fillers": "\u115f\u1160\u3164\uffa0",
    "Braille blank": "\u2800",
    "bidi controls": "\u202e\u2066\u200f\u061c",
    "marks without a letter": "\u0301\ufe0f\u034f",
    "line separators": "\u2028\u2029\x85",
    "tags": "\U000e0041\U000e01ef",
    "null note head": "\U0001d159",
}
SEEN = ("a", "7", "–", "…", "日本", "अ", "🎉", "\u200bDE\u200b", "\ue000", "\u00a0x")
EVERY = pytest.mark.parametrize("text", UNSEEN.values(), ids=UNSEEN)


@EVERY
def test_what_is_drawn_as_nothing_is_no_name(text: str) -> None:
    assert not has_ink(text)
    assert first_with_ink(text, otherwise="(no name)") == "(no name)"


@pytest.mark.parametrize("text", SEEN)
def test_what_can_be_seen_is_kept_as_it_is(text: str) -> None:
    assert first_with_ink(text, otherwise="x") == text


@EVERY
def test_each_thing_falls_back_to_what_else_is_known_of_it(text: str) -> None:
    known = ImportDefinition(name=text, customer_key="key", object_id="id")
    assert known.shown_name == str(known) == "key"
    assert ImportDefinition(
        name=text, customer_key=text, object_id="id"
    ).shown_name == ("id")
    nameless = ImportDefinition(name=text, customer_key=text, object_id=text)
    assert nameless.shown_name == "(no name)"
    assert ImportRun(definition=nameless).shown_name == "(no name)"
    assert ImportRun(pk=7, customer_key=text, task_id="502").shown_name == "Task 502"
    assert ImportRun(pk=7, customer_key=text, task_id=text).shown_name == "Run 7"
    assert ImportRun(pk=7).shown_name == "Run 7"
    assert str(Account(pk=7, name=text, label="Shop DE")) == "Shop DE"
    assert str(Account(pk=7, name=text, label=text, mid="510001")) == "MID 510001"
    assert str(Account(pk=7, name=text, label=text)) == "Account 7"
    person = User(pk=7, username="ana", first_name=text, last_name=text)
    assert person.shown_name == "ana"
    assert User(pk=7, username=text).shown_name == "Person 7"


@pytest.mark.parametrize(
    "text", [text for text in UNSEEN.values() if text], ids=list(UNSEEN)[1:]
)
def test_a_name_that_nobody_will_see_is_refused_where_it_is_typed(text: str) -> None:
    account = Account(name=text, label=text, client_id="x", subdomain="mc1")
    with pytest.raises(ValidationError) as refused:
        account.clean()
    assert set(refused.value.message_dict) == {"name", "label"}
    with pytest.raises(ValidationError) as refused:
        User(username=text, first_name=text).clean()
    assert set(refused.value.message_dict) == {"username", "first_name"}


def test_what_is_read_aloud_begins_where_something_can_be_seen() -> None:
    assert spoken("\u3164" * 100 + "Customers") == "Customers"
    assert spoken("Customers" + "x" * 100).startswith("Customers")
