"""What the reader keeps at hand, with its run under way or a way to start it."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from imports.models import ImportDefinition, ImportRun, User

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
    kept = ImportDefinition.objects.visible_to(user).filter(favourites__user=user)
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
    runs = ImportRun.objects.active().ours().filter(definition__in=shown)
    return {run.definition_id: run for run in runs.select_related("account")}
