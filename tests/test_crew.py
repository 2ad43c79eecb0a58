"""The worker's threads: one per piece of work, a rest after a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from imports.marketingcloud.errors import UnavailableError
from imports.models.database import relax_commits
from imports.tasks import LONGEST_REST_SECONDS, READERS, SENDERS, Crew

# A crew's threads close their database connections when they end.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What work waits for until the test opens it."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_a_crew_does_the_same_work_once_at_a_time(gate: threading.Event) -> None:
    crew = Crew(most=8)
    assert crew.submit(("sync", 1), gate.wait)
    assert not crew.submit(("sync", 1), gate.wait)
    assert crew.submit(("sync", 2), gate.wait)
    assert crew.submit(("adopt", 1), gate.wait)
    assert not crew.join(0.01)
    gate.set()
    assert crew.join(30)
    assert crew.submit(("sync", 1), gate.wait)


def test_a_crew_has_a_limit(gate: threading.Event) -> None:
    crew = Crew(most=2)
    taken = [crew.submit(("sync", number), gate.wait) for number in range(3)]
    assert taken == [True, True, False]


def fails_with(error: Exception) -> Callable[[], object]:
    def work() -> None:
        raise error

    return work


def test_work_that_goes_on_failing_rests_longer_each_time() -> None:
    crew, rests = Crew(most=2), []
    for _ in range(8):
        crew._try(("sync", 1), fails_with(UnavailableError("No.")))
        rests.append(crew._rests["sync", 1][1] - time.monotonic())
    assert rests[0] <= 2
    assert 30 - 1 <= rests[-1] <= LONGEST_REST_SECONDS
    assert rests[-1] > rests[0]
    crew._try(("sync", 1), lambda: None)
    assert crew.submit(("sync", 1), lambda: None)
    assert crew.join(30)


def test_each_thread_is_prepared_before_its_work() -> None:
    done: list[str] = []
    crew = Crew(most=2, prepare=lambda: done.append("prepared"))
    for number in range(2):
        assert crew.submit(("sync", number), lambda: done.append("worked"))
        assert crew.join(30)
    assert done == ["prepared", "worked"] * 2


def test_only_reading_crews_relax_commits() -> None:
    """A start's claim must outlive a power cut, or Perform could be sent twice."""
    assert READERS._prepare is relax_commits
    assert SENDERS._prepare is not relax_commits
