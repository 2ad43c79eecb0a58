"""What a browser would send: the fields of a page's form as they stand."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from django.test import Client

Fields = dict[str, list[str]]


class FormReader(HTMLParser):
    """The fields of a page, named as a browser names and fills them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: Fields = {}
        self._select = self._text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._text = name
            self.fields[name] = [""]
        elif tag == "option" and "selected" in given:
            self.fields.setdefault(self._select, []).append(value)
        elif tag == "input" and self._is_sent(given):
            self.fields[name] = [value or "on"] if _is_box(given) else [value]

    def _is_sent(self, given: dict[str, str]) -> bool:
        if _is_box(given) and "checked" not in given:
            return False
        return given.get("type") != "submit" and "name" in given

    def handle_data(self, data: str) -> None:
        if self._text:
            self.fields[self._text][0] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._text = ""


def _is_box(given: dict[str, str]) -> bool:
    return given.get("type") in {"checkbox", "radio"}


def filled_form(
    client: Client, url: str, changes: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The form at `url` with its present values and `changes`; None unticks a box."""
    page = client.get(url).content.decode()
    fields: dict[str, Any] = {**FormReader(page).fields, **(changes or {})}
    return {name: value for name, value in fields.items() if value is not None}


def run_action(client: Client, name: str, rows: Any) -> list[str]:
    """Choose `rows` in the list of accounts, do the action, give what it said."""
    response = client.post(
        "/admin/imports/account/",
        {"action": name, "_selected_action": [row.pk for row in rows]},
        follow=True,
    )
    return [str(message) for message in response.context["messages"]]
