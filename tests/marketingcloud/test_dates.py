from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.marketingcloud.dates import read_time


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10/27/2009 12:27:51 PM", "2009-10-27T18:27:51"),
        ("10/27/2009 12:27:51 AM", "2009-10-27T06:27:51"),
        ("1/2/2024 3:04:05 pm", "2024-01-02T21:04:05"),
        ("1/2/2024 3:04 PM", "2024-01-02T21:04:00"),
        ("1/2/2024 15:04:05", "2024-01-02T21:04:05"),
        ("12/31/2023 11:30:00 PM", "2024-01-01T05:30:00"),
        ("2022-11-09T05:32:30.533", "2022-11-09T11:32:30.533000"),
        ("2022-11-09T05:32:30.5330000", "2022-11-09T11:32:30.533000"),
        ("2022-11-09 05:32:30", "2022-11-09T11:32:30"),
        ("  2022-11-09T05:32:30  ", "2022-11-09T11:32:30"),
        ("2022-11-09", "2022-11-09T06:00:00"),
        ("2022-11-09T05:32:30Z", "2022-11-09T05:32:30"),
        ("2022-11-09T05:32:30.5-06:00", "2022-11-09T11:32:30.500000"),
        ("2022-11-09T05:32:30+0530", "2022-11-09T00:02:30"),
    ],
)
def test_read_time_gives_the_moment_in_utc(text: str, moment: str) -> None:
    expected = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    found = read_time(text, offset_minutes=-360)
    assert found == expected
    assert found is not None
    assert found.tzinfo is UTC


def test_read_time_counts_a_text_without_a_zone_from_the_accounts_clock() -> None:
    found = read_time("2024-06-01T12:00:00", offset_minutes=120)
    assert found == datetime(2024, 6, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "soon",
        "1/1/0001 12:00:00 AM",
        "0001-01-01T00:00:00",
        "1/1/1900 12:00:00 AM",
        "9999-12-31T23:59:59.9999999",
        "13/10/2024 1:00:00 PM",
        "2/30/2024 1:00:00 PM",
        "10/27/2009 13:27:51 PM",
        "10/27/2009 0:27:51 AM",
        "2024-06-01T25:00:00",
        "2024-06-01T12:00:00+99:00",
        "٢٠٢٤-06-01T12:00:00",
        "2024-06-01T12:00:00" + "0" * 100,
    ],
)
def test_read_time_gives_none_for_what_names_no_moment(text: str) -> None:
    assert read_time(text, offset_minutes=-360) is None


@given(
    text=st.text()
    | st.from_regex(r"\d{1,4}[-/]\d{1,4}[-/]\d{1,4}[ T]\d\d:\d\d:\d\d( [AP]M|Z)?"),
    offset=st.integers(),
)
def test_read_time_never_raises(text: str, offset: int) -> None:
    found = read_time(text, offset_minutes=offset)
    assert found is None or 2000 <= found.year <= 2100
