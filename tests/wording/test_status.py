"""The ten statuses: one table, ten silhouettes, never colour alone."""

from __future__ import annotations

import re

import pytest
from django.template import Context, Template

from imports.models import RunStatus
from imports.ui import icons
from imports.ui import svg as svg_ui
from imports.wording.status import STATUSES, status_look

EVERY = list(RunStatus)


def render(source: str, **context: object) -> str:
    return Template("{% load mcdash %}" + source).render(Context(context))


def test_the_table_holds_the_statuses_of_the_model_in_their_order() -> None:
    assert list(STATUSES) == [status.value for status in RunStatus]
    assert [look.label for look in STATUSES.values()] == RunStatus.labels


def test_six_hues_and_no_more_say_how_a_run_stands() -> None:
    hues = {look.hue for look in STATUSES.values()}
    assert hues == {"grey", "blue", "green", "amber", "red", "violet"}


def test_every_status_has_a_silhouette_of_its_own() -> None:
    assert len({icons._STATUS_SHAPES[status] for status in EVERY}) == len(EVERY)


def test_what_is_used_from_the_sprite_is_there_once() -> None:
    sprite = icons.sprite_svg()
    drawn = [icons.status_icon_svg(status) for status in EVERY]
    drawn += [icons.icon_svg("play"), icons.icon_svg("star", style="outline")]
    used = {name for svg in drawn for name in re.findall(r'href="#(.+?)"', svg)}
    assert len(used) == 10
    for name in used:
        assert sprite.count(f'<symbol id="{name}" ') == 1
    assert "style=" not in sprite


def test_what_moves_is_drawn_where_it_stands() -> None:
    for status in ("starting", "running"):
        assert 'class="turns"' in icons.status_icon_svg(status)


def test_every_status_has_a_bar() -> None:
    assert set(svg_ui.BARS) == set(RunStatus)


@pytest.mark.parametrize("status", EVERY)
def test_an_icon_is_hidden_and_its_word_stands_beside_it(status: RunStatus) -> None:
    for tag in ("{% status_label s %}", "{% status_badge s %}"):
        html = render(tag, s=status)
        assert 'aria-hidden="true"' in html
        assert str(status.label) in html


def test_a_status_that_is_none_of_ours_is_an_error() -> None:
    with pytest.raises(KeyError):
        status_look("sleeping")


def test_unknown_keeps_its_hatched_badge_in_a_row() -> None:
    html = render("{% status_label 'unknown' %}")
    assert "hatch" in html
    assert "badge" in html


def test_the_phase_is_shown_beside_the_word_and_escaped() -> None:
    html = render("{% status_label 'running' phase %}", phase="<b>IOWork")
    assert "&lt;b&gt;IOWork" in html


def test_a_stale_row_turns_grey_and_stands_still() -> None:
    html = render("{% status_label 'running' stale=True %}")
    assert "ink-grey" in html
    assert " still" in html


def test_success_is_quiet_and_trouble_speaks() -> None:
    assert " speaks" not in render("{% status_label 'completed' %}")
    assert " speaks" in render("{% status_label 'failed' %}")


def test_a_narrow_column_takes_the_short_word() -> None:
    html = render("{% status_label 'completed_with_errors' short=True %}")
    assert "With errors" in html
    assert "Completed with errors" not in html


@pytest.mark.parametrize("name", ["unplugged", "replace", "brand", "play", "clock"])
def test_icons_are_hidden_from_screen_readers(name: str) -> None:
    assert 'aria-hidden="true"' in icons.icon_svg(name)
