"""Readers of all kinds ask for pages and poll, in any order, while things change: each
is answered as though nobody else had ever asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imports.models import (
    AccessLevel,
    Account,
    AccountAccess,
    Favourite,
    ImportRun,
    RunStatus,
    User,
    Worker,
    bump_revision,
)
from imports.ui.drawings import DRAWINGS
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    WorkerFactory,
    grant,
)

from .reading import client_of
from .sharing import OpenPage

pytestmark = pytest.mark.django_db
ZONES = ("UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Pacific/Chatham")
LEVELS = (None, AccessLevel.VIEW, AccessLevel.START)
PATHS = (
    *("/", "/definitions/", "/definitions/?q=daily", "/definitions/?show=favourites"),
    *("/definitions/?status=failed", "/definitions/?account={account}"),
    *("/definitions/?q=%00&page=2", "/definitions/?sort=name"),
    *("/runs/", "/runs/?from=today", "/runs/?status=running&status=failed"),
    *("/runs/?account={account}", "/runs/?definition={definition}&from=yesterday"),
    *("/runs/?sort=errors", "/accounts/", "/definitions/{definition}/", "/runs/{run}/"),
)
# The database's own clock is the real one, far from these.
FOR_EVER = datetime(2199, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2024, 3, 20, 7, 7, 30, 500_000, tzinfo=UTC)
# When a day begins in one of the zones, in the hours after the first of these.
BEGIN = datetime(2024, 3, 28, 10, 0, tzinfo=UTC)
MIDNIGHTS = [
    BEGIN + timedelta(minutes=minutes) for minutes in (15, 495, 510, 840, 990, 1455)
]
A_MOMENT = timedelta(seconds=0.1)

# Numbers that choose among what there is, however much that is.
number = st.integers(0, 59)
levels = st.tuples(*[st.sampled_from(LEVELS)] * 3)
readers = st.lists(
    st.tuples(
        st.sampled_from(["UTC", *ZONES]),
        st.sampled_from(["", "", "superuser", "staff"]),
        # many have the same rights, or none
        st.just((None, None, None)) | st.just(("start", "view", None)) | levels,
        st.sets(number, max_size=3),
        st.booleans(),
    ),
    min_size=3,
    max_size=4,
)
asks = st.tuples(st.sampled_from(["open", "open", "poll", "poll"]), number, number)
changes = st.tuples(
    st.sampled_from(
        [
            *("run", "new run", "right", "disable", "pause", "refuse", "rename"),
            *("zone", "star", "shortcuts", "staff", "midnight", "silent", "sign out"),
        ]
    ),
    number,
    number,
)


class World:
    """Three accounts with definitions and runs of all statuses, and who reads them."""

    def __init__(self, clock: Any, people: list[Any], kinds: list[str]) -> None:
        self.clock, self.midnights = clock, iter(MIDNIGHTS)
        clock.move_to(next(self.midnights) - A_MOMENT)
        WorkerFactory.create(seen_at=FOR_EVER)
        self.accounts = [
            AccountFactory.create(name=name, last_contact_at=LONG_AGO)
            for name in ("Nordlicht DE", "Nordlicht FR", "Südwind")
        ]
        self.definitions = [
            ImportDefinitionFactory.create(
                account=self.accounts[n % 3], name=f"List {n} daily"
            )
            for n in range(5)
        ]
        self.runs: list[ImportRun] = []
        for n, kind in enumerate(kinds):
            self.add_run(n, kind)
        self.people = [self.person(*facts) for facts in people]
        self.clients = [client_of(person) for person in self.people]
        # in the order in which they were opened
        self.pages: dict[tuple[int, str], OpenPage] = {}
        bump_revision(accounts=self.accounts)

    def add_run(self, n: int, kind: str) -> None:
        definition = self.definitions[n % 5]
        if definition.runs.active().exists():
            return
        hours = timedelta(hours=7 * (n % 9), minutes=7, seconds=29.5)
        at = (BEGIN + timedelta(hours=1) - hours).replace(microsecond=500_000)
        run = ImportRunFactory.create(
            definition=definition, occurred_at=at, **{kind: True}
        )
        self.runs.append(run)
        definition.refresh_recent_runs()

    def person(
        self, zone: str, kind: str, levels: Any, stars: set[int], shortcuts_on: bool
    ) -> User:
        user: User = UserFactory.create(
            time_zone=zone,
            is_superuser=kind == "superuser",
            is_staff=kind != "",
            shortcuts_on=shortcuts_on,
        )
        for account, level in zip(self.accounts, levels, strict=True):
            if level:
                grant(user, account, level)
        for star in stars:
            definition = self.definitions[star % 5]
            Favourite.objects.get_or_create(user=user, definition=definition)
        return user

    # What readers do

    def open(self, n: int, m: int) -> None:
        """All come to one page, one after another, from the `n`th on."""
        path = PATHS[m % len(PATHS)].format(
            account=self.accounts[n % 3].pk,
            definition=self.definitions[n % 5].pk,
            run=self.runs[n % len(self.runs)].pk,
        )
        for k in range(len(self.people)):
            reader = (n + k) % len(self.people)
            self.pages.pop((reader, path), None)
            self.pages[reader, path] = OpenPage(self.clients[reader], path)

    def poll(self, m: int) -> None:
        """Those who opened a page last poll it, now or after something has changed."""
        pages = [page for page in self.pages.values() if page.is_open]
        for page in pages[-1 - m % 4 :]:
            page.poll()

    # What changes, as use cases do it: the revision tells of it

    def change_run(self, n: int, m: int) -> None:
        active = [run for run in self.runs if run.is_active]
        if not active:
            return
        run = active[n % len(active)]
        facts: dict[str, Any] = {"settled_at": run.occurred_at + timedelta(minutes=3)}
        if run.status == RunStatus.QUEUED:
            run.move_to(RunStatus.CANCELLED, kind="cancelled", **facts)
        elif run.status == RunStatus.RUNNING and m % 2:
            run.move_to(RunStatus.FAILED, kind="ended", phase="Error", **facts)
        else:
            run.errors = m
            run.save(update_fields=["errors"])
        if run.definition:
            run.definition.refresh_recent_runs()
        bump_revision(runs=[run])

    def change_account(self, n: int, **facts: Any) -> None:
        account = self.accounts[n % 3]
        Account.objects.filter(pk=account.pk).update(**facts)
        bump_revision(accounts=[account])

    def change_right(self, n: int, m: int) -> None:
        """Without a word to anybody: who grants rights bumps no revision."""
        user, account = self.people[n % len(self.people)], self.accounts[m % 3]
        AccountAccess.objects.filter(group__user=user, account=account).delete()
        if level := LEVELS[m // 3 % 3]:
            grant(user, account, level)

    def change_person(self, n: int, **facts: Any) -> None:
        reader = n % len(self.people)
        User.objects.filter(pk=self.people[reader].pk).update(**facts)
        self.close_pages_of(reader)

    def close_pages_of(self, reader: int) -> None:
        """What a reader changes of themselves, their other pages are not told of."""
        self.pages = {key: page for key, page in self.pages.items() if key[0] != reader}

    def star(self, n: int, m: int) -> None:
        reader, definition = n % len(self.people), self.definitions[m % 5]
        favourites = Favourite.objects.filter(
            user=self.people[reader], definition=definition
        )
        if not favourites.delete()[0]:
            favourites.create(user=self.people[reader], definition=definition)
        self.close_pages_of(reader)

    def pass_midnight(self) -> None:
        """A day ends somewhere: now, or it is about to."""
        now = timezone.now()
        if now + A_MOMENT in MIDNIGHTS:
            self.clock.move_to(now + 2 * A_MOMENT)
        elif midnight := next(self.midnights, None):
            self.clock.move_to(midnight - A_MOMENT)

    def change(self, what: str, n: int, m: int) -> None:
        is_so = bool(m % 2)
        since = LONG_AGO if is_so else None
        kinds: dict[str, Callable[[], Any]] = {
            "open": lambda: self.open(n, m),
            "poll": lambda: self.poll(m),
            "run": lambda: self.change_run(n, m),
            "new run": lambda: self.start_run(n),
            "right": lambda: self.change_right(n, m),
            "disable": lambda: self.change_account(n, is_active=is_so),
            "pause": lambda: self.change_account(n, failures_in_row=9 * is_so),
            "refuse": lambda: self.change_account(n, credentials_refused_at=since),
            "rename": lambda: self.change_account(n, label=f"label {m}"),
            "zone": lambda: self.change_person(n, time_zone=ZONES[m % len(ZONES)]),
            "star": lambda: self.star(n, m),
            "shortcuts": lambda: self.change_person(n, shortcuts_on=is_so),
            "staff": lambda: self.change_person(n, is_staff=is_so),
            "midnight": self.pass_midnight,
            "silent": lambda: Worker.objects.update(
                seen_at=LONG_AGO if is_so else FOR_EVER
            ),
            "sign out": lambda: self.change_person(n, is_active=m % 3 > 0),
        }
        kinds[what]()

    def start_run(self, n: int) -> None:
        self.add_run(n, "queued")
        bump_revision(accounts=[self.definitions[n % 5].account])


@pytest.fixture
def clock() -> Iterator[Any]:
    """A clock that stands. Drawings age by it too."""
    by_it = SimpleNamespace(monotonic=lambda: timezone.now().timestamp())
    with (
        time_machine.travel(BEGIN, tick=False) as traveller,
        mock.patch("imports.ui.drawings.time", by_it),
    ):
        yield traveller


histories = st.lists(st.sampled_from(RunStatus.values), min_size=3, max_size=8)


def everybody_is_answered_for_themselves(
    clock: Any, people: list[Any], kinds: list[str], steps: list[Any]
) -> None:
    DRAWINGS.clear()
    cache.clear()
    with transaction.atomic():
        world = World(clock, people, kinds)
        for step in steps:
            world.change(*step)
        transaction.set_rollback(True)


def sequences(size: int) -> Any:
    # as many questions as changes
    return st.lists(asks | changes, min_size=size // 2, max_size=size)


def at_random(examples: int, size: int, *, is_fixed: bool) -> Callable[..., Any]:
    """The same examples each time, or others."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    configured = settings(
        max_examples=examples,
        deadline=None,
        derandomize=is_fixed,
        suppress_health_check=checks,
    )
    examples_of = given(people=readers, kinds=histories, steps=sequences(size))
    return lambda test: configured(examples_of(test))


@at_random(4, 8, is_fixed=True)
def test_everybody_is_answered_for_themselves(
    clock: Any, people: list[Any], kinds: list[str], steps: list[Any]
) -> None:
    everybody_is_answered_for_themselves(clock, people, kinds, steps)


@pytest.mark.slow
@at_random(40, 20, is_fixed=False)
def test_everybody_is_answered_for_themselves_for_long(
    clock: Any, people: list[Any], kinds: list[str], steps: list[Any]
) -> None:
    everybody_is_answered_for_themselves(clock, people, kinds, steps)
