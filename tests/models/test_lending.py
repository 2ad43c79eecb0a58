"""Who waits for Marketing Cloud holds no connection that others could use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from imports import gateway as door
from imports.models import Account, lend_connection
from imports.usecases import send
from tests.factories import AccountFactory, ImportRunFactory
from tests.fakes import FakeMarketingCloud


@dataclass
class Connection:
    vendor: str
    in_atomic_block: bool
    closed: list[bool] = field(default_factory=list)

    def close(self) -> None:
        self.closed.append(True)


@pytest.mark.parametrize(
    ("vendor", "is_atomic", "is_lent"),
    [
        ("postgresql", False, True),
        ("postgresql", True, False),
        ("sqlite", False, False),
    ],
)
def test_a_connection_is_lent_where_others_could_use_it(
    vendor: str, is_atomic: bool, is_lent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Connection(vendor, is_atomic)
    monkeypatch.setattr("imports.models.database.connection", own)
    lend_connection()
    assert bool(own.closed) == is_lent


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    for module in (door, send):
        monkeypatch.setattr(module, "lend_connection", lambda: told.append("lent"))
    return told


@pytest.mark.django_db
def test_it_is_lent_between_the_place_and_the_call(told: list[str]) -> None:
    account: Account = AccountFactory.create()
    with door.call_slot(account, door.READ_SLOTS):
        assert told == ["lent"]
    assert told == ["lent"]


def test_it_is_lent_before_each_pause_for_a_place(
    told: list[str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.MCDASH_CALL_DEADLINE_SECONDS = 0.2
    monkeypatch.setattr("imports.gateway.time.sleep", lambda _: told.append("paused"))
    tries = door._tries()
    for _ in range(3):
        next(tries)
    assert told == ["lent", "paused"] * 2


@pytest.mark.django_db
def test_it_is_lent_between_the_claim_and_the_start(
    told: list[str], cloud: FakeMarketingCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ImportRunFactory.create()
    cloud.add_definition(run.customer_key)
    claim, perform = send._claim, send._perform

    def noted(name: str, step: Any) -> Any:
        def step_noted(*given: Any, **named: Any) -> Any:
            told.append(name)
            return step(*given, **named)

        return step_noted

    monkeypatch.setattr(send, "_claim", noted("claim", claim))
    monkeypatch.setattr(send, "_perform", noted("perform", perform))
    send.send_start(run=run, holder="me:1:1")
    assert told[told.index("claim") :] == ["claim", "perform", "lent"]
