"""How soon pages ask again: as usual while polls are quick, later while they are not,
and never in the way of people.
"""

from __future__ import annotations

import heapq
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from imports.middleware import PaceMiddleware
from imports.models import Account
from imports.views import live, pace
from imports.views.pace import CALM, KEPT_FREE, LEAST_OF_PAUSE, Pace
from tests.factories import AccountFactory
from tests.views.reading import HTMX, a_worker_beats, poll, poll_url, reader


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def watch(own: Pace, clock: Clock, *, pages: int, cost: float, seconds: float) -> float:
    """Pages that come at once and then ask when they are told, one after the other:
    the share of the last ten seconds in which a poll was being answered.
    """
    start = clock.now
    due = [(start + random.uniform(0, 0.2), number) for number in range(pages)]
    heapq.heapify(due)
    busy = 0.0
    while due[0][0] < start + seconds:
        clock.now, number = heapq.heappop(due)
        with own.poll():
            clock.now += cost
        if clock.now > start + seconds - 10:
            busy += cost
        heapq.heappush(due, (clock.now - cost + own.pause(3), number))
    return busy / 10


@pytest.mark.parametrize(("pages", "cost"), [(10, 0.005), (100, 0.002), (200, 0.002)])
def test_few_pages_and_quick_answers_are_not_held_back(
    clock: Clock, pages: int, cost: float
) -> None:
    own = Pace()
    watch(own, clock, pages=pages, cost=cost, seconds=60)
    assert own.stretch == 1


@pytest.mark.parametrize(("pages", "cost"), [(1000, 0.005), (500, 0.005), (200, 0.05)])
def test_many_pages_or_slow_answers_are_held_back_to_a_calm_load(
    clock: Clock, pages: int, cost: float
) -> None:
    own = Pace()
    load = watch(own, clock, pages=pages, cost=cost, seconds=120)
    assert load == pytest.approx(CALM, rel=0.5)
    assert own.stretch == pytest.approx(pages * cost / (2.7 * CALM), rel=0.4)


def test_pages_are_told_the_usual_pause_again_once_it_is_calm(clock: Clock) -> None:
    own = Pace()
    watch(own, clock, pages=1000, cost=0.005, seconds=60)
    assert own.stretch > 2
    watch(own, clock, pages=10, cost=0.005, seconds=120)
    assert own.stretch == 1


def test_the_longest_pause_is_a_minute(clock: Clock) -> None:
    own = Pace()
    watch(own, clock, pages=500, cost=0.5, seconds=120)
    pauses = [own.pause(20) for _ in range(100)]
    assert 60 * LEAST_OF_PAUSE <= min(pauses) < max(pauses) <= 60


def test_pages_that_came_together_part() -> None:
    pauses = [Pace().pause(3) for _ in range(1000)]
    assert 2.4 <= min(pauses) < 2.5 < 2.9 < max(pauses) <= 3
    # no hundredth of a second has more than its share by far
    assert max(map(pauses.count, set(pauses))) < 60


@pytest.fixture
def account(db: None) -> Account:
    a_worker_beats()
    return AccountFactory.create()


def test_each_answer_says_when_to_ask_again(account: Account) -> None:
    client = reader(account)
    page = client.get("/")
    unchanged = poll(client, page)
    assert unchanged.status_code == 204
    assert 0.8 * live.QUIET_SECONDS <= told(unchanged) <= live.QUIET_SECONDS
    news = client.get("/?since=0-0&every=3", headers=HTMX)
    assert 0.8 * live.QUIET_SECONDS <= told(news) <= live.QUIET_SECONDS
    moving = poll_url(page).replace("every=20", "every=3")
    unchanged = client.get(moving, headers=HTMX)
    assert 0.8 * live.FAST_SECONDS <= told(unchanged) <= live.FAST_SECONDS


@pytest.mark.parametrize("every", ["", "0", "-1", "9" * 50, "1e9", "nan", "x", "é"])
def test_any_pace_that_a_page_claims_is_answered(account: Account, every: str) -> None:
    client = reader(account)
    url = poll_url(client.get("/")).split("every=")[0]
    answer = client.get(f"{url}every={every}", headers=HTMX)
    assert answer.status_code == 204
    assert told(answer) > live.FAST_SECONDS


def told(answer: Any) -> float:
    return float(answer.headers["Poll-After"])


def test_more_polls_than_threads_to_spare_are_sent_away_and_people_are_served(
    monkeypatch: pytest.MonkeyPatch, caplog_imports: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("imports.middleware.PACE", Pace(threads=KEPT_FREE + 2))
    are_in, go_on = threading.Semaphore(0), threading.Event()

    def slow(request: HttpRequest) -> HttpResponse:
        if "since" in request.GET:
            are_in.release()
            assert go_on.wait(10)
        return HttpResponse("served")

    answer, ask = PaceMiddleware(slow), RequestFactory().get
    with ThreadPoolExecutor(2) as pool:
        polls = [pool.submit(answer, ask("/?since=1", headers=HTMX)) for _ in range(2)]
        assert all(are_in.acquire(timeout=10) for _ in polls)
        for _ in range(3):
            refused = answer(ask("/?since=1", headers=HTMX))
            assert refused.status_code == 503
        assert caplog_imports.text.count("open pages ask this process at once") == 1
        assert 5 <= int(refused.headers["Retry-After"]) <= 15
        # what a person does: a page, a search, a form
        for request in (ask("/"), ask("/definitions/?q=a", headers=HTMX)):
            assert answer(request).content == b"served"
        go_on.set()
        assert [poll.result(10).content for poll in polls] == [b"served"] * 2
    assert answer(ask("/?since=1", headers=HTMX)).content == b"served"


def test_a_poll_that_is_sent_away_costs_no_query(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = reader(account)
    url = poll_url(client.get("/"))
    monkeypatch.setattr(pace.PACE, "most", 0)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url, headers=HTMX).status_code == 503
    assert not queries.captured_queries
    assert Client().get("/login/").status_code == 200


def test_a_poll_that_fails_is_no_longer_in_flight() -> None:
    own = Pace(threads=KEPT_FREE + 1)
    for _ in range(5):
        with suppress(RuntimeError), own.poll() as is_admitted:
            assert is_admitted
            raise RuntimeError
