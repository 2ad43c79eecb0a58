"""No reader is shown what was drawn for another: shared answers are those drawn alone.

The scenarios of `KEYS` fail as soon as a page is found by less than all that it is
drawn from; the random ones look for what nobody thought of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.utils import timezone

from imports.models import (
    AccessLevel,
    Account,
    AccountAccess,
    Audience,
    ImportDefinition,
    ImportRun,
    RunStatus,
    User,
    Worker,
    bump_revision,
)
from imports.models.storage import Storage
from imports.ui.drawings import Drawings
from imports.views import dashboard
from imports.views.live import Page
from tests.factories import (
    AccountFactory,
    FavouriteFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    WorkerFactory,
    grant,
)

from .reading import (
    HTMX,
    client_of,
    content,
    part,
    poll,
    poll_url,
    something_changed,
    words,
)
from .sharing import OpenPage, ask, drawn_by, is_as_alone, text_of

pytestmark = pytest.mark.django_db
# Midnight in UTC, but not in Kathmandu (05:45 there).
MIDNIGHT = datetime(2024, 3, 29, tzinfo=UTC)
KATHMANDU = "Asia/Kathmandu"
# The database's own clock is the real one, far from these.
FOR_EVER = datetime(2199, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2024, 3, 20, 7, 7, 30, 500_000, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A clock that stands, a moment before midnight in UTC. Drawings age by it too."""
    with time_machine.travel(
        MIDNIGHT - timedelta(seconds=0.1), tick=False
    ) as traveller:
        by_it = SimpleNamespace(monotonic=lambda: timezone.now().timestamp())
        monkeypatch.setattr("imports.ui.drawings.time", by_it)
        yield traveller


@pytest.fixture
def account() -> Account:
    WorkerFactory.create(seen_at=FOR_EVER)
    return AccountFactory.create(name="Nordlicht DE", last_contact_at=hours_ago(1))


@pytest.fixture
def definition(account: Account) -> ImportDefinition:
    return ImportDefinitionFactory.create(account=account, name="Customers daily")


def hours_ago(hours: float) -> datetime:
    """At a part of a second at which no shown time changes with the midnights."""
    return MIDNIGHT - timedelta(hours=hours, minutes=7, seconds=29.5)


def person(
    account: Account | None = None,
    level: AccessLevel = AccessLevel.START,
    **facts: Any,
) -> User:
    user = UserFactory.create(**facts)
    if account:
        grant(user, account, level)
    return user


def viewer_of(account: Account, **facts: Any) -> User:
    return person(account, AccessLevel.VIEW, **facts)


def revoke(user: User, account: Account) -> None:
    AccountAccess.objects.filter(group__user=user, account=account).delete()


def silence() -> None:
    Worker.objects.update(seen_at=LONG_AGO)


# What a page is found by

# Two readers, or one at two times: what each asks for, and what happens in between.
Scenario = tuple[Client, str, Callable[[], Any], Client, str]


def nothing() -> None:
    pass


def two(first: User, second: User, path: str) -> Scenario:
    return client_of(first), path, nothing, client_of(second), path


def meanwhile(account: Account, path: str, change: Callable[[], Any]) -> Scenario:
    client = client_of(person(account))
    return client, path, change, client, path


def page_of(definition: ImportDefinition) -> str:
    return f"/definitions/{definition.pk}/"


def two_parts(definition: ImportDefinition, clock: Any) -> Scenario:
    """The dashboard, and its favourites of somebody who has none."""
    reader = person(definition.account)
    return two(reader, reader, "/")


def two_paths(definition: ImportDefinition, clock: Any) -> Scenario:
    other = ImportDefinitionFactory.create(account=definition.account)
    client = client_of(person(definition.account))
    return client, page_of(definition), nothing, client, page_of(other)


def two_queries(definition: ImportDefinition, clock: Any) -> Scenario:
    client = client_of(person(definition.account))
    return client, "/definitions/", nothing, client, "/definitions/?q=nothing"


def two_views(definition: ImportDefinition, clock: Any) -> Scenario:
    other = AccountFactory.create(name="Secret")
    ImportDefinitionFactory.create(account=other)
    both = viewer_of(definition.account)
    grant(both, other, AccessLevel.VIEW)
    return two(both, viewer_of(definition.account), "/definitions/")


def two_rights(definition: ImportDefinition, clock: Any) -> Scenario:
    account = definition.account
    return two(person(account), viewer_of(account), page_of(definition))


def two_zones(definition: ImportDefinition, clock: Any) -> Scenario:
    run = ImportRunFactory.create(
        definition=definition, completed=True, occurred_at=hours_ago(3)
    )
    # where it is the same day
    here, there = "Europe/London", "UTC"
    first, second = (person(definition.account, time_zone=z) for z in (here, there))
    return two(first, second, f"/runs/{run.pk}/")


def two_days(definition: ImportDefinition, clock: Any) -> Scenario:
    ImportRunFactory.create(
        definition=definition, completed=True, occurred_at=hours_ago(3)
    )
    after = MIDNIGHT + timedelta(seconds=0.1)
    return meanwhile(definition.account, "/", lambda: clock.move_to(after))


def worker_goes_silent(definition: ImportDefinition, clock: Any) -> Scenario:
    return meanwhile(definition.account, "/runs/", silence)


def work_gets_stuck(definition: ImportDefinition, clock: Any) -> Scenario:
    def get_stuck() -> None:
        ImportRunFactory.create(definition=definition, occurred_at=LONG_AGO)
        Worker.objects.update(started_at=LONG_AGO)

    return meanwhile(definition.account, "/accounts/", get_stuck)


def disk_fills_up(definition: ImportDefinition, clock: Any) -> Scenario:
    since = mock.PropertyMock(return_value=hours_ago(1))
    full = mock.patch.object(Storage, "unwritable_since", since)
    return meanwhile(definition.account, "/accounts/", full.start)


def two_without_account(definition: ImportDefinition, clock: Any) -> Scenario:
    """One of them can give themselves access."""
    mighty = person(is_staff=True)
    mighty.user_permissions.add(Permission.objects.get(codename="change_user"))
    return two(mighty, person(), "/runs/")


def two_favourites(definition: ImportDefinition, clock: Any) -> Scenario:
    first, second = (person(definition.account) for _ in range(2))
    FavouriteFactory.create(user=first, definition=definition)
    return two(first, second, "/definitions/")


def two_kinds_of_staff(definition: ImportDefinition, clock: Any) -> Scenario:
    account = definition.account
    return two(person(account, is_staff=True), person(account), "/accounts/")


def without_letter(letter: str) -> Callable[[Page], Page]:
    return lambda page: replace(page, state=page.state.replace(letter, ""))


def only_startable(page: Page) -> Page:
    return replace(page, audience=Audience((), page.audience.startable))


def only_visible(page: Page) -> Page:
    return replace(page, audience=Audience(page.audience.visible, ()))


# By what a page is found without: how it would be, and two who would notice.
KEYS: dict[str, tuple[Callable[[Page], Page], Callable[..., Scenario]]] = {
    "name": (lambda page: replace(page, name=""), two_parts),
    "path": (lambda page: replace(page, path=""), two_paths),
    "query": (lambda page: replace(page, query=""), two_queries),
    "audience.visible": (only_startable, two_views),
    "audience.startable": (only_visible, two_rights),
    "zone": (lambda page: replace(page, zone=""), two_zones),
    "state: day": (lambda page: replace(page, state=page.state[3:]), two_days),
    "state: silent": (without_letter("s"), worker_goes_silent),
    "state: stuck": (without_letter("o"), work_gets_stuck),
    "state: unsaved": (without_letter("w"), disk_fills_up),
    "no_account": (lambda page: replace(page, no_account=()), two_without_account),
    "own: favourites": (
        lambda page: replace(page, own=((), *page.own[1:])),
        two_favourites,
    ),
    "own: staff": (lambda page: replace(page, own=(False,)), two_kinds_of_staff),
}


class Forgetful(Drawings):
    """Finds a drawing by less than it was drawn from."""

    def __init__(self, forget: Callable[[Page], Page]) -> None:
        super().__init__()
        self.forget = forget

    def get(self, subject: Any, version: Any, draw: Any) -> Any:
        return super().get(self.forget(subject), version, draw)


def second_is_right(scenario: Scenario) -> bool:
    first, path, change, second, other_path = scenario
    # as both come in the same version, what serves the first may serve the second
    something_changed()
    with suppress(LookupError):  # of a part that is another page
        first.get(path)
    change()
    return is_as_alone(second, other_path)


@pytest.fixture(autouse=True)
def patches_end() -> Iterator[None]:
    yield
    mock.patch.stopall()


@pytest.mark.parametrize("key", KEYS)
def test_each_reader_gets_the_page_drawn_for_them_alone(
    definition: ImportDefinition, clock: Any, key: str
) -> None:
    assert second_is_right(KEYS[key][1](definition, clock))


@pytest.mark.parametrize("key", KEYS)
def test_a_page_found_without_one_of_its_inputs_would_be_noticed(
    definition: ImportDefinition, clock: Any, key: str
) -> None:
    forget, make = KEYS[key]
    with drawn_by(Forgetful(forget)):
        assert not second_is_right(make(definition, clock))


def test_there_is_a_scenario_for_everything_that_a_page_is_found_by() -> None:
    covered = {key.partition(":")[0].partition(".")[0] for key in KEYS}
    assert covered == set(Page.__dataclass_fields__)


# Rights, days and workers, while another reader's drawing is there


@pytest.mark.parametrize("path", ["/", "/definitions/", "/runs/", "/accounts/"])
def test_an_account_taken_away_is_gone_with_the_next_poll(
    account: Account, path: str
) -> None:
    other = AccountFactory.create(name="Secret", last_contact_at=hours_ago(1))
    secret = ImportDefinitionFactory.create(account=other, name="Hidden list")
    ImportRunFactory.create(definition=secret, running=True, occurred_at=hours_ago(1))
    ours = ImportDefinitionFactory.create(account=account)
    ImportRunFactory.create(definition=ours, running=True, occurred_at=hours_ago(1))
    something_changed()
    stays, goes = person(account), person(account)
    for user in (stays, goes):
        grant(user, other, AccessLevel.START)
    pages = [OpenPage(client_of(user), path) for user in (stays, goes)]
    revoke(goes, other)
    assert pages[0].poll().status_code == 204
    answer = pages[1].poll()
    assert answer.status_code == 200
    assert "Secret" not in content(answer)
    assert "Hidden list" not in content(answer)


def test_the_page_of_a_thing_taken_away_is_404_though_others_have_it_drawn(
    definition: ImportDefinition,
) -> None:
    run = ImportRunFactory.create(definition=definition, running=True)
    stays, goes = person(definition.account), person(definition.account)
    for path in (page_of(definition), f"/runs/{run.pk}/"):
        pages = [OpenPage(client_of(user), path) for user in (stays, goes)]
        group = AccountAccess.objects.get(group__user=goes).group
        goes.groups.remove(group)
        assert pages[0].poll().status_code == 204
        assert pages[1].poll().status_code == 404
        assert pages[1].client.get(path).status_code == 404
        goes.groups.add(group)


@pytest.mark.parametrize(
    "path", ["/", "/definitions/", "/definitions/{}/", "/runs/{}/"]
)
def test_the_right_to_start_taken_away_takes_start_off_the_open_page(
    definition: ImportDefinition, path: str
) -> None:
    run = ImportRunFactory.create(
        definition=definition, failed=True, occurred_at=hours_ago(3)
    )
    definition.refresh_recent_runs()
    something_changed()
    stays, loses = person(definition.account), person(definition.account)
    pk = run.pk if "runs" in path else definition.pk
    pages = [OpenPage(client_of(user), path.format(pk)) for user in (stays, loses)]
    AccountAccess.objects.filter(group__user=loses).update(level=AccessLevel.VIEW)
    assert pages[0].poll().status_code == 204
    pages[1].poll()
    start = f"/definitions/{definition.pk}/start/"
    assert pages[0].tree.xpath("//*[starts-with(@hx-get, $url)]", url=start)
    assert not pages[1].tree.xpath("//*[starts-with(@hx-get, $url)]", url=start)


def test_who_is_disabled_gets_nothing_of_what_others_have_drawn(
    definition: ImportDefinition,
) -> None:
    stays, goes = person(definition.account), person(definition.account)
    pages = [OpenPage(client_of(user), "/definitions/") for user in (stays, goes)]
    User.objects.filter(pk=goes.pk).update(is_active=False)
    assert pages[1].poll().status_code == 401
    assert pages[1].client.get("/definitions/").status_code == 302


def test_a_day_ends_for_those_in_whose_zone_it_ends(
    definition: ImportDefinition, clock: Any
) -> None:
    ImportRunFactory.create(
        definition=definition, completed=True, occurred_at=hours_ago(3)
    )
    something_changed()
    zones = ("UTC", KATHMANDU)
    people = [person(definition.account, time_zone=zone) for zone in zones]
    here, there = (OpenPage(client_of(user), "/") for user in people)
    assert ended_today(here) == ended_today(there) == "1"
    clock.move_to(MIDNIGHT + timedelta(seconds=0.1))
    assert here.poll().status_code == 200
    assert there.poll().status_code == 204
    assert ended_today(here) == "0"
    assert ended_today(there) == "1"


def ended_today(page: OpenPage) -> str:
    (tally,) = page.tree.xpath("//*[@id='ended-title']/span")
    return str(tally.text)


def test_a_day_that_ends_while_its_page_is_drawn_is_told_by_the_next_poll(
    definition: ImportDefinition, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ImportRunFactory.create(
        definition=definition, completed=True, occurred_at=hours_ago(3)
    )
    something_changed()
    client, figures_of = client_of(person(definition.account)), dashboard.figures_of

    def midnight_comes(*args: Any) -> Any:
        figures = figures_of(*args)
        clock.move_to(MIDNIGHT + timedelta(seconds=0.1))
        return figures

    with monkeypatch.context() as patched:
        patched.setattr(dashboard, "figures_of", midnight_comes)
        shown = client.get("/")
    assert poll(client, shown).status_code == 200


def test_a_zone_chosen_in_the_profile_counts_at_once(
    definition: ImportDefinition,
) -> None:
    moves, stays = (person(definition.account) for _ in range(2))
    clients = [client_of(moves), client_of(stays)]
    for client in clients:
        ask(client, "/runs/")
    moves.time_zone = KATHMANDU
    moves.save()
    assert "Time zone: Kathmandu" in words(ask(clients[0], "/runs/"))
    assert "Time zone: UTC" in words(ask(clients[1], "/runs/"))


@pytest.mark.parametrize("path", ["/", "/definitions/", "/runs/", "/accounts/", "one"])
def test_a_worker_that_goes_silent_is_told_to_all_at_once(
    definition: ImportDefinition, path: str
) -> None:
    path = page_of(definition) if path == "one" else path
    people = [person(definition.account), viewer_of(definition.account)]
    pages = [OpenPage(client_of(user), path) for user in people]
    silence()
    for page in pages:
        assert "The worker hasn’t responded" in part(page.poll(), "banner")
    Worker.objects.update(seen_at=FOR_EVER)
    for page in pages:
        assert "hasn’t responded" not in part(page.poll(), "banner")


# Several processes, several threads


def finish(run: ImportRun) -> None:
    run.move_to(
        RunStatus.COMPLETED,
        kind="ended",
        phase="Completed",
        total_rows=12_345,
        successful=12_345,
        duplicated=0,
        errors=0,
        settled_at=timezone.now(),
        finished_at=timezone.now(),
    )
    bump_revision(runs=[run])


@pytest.mark.parametrize("path", ["/", "/definitions/", "/runs/", "/accounts/", "run"])
def test_a_change_is_seen_in_every_process_at_once_and_sent_once(
    definition: ImportDefinition, path: str
) -> None:
    run = ImportRunFactory.create(
        definition=definition, running=True, occurred_at=hours_ago(1)
    )
    definition.refresh_recent_runs()
    something_changed()
    path = f"/runs/{run.pk}/" if path == "run" else path
    client, processes = client_of(person(definition.account)), (Drawings(), Drawings())
    for process in processes:
        with drawn_by(process):
            shown = ask(client, path)
    finish(run)
    definition.refresh_recent_runs()
    with drawn_by(processes[0]):
        news = poll(client, shown)
        assert "hx-swap-oob" in content(news)
        # asked as though something had changed, so that digests are compared
        url = poll_url(news).replace("since=", "since=0")
    for process in processes:
        with drawn_by(process):
            answer = ask(client, url, is_poll=True)
            assert content(answer).count("hx-swap-oob") == 1  # of #live
            assert "12,345" in words(ask(client, "/runs/"))


@pytest.mark.django_db(transaction=True)
def test_threads_draw_once_and_each_reader_s_token_is_their_own(
    definition: ImportDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = ImportRunFactory.create(
        definition=definition, lost=True, occurred_at=hours_ago(30)
    )
    definition.refresh_recent_runs()
    people = [person(definition.account) for _ in range(4)]
    clients = [Client(enforce_csrf_checks=True) for _ in people]
    for client, user in zip(clients, people, strict=True):
        client.force_login(user)
    begun, times, draw = threading.Barrier(len(people)), [], dashboard._draw

    def counted(*args: Any) -> Any:
        times.append(1)
        return draw(*args)

    def get(client: Client) -> Any:
        try:
            begun.wait(10)
            return client.get("/")
        finally:
            connection.close()

    monkeypatch.setattr(dashboard, "_draw", counted)
    with ThreadPoolExecutor(len(people)) as pool:
        answers = list(pool.map(get, clients))
    assert len(times) == 1
    assert len({text_of(answer) for answer in answers}) == len(people)  # their names
    url = f"/runs/{lost.pk}/check-again/"
    tokens = [token_of(answer, url) for answer in answers]
    assert len(set(tokens)) == len(people)
    # refused with another's, done with their own
    form = {"csrfmiddlewaretoken": tokens[1]}
    assert clients[0].post(url, form).status_code == 403
    assert lost.events.count() == 0
    for client, token in zip(clients, tokens, strict=True):
        response = client.post(url, {"csrfmiddlewaretoken": token})
        assert response.status_code == 302


def token_of(response: Any, url: str) -> str:
    source = content(response).split(f'action="{url}"')[1]
    return source.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]


def test_a_token_in_a_poll_is_the_reader_s_own_and_works(
    definition: ImportDefinition,
) -> None:
    run = ImportRunFactory.create(
        definition=definition, running=True, occurred_at=hours_ago(30)
    )
    people = [person(definition.account) for _ in range(2)]
    clients = [Client(enforce_csrf_checks=True) for _ in people]
    for client, user in zip(clients, people, strict=True):
        client.force_login(user)
    pages = [client.get(f"/runs/{run.pk}/") for client in clients]
    run.move_to(RunStatus.LOST, kind="lost", settled_at=hours_ago(1), reason="too_old")
    bump_revision(runs=[run])
    polls = [poll(client, page) for client, page in zip(clients, pages, strict=True)]
    url = f"/runs/{run.pk}/check-again/"
    first, second = (token_of(answer, url) for answer in polls)
    assert clients[0].post(url, {"csrfmiddlewaretoken": second}).status_code == 403
    assert clients[0].post(url, {"csrfmiddlewaretoken": first}).status_code == 302


def test_a_target_that_nobody_swaps_is_no_error(definition: ImportDefinition) -> None:
    client = client_of(person(definition.account))
    answer = client.get("/", headers=HTMX | {"HX-Target": "cards"})
    assert answer.status_code == 200
