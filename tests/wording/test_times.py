"""Times in the reader's zone, and on Marketing Cloud's own clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.template import Context, Template
from django.utils import timezone

from imports.wording.formats import (
    clock_name,
    elapsed_html,
    exact_text,
    relative_text,
    when_html,
)

NOW = datetime(2026, 3, 12, 14, 8, 59, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_london() -> Iterator[None]:
    with timezone.override("Europe/London"), time_machine.travel(NOW, tick=False):
        yield


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=1), "just now"),
        (timedelta(seconds=40), "40 s ago"),
        (timedelta(minutes=6, seconds=50), "6 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(hours=15), "yesterday"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(days=30), "10 Feb"),
        (timedelta(days=400), "5 Feb 2025"),
        (timedelta(seconds=-5), "just now"),
        (timedelta(minutes=-5), "in 5 min"),
    ],
)
def test_a_time_is_told_as_a_reader_would(ago: timedelta, text: str) -> None:
    assert relative_text(NOW - ago, NOW) == text


def test_shortly_after_midnight_an_hour_ago_is_not_yesterday() -> None:
    midnight = datetime(2026, 3, 12, 0, 30, tzinfo=UTC)
    assert relative_text(midnight - timedelta(hours=1), midnight) == "1 h ago"


def test_yesterday_is_the_readers_yesterday() -> None:
    with timezone.override("Pacific/Auckland"):
        assert relative_text(NOW - timedelta(hours=8), NOW) == "yesterday"


def test_the_exact_time_names_both_clocks() -> None:
    moment = datetime(2026, 3, 12, 8, 8, 59, tzinfo=UTC)
    assert exact_text(moment) == (
        "Thu 12 Mar 2026, 08:08:59 · Marketing Cloud’s clock 02:08:59, UTC−6"
    )


def test_marketing_clouds_date_is_named_where_it_differs() -> None:
    moment = datetime(2026, 3, 12, 3, 0, tzinfo=UTC)
    assert "clock Wed 11 Mar, 21:00:00, UTC−6" in exact_text(moment)


def test_an_account_on_another_clock_says_which() -> None:
    assert clock_name(330) == "UTC+5:30"
    assert "UTC−5" in exact_text(NOW, -300)


def test_the_exact_time_can_be_reached_by_keyboard() -> None:
    html = when_html(NOW - timedelta(minutes=6))
    assert 'tabindex="0"' in html
    assert 'datetime="2026-03-12T14:02:59+00:00"' in html
    assert ">6 min ago</time>" in html


def test_a_time_that_is_not_known_is_a_dash() -> None:
    source = "{% load mcdash %}{% when none %} {% elapsed none %} {{ none|exact }}"
    assert Template(source).render(Context({"none": None})) == "– – –"


def test_elapsed_time_carries_where_it_counts_from() -> None:
    html = elapsed_html(NOW - timedelta(seconds=222))
    assert 'data-since="2026-03-12T14:05:17+00:00"' in html
    assert ">3:42</span>" in html
