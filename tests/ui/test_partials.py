"""What a poll brings of a page's parts: what changed, and nothing else."""

from __future__ import annotations

import pytest
from django.test import override_settings

from imports.ui.partials import Drawing, Part, digests_of, in_frame, memory_of, slot

CARDS = '<section class="section" id="cards">{}</section>\n'
ROW = '<tr id="run-{}" data-row>\n<td>{}</td></tr>'
TABLE = '<div id="found"><table><tbody>{}</tbody></table></div>'


def table(*rows: tuple[int, str]) -> str:
    return TABLE.format("".join(ROW.format(*row) for row in rows))


def news(before: str, now: str) -> str:
    """What the poll of a page that shows the part `before` is sent of it `now`."""
    shown = digests_of(memory_of([Part.of(before)]))
    part = Part.of(now)
    return part.news(shown.get(part.id, ()))


def test_a_part_that_is_as_it_was_is_not_sent() -> None:
    assert news(CARDS.format(3), CARDS.format(3)) == ""
    assert news(table((1, "Running")), table((1, "Running"))) == ""


def test_a_part_that_changed_is_sent_out_of_band() -> None:
    assert news(CARDS.format(3), CARDS.format(4)) == (
        '<section class="section" id="cards" hx-swap-oob="true">4</section>'
    )


def test_of_a_table_only_the_rows_that_changed_are_sent() -> None:
    sent = news(
        table((1, "Running"), (2, "Running"), (3, "Running")),
        table((1, "Running"), (2, "Failed"), (3, "Done")),
    )
    assert sent == (
        '<template><tr id="run-2" hx-swap-oob="true" data-row>\n<td>Failed</td></tr>'
        '<tr id="run-3" hx-swap-oob="true" data-row>\n<td>Done</td></tr></template>'
    )


@pytest.mark.parametrize(
    "rows",
    [
        [(2, "b"), (1, "a")],
        [(1, "a")],
        [(1, "a"), (2, "b"), (3, "c")],
        [(1, "a"), (3, "b")],
        [],
    ],
)
def test_a_table_with_other_rows_is_sent_whole(rows: list[tuple[int, str]]) -> None:
    sent = news(table((1, "a"), (2, "b")), table(*rows))
    assert sent.startswith('<div id="found" hx-swap-oob="true">')


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ('<time datetime="9">2 s ago</time>', '<time datetime="9">5 s ago</time>'),
        (
            '<b class="e" data-since="9">0:01</b>',
            '<b class="e" data-since="9">0:04</b>',
        ),
    ],
)
def test_what_changes_by_itself_in_the_browser_is_no_news(
    before: str, now: str
) -> None:
    assert news(CARDS.format(before), CARDS.format(now)) == ""


def test_another_moment_is_news_although_its_words_tick() -> None:
    moments = [f'<time datetime="{moment}">now</time>' for moment in (9, 12)]
    assert news(*map(CARDS.format, moments))


@pytest.mark.parametrize("memory", ["", "~~", "cards", "cards.abc", "\x00", "é.aaaaaa"])
def test_a_memory_that_cannot_be_read_means_that_all_is_sent(memory: str) -> None:
    part = Part.of(CARDS.format(3))
    sent = part.news(digests_of(memory).get(part.id, ()))
    assert 'hx-swap-oob="true"' in sent


def test_a_part_without_an_id_is_a_mistake_of_its_template() -> None:
    with pytest.raises(ValueError, match="an id"):
        Part.of("<p>none</p>")


def test_a_page_is_its_frame_with_the_parts_in_their_places() -> None:
    drawing = Drawing()
    places = [drawing.place(f"{name}.html", lambda: CARDS.format(3)) for name in "ab"]
    drawing.set_frame(f"<h1>{places[0]}</h1><p>{places[1]}</p>")
    parts = drawing.parts | {"b.html": Part.of('<b id="b">mine</b>')}
    assert in_frame(drawing, parts) == (
        f'<h1>{CARDS.format(3).strip()}</h1><p><b id="b">mine</b></p>'
    )


def test_a_part_that_stands_in_two_places_is_made_once() -> None:
    drawing, texts = Drawing(), iter([CARDS.format(3)])
    first, second = (drawing.place("a.html", lambda: next(texts)) for _ in range(2))
    assert first == second


def test_slots_are_the_same_in_every_process_and_cannot_be_guessed() -> None:
    assert slot("csrf") == slot("csrf") != slot("part")
    with override_settings(SECRET_KEY="another" * 9):
        slot.cache_clear()
        other = slot("csrf")
    slot.cache_clear()
    assert other != slot("csrf")
