"""What a poll brings of a page's parts: what changed, and nothing else."""

from __future__ import annotations

import pytest

from imports.ui.partials import Parts

CARDS = '<section class="section" id="cards">{}</section>\n'
ROW = '<tr id="run-{}" data-row>\n<td>{}</td></tr>'
TABLE = '<div id="found"><table><tbody>{}</tbody></table></div>'


def table(*rows: tuple[int, str]) -> str:
    return TABLE.format("".join(ROW.format(*row) for row in rows))


def after(*shown: str) -> Parts:
    """The parts of the poll that follows a page which shows these."""
    page = Parts()
    for html in shown:
        page.show(html, is_poll=False)
    return Parts.seen_by(page.memory)


def test_a_page_shows_its_parts_as_they_are() -> None:
    assert Parts().show(table((1, "Running")), is_poll=False) == table((1, "Running"))


def test_a_part_that_is_as_it_was_is_not_sent() -> None:
    poll = after(CARDS.format(3), table((1, "Running")))
    assert poll.show(CARDS.format(3), is_poll=True) == ""
    assert poll.show(table((1, "Running")), is_poll=True) == ""


def test_a_part_that_changed_is_sent_out_of_band() -> None:
    poll = after(CARDS.format(3))
    assert poll.show(CARDS.format(4), is_poll=True) == (
        '<section class="section" id="cards" hx-swap-oob="true">4</section>'
    )


def test_of_a_table_only_the_rows_that_changed_are_sent() -> None:
    poll = after(table((1, "Running"), (2, "Running"), (3, "Running")))
    sent = poll.show(table((1, "Running"), (2, "Failed"), (3, "Done")), is_poll=True)
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
    poll = after(table((1, "a"), (2, "b")))
    sent = poll.show(table(*rows), is_poll=True)
    assert sent.startswith('<div id="found" hx-swap-oob="true">')


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ('<time datetime="9">2 s ago</time>', '<time datetime="9">5 s ago</time>'),
        (
            '<b class="e" data-since="9">0:01</b>',
            '<b class="e" data-since="9">0:04</b>',
        ),
        (
            '<input name="csrfmiddlewaretoken" value="abc">',
            '<input name="csrfmiddlewaretoken" value="xyz">',
        ),
    ],
)
def test_what_changes_by_itself_in_the_browser_is_no_news(
    before: str, now: str
) -> None:
    poll = after(CARDS.format(before))
    assert poll.show(CARDS.format(now), is_poll=True) == ""


def test_another_moment_is_news_although_its_words_tick() -> None:
    poll = after(CARDS.format('<time datetime="9">now</time>'))
    assert poll.show(CARDS.format('<time datetime="12">now</time>'), is_poll=True)


@pytest.mark.parametrize("memory", ["", "~~", "cards", "cards.abc", "\x00", "é.aaaaaa"])
def test_a_memory_that_cannot_be_read_means_that_all_is_sent(memory: str) -> None:
    poll = Parts.seen_by(memory)
    assert 'hx-swap-oob="true"' in poll.show(CARDS.format(3), is_poll=True)


def test_what_was_not_looked_at_again_stays_in_the_memory() -> None:
    poll = after(CARDS.format(3), table((1, "a")))
    poll.show(table((1, "b")), is_poll=True)
    later = Parts.seen_by(poll.memory)
    assert later.show(CARDS.format(3), is_poll=True) == ""
    assert later.show(table((1, "b")), is_poll=True) == ""


def test_a_part_without_an_id_is_a_mistake_of_its_template() -> None:
    with pytest.raises(ValueError, match="an id"):
        Parts().show("<p>none</p>", is_poll=False)
