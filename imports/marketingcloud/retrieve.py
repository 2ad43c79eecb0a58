"""Retrieve with all its pages, around properties and operators that are refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from imports.marketingcloud import errors
from imports.marketingcloud.parse import Kind, Message, children, overall_status, text

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_VALUES = 200  # of one IN
_MOST_PAGES = 400  # of 2,500 rows each: a million


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """A filter on one property: equals one value, or IN several."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows(Generic[T]):
    """The rows of all pages. They are not `is_whole` where the pages do not fit
    together, so that a row which is not among them may be there all the same.
    `takes_in` tells whether IN was accepted, None where it was not tried.
    """

    rows: list[T]
    is_whole: bool
    takes_in: bool | None = None


Ask = Callable[[str, Sequence[str], Where | None, str | None], Message]
"""Sends one Retrieve for an object type's properties; the last is the RequestID of the
page before, if there was one."""


class Retriever:
    """Retrieves rows, remembering what the account refuses.

    `refused` are properties named "ObjectType:Property", in the order in which they
    were; `takes_in` is what is known about the account and the IN operator. `clean`
    takes secrets out of what is logged.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        refused: Iterable[str],
        takes_in: bool | None,
        clean: Callable[[str], str] = str,
    ) -> None:
        self._ask = ask
        self.refused = tuple(dict.fromkeys(refused))
        self._takes_in = takes_in
        self._clean = clean

    def rows(
        self,
        kind: Kind[T],
        where: Where | None = None,
        *,
        on_page: Callable[[int], None] | None = None,
    ) -> Rows[T]:
        """All rows of all pages. A refused property is dropped and remembered.
        `on_page` is told how many pages were read; it begins anew where a refusal
        makes the reading do so.

        Raises RequestRefusedError, OutcomeUnknownError or what sending raises.
        """
        while True:
            properties = tuple(
                name
                for name in kind.properties
                if name in kind.essential
                or f"{kind.object_type}:{name}" not in self.refused
            )
            try:
                return self._pages(kind, properties, where, on_page)
            except errors.QuestionRefusedError as refusal:
                named = errors.named_properties(refusal.words, properties)
                if not named or kind.essential.intersection(named):
                    raise
                names = ", ".join(named)
                logger.info("%s cannot be retrieved: %s", kind.object_type, names)
                self.refused += tuple(f"{kind.object_type}:{name}" for name in named)

    def rows_by(self, kind: Kind[T], name: str, values: Iterable[str]) -> Rows[T]:
        """All rows whose property `name` has one of `values`: by IN where the account
        takes it, by one question a value where it does not.
        """
        learned: bool | None = None
        unique = list(dict.fromkeys(value for value in values if value))
        answers: list[Rows[T]] = []
        for start in range(0, len(unique), _MOST_VALUES):
            some = tuple(unique[start : start + _MOST_VALUES])
            if len(some) == 1 or self._takes_in is False:
                answers.append(self._one_by_one(kind, name, some))
                continue
            try:
                answers.append(self.rows(kind, Where(name=name, values=some)))
            except errors.QuestionRefusedError as refusal:
                # Only where each value alone is answered was it the operator's fault.
                answers.append(self._one_by_one(kind, name, some))
                words = self._clean(str(refusal))
                logger.info("This account does not take the operator IN: %s", words)
                self._takes_in = learned = False
            else:
                self._takes_in = learned = True
        return replace(joined(answers), takes_in=learned)

    def _one_by_one(self, kind: Kind[T], name: str, values: Sequence[str]) -> Rows[T]:
        return joined(
            self.rows(kind, Where(name=name, values=(value,))) for value in values
        )

    def _pages(
        self,
        kind: Kind[T],
        properties: tuple[str, ...],
        where: Where | None,
        on_page: Callable[[int], None] | None,
    ) -> Rows[T]:
        rows: list[T] = []
        known: set[object] = set()
        is_whole = True
        seen: set[str | None] = {None}
        page: str | None = None
        while True:
            message = self._ask(kind.object_type, properties, where, page)
            read = map(kind.read, children(message.element, "Results"))
            new = [row for row in read if row is not None]
            of_page = {kind.identity(row) for row in new}
            # a page that repeats a row, or was announced and is empty: rows moved
            # while pages were turned, and some may have slipped through
            if page is not None and (not new or not known.isdisjoint(of_page)):
                is_whole = False
            known |= of_page
            page = _next_page(message)
            rows.extend(new)
            if on_page is not None:
                on_page(len(seen))
            if page is None:
                return Rows(rows=rows, is_whole=is_whole)
            if page in seen or len(seen) > _MOST_PAGES:
                raise errors.OutcomeUnknownError(
                    "Marketing Cloud's list does not come to an end.",
                    request_id=page,
                )
            seen.add(page)


def joined(answers: Iterable[Rows[T]]) -> Rows[T]:
    """The rows of several answers, whole where all of them are."""
    parts = list(answers)
    return Rows(
        rows=[row for part in parts for row in part.rows],
        is_whole=all(part.is_whole for part in parts),
    )


def _next_page(message: Message) -> str | None:
    has_more = overall_status(message, "moredataavailable") != "ok"
    if not 200 <= message.status < 300:
        odd = f"Marketing Cloud's answer says OK, but with HTTP {message.status}."
        raise errors.status_error(message.status, errors.OutcomeUnknownError(odd))
    request_id = text(message.element, "RequestID")
    if has_more and not request_id:
        raise errors.OutcomeUnknownError(
            "Marketing Cloud says that there is more, but not where it goes on."
        )
    return request_id if has_more else None
