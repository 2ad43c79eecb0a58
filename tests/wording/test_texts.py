"""Numbers, durations, long names and what a search found in them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.template import Context, Template

from imports.ui import svg as svg_ui
from imports.wording.formats import (
    count_text,
    duration_text,
    found_html,
    middle_html,
    share_text,
    short_count_text,
)

LONG = "Customer numbers, CRM to Marketing Cloud (do not rename)"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), ("", "–"), (0, "0"), (999, "999"), (412006, "412,006")],
)
def test_a_count_has_its_thousands_apart_and_unknown_is_a_dash(
    value: object, text: str
) -> None:
    assert count_text(value) == text


def test_a_count_that_is_no_number_is_an_error() -> None:
    with pytest.raises(TypeError):
        count_text("many")


def test_the_filters_are_the_same_words() -> None:
    source = "{% load mcdash %}{{ rows|count }} {{ took|duration }} {{ 1|share:4 }}"
    context = Context({"rows": None, "took": timedelta(seconds=408)})
    assert Template(source).render(context) == "– 6:48 25.0\xa0%"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0:00"),
        (59.9, "0:59"),
        (408, "6:48"),
        (3723, "1:02:03"),
        (timedelta(hours=26), "26:00:00"),
        (-5, "0:00"),
    ],
)
def test_a_duration_is_minutes_and_seconds(
    value: float | timedelta | None, text: str
) -> None:
    assert duration_text(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (33450, 398214, "8.4\xa0%"),
        (0, 10, "0\xa0%"),
        (10, 10, "100\xa0%"),
        (1, 1_000_000, "<0.1\xa0%"),
        (999_999, 1_000_000, ">99.9\xa0%"),
        (None, 10, "–"),
        (3, 0, "–"),
        (3, None, "–"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_all(
    part: int | None, whole: int | None, text: str
) -> None:
    assert share_text(part, whole) == text


def test_a_short_count_rounds_down_and_keeps_small_numbers() -> None:
    shorts = [short_count_text(n) for n in (None, 9999, 412006, 12_500_000)]
    assert shorts == ["–", "9,999", "412k", "12M"]


def test_a_short_name_stays_as_it_is() -> None:
    assert middle_html("Customers", 20) == "Customers"


def test_a_long_name_keeps_its_last_fourteen_characters() -> None:
    html = middle_html(LONG, 30)
    assert html.endswith("<span>do not rename)</span></span>")
    assert f'title="{LONG}"' in html


def test_a_name_of_ten_thousand_characters_does_not_fill_the_page() -> None:
    html = middle_html("k" * 10_000, 30)
    assert len(html) < 10_000 + 500
    assert "…</span>" in html


def test_names_with_html_in_them_are_text() -> None:
    for html in (middle_html("<b>" * 20, 30), found_html("<i>x", "i")):
        assert "<b>" not in html
        assert "<i>" not in html


def test_what_a_search_found_is_marked_in_both_halves() -> None:
    html = middle_html(LONG, 30, "cust REN")
    assert "<mark>Cust</mark>omer numbers" in html
    assert "<mark>ren</mark>ame)" in html


def test_a_find_across_the_cut_is_marked_on_both_sides() -> None:
    html = middle_html("x" * 30 + "needle" + "y" * 11, 30, "needle")
    assert "<mark>nee</mark></span><span><mark>dle</mark>" in html


def test_a_search_of_only_blanks_marks_nothing() -> None:
    assert found_html("Customers", "  ") == "Customers"


def test_a_search_is_no_pattern() -> None:
    assert found_html("a.c abc", "a.c") == "<mark>a.c</mark> abc"


def test_a_bar_in_proportion_shows_a_sliver_for_few_and_none_for_unknown() -> None:
    svg = svg_ui.proportion_svg(999_999, None, 1)
    assert svg.count("<rect") == 2
    assert 'width="4"' in svg
    assert "<rect" not in svg_ui.proportion_svg(None, None, None)


def test_a_lane_never_leaves_its_scale() -> None:
    svg = svg_ui.lane_svg(90, 50, 100, "blue")
    assert 'x="500" y="0" width="500"' in svg
    assert "<rect" not in svg_ui.lane_svg(0, 0, 0, "blue")
