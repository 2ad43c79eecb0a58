"""Who waits for Marketing Cloud holds no connection that others could use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connection

from imports import gateway
from imports.models import Account, release_connection
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
    ("vendor", "is_atomic", "is_released"),
    [
        ("postgresql", False, True),
        ("postgresql", True, False),
        ("sqlite", False, False),
    ],
)
def test_a_connection_is_released_where_others_could_use_it(
    vendor: str, is_atomic: bool, is_released: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Connection(vendor, is_atomic)
    monkeypatch.setattr("imports.models.database.connection", own)
    release_connection()
    assert bool(own.closed) == is_released


needs_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite's connection is a file of its own"
)


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_none_is_held_while_a_place_for_a_call_is(settings: Any) -> None:
    account: Account = AccountFactory.create()
    with gateway.call_slot(account, gateway.READ_SLOTS):
        assert connection.connection is None


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_none_is_held_while_marketing_cloud_answers_a_start(
    cloud: FakeMarketingCloud,
) -> None:
    run = ImportRunFactory.create()
    cloud.add_definition(run.customer_key)
    held: list[bool] = []
    cloud.before["start_definition"] = lambda: held.append(
        connection.connection is not None
    )
    send.send_start(run=run, holder="me:1:1")
    assert held == [False]
