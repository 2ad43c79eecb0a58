"""How an account is doing: one state, in memory as in the database."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.utils import timezone

from imports.models import Account, AccountState
from imports.models.account import NOT_ANSWERING_FROM, STATE_FILTERS, TROUBLES
from tests.factories import AccountFactory

pytestmark = pytest.mark.django_db
PROBLEMS: dict[AccountState, dict[str, Any]] = {
    AccountState.DISABLED: {"is_active": False},
    AccountState.DOUBLED: {"is_doubled": True},
    AccountState.SECRET_UNREADABLE: {"secret_unreadable_since": timezone.now()},
    AccountState.CREDENTIALS_REFUSED: {"credentials_refused_at": timezone.now()},
    AccountState.NOT_ANSWERING: {"failures_in_row": NOT_ANSWERING_FROM},
    AccountState.PAUSED: {"starts_paused": True},
}
COMBINATIONS = [
    chosen
    for length in range(len(PROBLEMS) + 1)
    for chosen in itertools.combinations(PROBLEMS, length)
]


def test_every_state_but_ready_has_a_filter() -> None:
    assert list(STATE_FILTERS) == [s for s in AccountState if s != AccountState.READY]


def test_of_several_problems_the_first_of_the_table_is_the_state_everywhere() -> None:
    account = AccountFactory.create()
    rows = Account.objects.filter(pk=account.pk)
    well: dict[str, Any] = dict(Account.objects.values().get(pk=account.pk))
    for chosen in COMBINATIONS:
        changes = {
            name: value for state in chosen for name, value in PROBLEMS[state].items()
        }
        rows.update(**{name: well[name] for one in PROBLEMS.values() for name in one})
        rows.update(**changes)
        stored = rows.with_state().get()
        first = next(iter(chosen), AccountState.READY)
        assert stored.state == stored.stored_state == first  # type: ignore[attr-defined]  # annotated
        assert rows.in_trouble().exists() == (first in TROUBLES)
