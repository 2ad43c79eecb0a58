"""Drawings are made once for all who ask for the same, and never too old."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from sys import getsizeof
from typing import Any

import pytest

from imports.ui.drawings import OLDEST_SECONDS, Drawings
from imports.ui.partials import Drawing, Part


def drawing(size: int = 100) -> Drawing:
    """One that takes so many bytes."""
    text = "x" * (size - getsizeof('<p id="p"></p>'))
    return Drawing(parts={"p.html": Part.of(f'<p id="p">{text}</p>')})


class Draws:
    """Draws, and counts how often it was asked to."""

    def __init__(self, size: int = 100) -> None:
        self.size, self.times = size, 0

    def __call__(self) -> Drawing:
        self.times += 1
        return drawing(self.size)


def test_the_same_is_drawn_once() -> None:
    drawings, draw = Drawings(), Draws()
    assert drawings.get("a", (1, 1), draw) is drawings.get("a", (1, 1), draw)
    assert draw.times == 1


@pytest.mark.parametrize(("later", "times"), [((2, 0), 2), ((1, 2), 2), ((0, 9), 1)])
def test_a_later_version_is_drawn_anew_and_serves_earlier_ones(
    later: tuple[int, int], times: int
) -> None:
    drawings, draw = Drawings(), Draws()
    drawings.get("a", (1, 1), draw)
    drawings.get("a", later, draw)
    assert draw.times == times


def test_other_subjects_are_other_drawings() -> None:
    drawings, draw = Drawings(), Draws()
    assert drawings.get("a", (1, 1), draw) is not drawings.get("b", (1, 1), draw)


def test_what_is_too_old_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    drawings, draw, now = Drawings(), Draws(), [1000.0]
    monkeypatch.setattr("imports.ui.drawings.time.monotonic", lambda: now[0])
    drawings.get("a", (1, 1), draw)
    now[0] += OLDEST_SECONDS - 0.1
    drawings.get("a", (1, 1), draw)
    assert draw.times == 1
    now[0] += 0.2
    drawings.get("a", (1, 1), draw)
    assert draw.times == 2


def test_whoever_asks_meanwhile_waits_for_the_same_drawing() -> None:
    drawings, begun, go_on, times = Drawings(), threading.Event(), threading.Event(), []

    def slow() -> Drawing:
        times.append(1)
        begun.set()
        assert go_on.wait(10)
        return drawing()

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(drawings.get, "a", (1, 1), slow)
        assert begun.wait(10)
        others = [pool.submit(drawings.get, "a", (1, 1), slow) for _ in range(7)]
        assert not any(other.done() for other in others)
        go_on.set()
        assert {id(each.result(10)) for each in (first, *others)} == {
            id(first.result(10))
        }
    assert times == [1]


def test_a_later_version_does_not_wait_for_an_earlier_one_nor_is_replaced_by_it() -> (
    None
):
    drawings, begun, go_on = Drawings(), threading.Event(), threading.Event()

    def slow() -> Drawing:
        begun.set()
        assert go_on.wait(10)
        return drawing()

    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(drawings.get, "a", (1, 1), slow)
        assert begun.wait(10)
        later = drawings.get("a", (2, 1), drawing)
        go_on.set()
        assert early.result(10) is not later
    assert drawings.get("a", (2, 1), fails) is later
    assert drawings.bytes == later.size


def fails() -> Drawing:
    raise RuntimeError("the database is locked")


def test_a_drawing_that_fails_fails_for_who_waits_and_is_tried_anew() -> None:
    drawings, begun, go_on = Drawings(), threading.Event(), threading.Event()

    def slow() -> Any:
        begun.set()
        assert go_on.wait(10)
        return fails()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(drawings.get, "a", (1, 1), slow)
        assert begun.wait(10)
        second = pool.submit(drawings.get, "a", (1, 1), slow)
        go_on.set()
        for each in (first, second):
            with pytest.raises(RuntimeError, match="locked"):
                each.result(10)
    draw = Draws()
    drawings.get("a", (1, 1), draw)
    assert draw.times == 1


def test_memory_is_bounded_and_what_was_asked_for_last_stays() -> None:
    drawings, draw = Drawings(most_bytes=1000), Draws(size=300)
    for subject in "abc":
        drawings.get(subject, (1,), draw)
    drawings.get("a", (1,), draw)
    drawings.get("d", (1,), draw)
    assert drawings.bytes == 900
    assert draw.times == 4
    drawings.get("a", (1,), draw)
    assert draw.times == 4
    drawings.get("b", (1,), draw)
    assert draw.times == 5


def test_one_that_is_larger_than_all_memory_is_sent_and_not_kept() -> None:
    drawings = Drawings(most_bytes=1000)
    assert drawings.get("a", (1,), Draws(size=2000)).size == 2000
    assert drawings.bytes == 0


def test_a_newer_drawing_takes_the_place_of_the_older_one() -> None:
    drawings, draw = Drawings(), Draws()
    for version in range(50):
        drawings.get("a", (version,), draw)
    assert drawings.bytes == 100
