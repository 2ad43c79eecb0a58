"""Draw the definitions' strips anew from the history, or prove them right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction

from imports.models import Account, ImportDefinition, publish
from imports.models.definition import Drawn

BATCH = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class WrongStrip:
    """A definition whose `last_run` or `strip` was not what the history says."""

    definition: int
    name: str
    what: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StripReport:
    """How many definitions were looked at, and which of them were wrong."""

    checked: int
    wrong: tuple[WrongStrip, ...]


def rebuild_strips(*, account: Account, check: bool = False) -> StripReport:
    """Bring `last_run` and `strip` of every definition of `account` up to date with
    its runs; with `check` only tell which differ.

    A worker may go on meanwhile: each row that seems wrong is looked at once more
    while it is held, and only that one.
    """
    checked, wrong = 0, []
    for definition in _definitions(account):
        checked += 1
        if _is_right(definition):
            continue
        if what := _mend(definition.pk, check=check):
            wrong.append(
                WrongStrip(
                    definition=definition.pk, name=definition.shown_name, what=what
                )
            )
    return StripReport(checked=checked, wrong=tuple(wrong))


def _definitions(account: Account) -> Iterator[ImportDefinition]:
    """In batches, each read anew: no cursor stays open beside the writing."""
    rows = account.definitions.order_by("pk").only(
        "object_id", "customer_key", "name", "last_run_id", "strip"
    )
    last = 0
    while batch := list(rows.filter(pk__gt=last)[:BATCH]):
        yield from batch
        last = batch[-1].pk


def _is_right(definition: ImportDefinition) -> bool:
    return definition.drawn() == (definition.last_run_id, definition.strip)


def _mend(pk: int, *, check: bool) -> str:
    """What is wrong, now that nobody else can change it; empty if nothing is."""
    with transaction.atomic():
        held = ImportDefinition.objects.select_for_update().get(pk=pk)
        stored = (held.last_run_id, held.strip)
        if check:
            right = held.drawn()
        else:
            held.redraw()
            right = (held.last_run_id, held.strip)
        what = _difference(stored, right)
        if what and not check:
            publish(accounts=[held.account])
        return what


def _difference(stored: Drawn, right: Drawn) -> str:
    (last_run, strip), (right_run, right_strip) = stored, right
    parts = []
    if last_run != right_run:
        parts.append(f"last run {last_run or '–'}, not {right_run or '–'}")
    if len(strip) != len(right_strip):
        parts.append(f"{len(strip)} ends, not {len(right_strip)}")
    elif strip != right_strip:
        parts.append("other ends")
    return "; ".join(parts)
