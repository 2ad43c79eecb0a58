"""What a load test computes and draws; the load itself is not a test."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.bench.asking import Answer, Browser
from tests.bench.dashboards import Dashboard, Met, Watched
from tests.bench.figures import Figure
from tests.bench.plot import Panel, nice_top, svg
from tests.bench.steps import Steps, steps_in
from tests.bench.trees import compared

STEPS = Steps(began=1000.0, accounts=2, seconds=5.0)
LIVE = b'<div id="live" hidden hx-get="/?since=2&amp;seen=a" data-seconds="4.5"></div>'


def answer(status: int, body: bytes = b"", head: bytes = b"") -> Answer:
    return Answer(status, b"HTTP/1.1 200 OK\r\n" + head, body, len(body))


def page() -> Dashboard:
    return Dashboard(browser=Browser(port=1, cookie=""))


@pytest.mark.parametrize(
    ("account", "now", "rows"),
    [(0, 1000.0, 700_000_000), (0, 1005.0, 700_000_001), (1, 1016.0, 701_000_002)],
)
def test_a_count_tells_account_and_change(account: int, now: float, rows: int) -> None:
    assert STEPS.rows(account, now) == rows
    ((shown, step),) = steps_in(f"<td>{rows:,}</td>".encode())
    assert shown == account
    assert now - 5 < STEPS.changed_at(account, step) <= now


def test_a_page_shows_also_the_changes_that_it_skipped() -> None:
    dashboard = page()
    first = dashboard.new_steps(answer(200, b"<td>701,000,003</td>"))
    assert first == [(1, 1), (1, 2), (1, 3)]
    shown = dashboard.new_steps(answer(200, b"<td>701,000,005</td>"))
    assert shown == [(1, 4), (1, 5)]


def test_a_page_asks_as_live_js_does() -> None:
    dashboard = page()
    dashboard.learn(answer(200, LIVE))
    assert (dashboard.path, dashboard.wait) == ("/?since=2&seen=a", 4.5)
    dashboard.learn(answer(204, head=b"poll-after: 7.25\r\n"))
    assert dashboard.wait == 7.25
    dashboard.learn(answer(204))
    assert dashboard.wait == 4.5
    waits = []
    for _ in range(5):
        dashboard.learn(answer(503))
        waits.append(dashboard.wait)
    assert waits == [9.0, 18.0, 36.0, 60.0, 60.0]
    dashboard.learn(answer(403))
    assert dashboard.wait == 0


def test_what_was_met_is_told_by_time() -> None:
    met = [Met(1.0, 0.1, 200), Met(2.0, 0.2, 204), Met(3.0, 0.3, 0, error="none")]
    within = Watched(met=met).between(2.0, 4.0)
    assert (within.seconds, within.errors) == ([0.2, 0.3], ["none"])


def test_each_change_of_each_account_is_known() -> None:
    assert STEPS.changes(1002.0, 1010.0) == [1005.0, 1002.5 + 5.0]


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.03, 0.05), (1, 1), (1.2, 2), (60, 100), (200, 200)]
)
def test_an_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert nice_top(value) == pytest.approx(top)


def test_a_plot_is_svg_with_each_line_and_its_name() -> None:
    lines = {"a < b": [(10.0, 1.0), (200.0, 2.0)], "here": [(10.0, 0.5)]}
    drawn = svg([Panel(title="Cores", x_label="dashboards", lines=lines)])
    texts = [one.text for one in ElementTree.fromstring(drawn).iter() if one.text]
    assert {"Cores", "dashboards", "a < b", "here", "10", "200"} <= set(texts)


def test_a_comparison_has_the_ratio() -> None:
    before = [Figure(name="cores", value=3, unit="cores")]
    table = compared(before, [Figure(name="cores", value=2, unit="cores")], "abc")
    assert table.splitlines()[1].split() == ["cores", "3", "2", "cores", "1.50"]
