"""The ten statuses: one table, ten silhouettes, never colour alone."""

from __future__ import annotations

import re

import pytest
from django.template import Context, Template

from imports.models import ACTIVE, ENDED, FINISHED, RunStatus
from imports.ui import icons
from imports.ui import svg as svg_ui
from imports.wording.status import BY_SEVERITY, STATUSES, SUCCESSFUL, status_look

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
    assert len({look.icon for look in STATUSES.values()}) == len(EVERY)
    assert len({icons.status_icon_svg(status) for status in EVERY}) == len(EVERY)


def test_what_is_used_from_the_sprite_is_there_once() -> None:
    sprite = icons.sprite_svg()
    drawn = [icons.status_icon_svg(status) for status in EVERY]
    drawn += [icons.icon_svg("play"), icons.icon_svg("star", style="outline")]
    used = {name for svg in drawn for name in re.findall(r'href="#(.+?)"', svg)}
    assert used
    for name in used:
        assert sprite.count(f'<symbol id="{name}" ') == 1
    assert "style=" not in sprite


def test_what_moves_is_drawn_where_it_stands() -> None:
    for status in ("starting", "running"):
        assert 'class="turns"' in icons.status_icon_svg(status)


def test_every_status_has_a_bar() -> None:
    assert {look.bar for look in STATUSES.values()} <= set(svg_ui.BARS)


def test_what_needs_attention_is_ordered_and_the_tab_shows_it() -> None:
    assert [look.severity for look in map(status_look, BY_SEVERITY)] == [1, 2, 3, 4, 5]
    for look in STATUSES.values():
        assert (look.severity is not None) == (look.tab in {"failed", "attention"})


def test_only_what_has_ended_ended_well_or_badly() -> None:
    ended = {look.status for look in STATUSES.values() if look.ended_well is not None}
    assert ended == ENDED - {RunStatus.CANCELLED}
    assert set(SUCCESSFUL) <= FINISHED
    assert {status for status in RunStatus if status_look(status).unfollowed} == ACTIVE


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
