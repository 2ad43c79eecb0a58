"""What the reader keeps at hand, with its run under way or a way to start it."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from imports.models import ImportDefinition, ImportRun, User
from imports.models.lost_keys import is_key_lost

MOST_FAVOURITES = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Favoured:
    """A favourite: its own run under way, if any, and whether it can be started."""

    definition: ImportDefinition
    active: ImportRun | None
    may_start: bool


def favourites(user: User, startable: Container[int]) -> list[Favoured]:
    """The first favourites of `user`, who may start in the accounts `startable`, by
    name, as far as they may be seen: in two queries, however many there are.
    """
    visible = ImportDefinition.objects.visible_to(user)
    kept = visible.filter(favourites__user=user).annotate(
        has_lost_key=is_key_lost("account_id")
    )
    shown = list(
        kept.select_related("account", "last_run").order_by("name", "account__name")[
            :MOST_FAVOURITES
        ]
    )
    active = _under_way(shown)
    return [
        Favoured(
            definition=one,
            active=active.get(one.pk),
            may_start=one.account_id in startable and not one.why_not_startable,
        )
        for one in shown
    ]


def _under_way(shown: list[ImportDefinition]) -> dict[int | None, ImportRun]:
    by_pk = {one.pk: one for one in shown}
    for one in shown:
        one.account.has_lost_key = one.has_lost_key  # type: ignore[attr-defined]
    runs = list(ImportRun.objects.active().ours().filter(definition__in=shown))
    for run in runs:
        run.account = by_pk[run.definition_id or 0].account
    return {run.definition_id: run for run in runs}
