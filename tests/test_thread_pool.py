"""The worker's threads: one for each piece of work, a rest after a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from imports.marketingcloud.errors import UnavailableError
from imports.models.database import relax_commits
from imports.worker import LONGEST_REST_SECONDS, ThreadPool, thread_pools

# The threads close their database connections when they end.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What work waits for until the test opens it."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_a_pool_does_the_same_work_once_at_a_time(gate: threading.Event) -> None:
    pool = ThreadPool(at_once=8)
    assert pool.submit(("sync", 1), gate.wait)
    assert not pool.submit(("sync", 1), gate.wait)
    assert pool.submit(("sync", 2), gate.wait)
    assert pool.submit(("adopt", 1), gate.wait)
    assert not pool.join(0.01)
    gate.set()
    assert pool.join(30)
    assert pool.submit(("sync", 1), gate.wait)


def test_a_pool_has_a_limit(gate: threading.Event) -> None:
    pool = ThreadPool(at_once=2)
    taken = [pool.submit(("sync", number), gate.wait) for number in range(3)]
    assert taken == [True, True, False]


def fails_with(error: Exception) -> Callable[..., object]:
    def work(*_: object) -> None:
        raise error

    return work


def test_work_that_goes_on_failing_rests_longer_each_time() -> None:
    pool, rests = ThreadPool(at_once=2), []
    for _ in range(8):
        pool._outcome_of(("sync", 1), fails_with(UnavailableError("No.")))
        rests.append(pool._rests["sync", 1][1] - time.monotonic())
    assert rests[0] <= 2
    assert 30 - 1 <= rests[-1] <= LONGEST_REST_SECONDS
    assert rests[-1] > rests[0]
    pool._outcome_of(("sync", 1), lambda: None)
    assert pool.submit(("sync", 1), lambda: None)
    assert pool.join(30)


def test_each_thread_is_prepared_before_its_work() -> None:
    done: list[str] = []
    pool = ThreadPool(at_once=2, prepare=lambda: done.append("prepared"))
    for number in range(2):
        assert pool.submit(("sync", number), lambda: done.append("worked"))
        assert pool.join(30)
    assert done == ["prepared", "worked"] * 2


def test_no_thread_for_starts_relaxes_commits() -> None:
    """A start's claim must outlive a power cut, or Perform could be sent twice."""
    pools = thread_pools()
    relaxed = {name for name, pool in pools.items() if pool.prepare is relax_commits}
    assert relaxed == {"reads", "upkeep"}


def test_work_that_the_system_has_no_thread_for_may_begin_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = ThreadPool(at_once=2)
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", fails_with(RuntimeError("no thread")))
        with pytest.raises(RuntimeError, match="no thread"):
            pool.submit(("sync", 1), lambda: None)
    assert pool.busy == 0
    assert pool.submit(("sync", 1), lambda: None)
    assert pool.join(30)


def test_a_start_that_failed_is_tried_again_within_a_second() -> None:
    starts = thread_pools()["starts"]
    for _ in range(5):
        starts._outcome_of(("send", 1, 1), fails_with(RuntimeError("surprise")))
    assert not starts.has_room(("send", 1, 1))
    assert starts._rests["send", 1, 1][1] <= time.monotonic() + 1
