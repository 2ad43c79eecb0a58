"""Every page over a long history: the time to its first byte, and what polls cost.

gunicorn with one process; one reader, one request after the other, each over a
connection of its own on loopback. Every page comes once before it is measured.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from tests.bench import reader
from tests.bench.figures import Figure, percentile, ratio
from tests.bench.history import Size, fill
from tests.bench.reader import ADMINISTRATOR, MARKETER, QUIET_READER
from tests.bench.web import Web, get, poll_of, session_of, web, weigh

FULL, QUICK = Size(), Size(definitions=2_000, runs=200_000)
ROUNDS, QUICK_ROUNDS = 40, 5
PLAIN_ROUNDS = 5
# Of every kind one, and those that cost most.
QUICK_PAGES = (
    *("dashboard", "definitions", "definition", "history", "run", "accounts"),
    *("definitions_newest", "definitions_last_page", "definitions_search"),
    *("history_week", "history_key", "history_failed", "admin_runs", "admin_runs_deep"),
)
PLAIN_ADMIN = "/plain-admin/imports/importrun/"
LIST_OF_RUNS = "/admin/imports/importrun/"
DEFAULT_LIST = "Django's default admin list of runs, with its COUNT"
WHOLE_LIST = "a poll that sends the whole history page again"
SHARE = 0.95


def figures(folder: Path, *, quick: bool) -> list[Figure]:
    """The slowest page's 95th percentile, each page's own, and the polls'."""
    size = QUICK if quick else FULL
    fill(size)
    reader.add_people()
    proving = reader.prove_strips()
    addresses = reader.pages()
    with web(folder) as served:
        times = {
            (who, name): _times(served, path, who, QUICK_ROUNDS if quick else ROUNDS)
            for who, pages in addresses.items()
            for name, path in pages.items()
            if not quick or name in QUICK_PAGES
        }
        plain = _times(served, PLAIN_ADMIN, ADMINISTRATOR, PLAIN_ROUNDS)
        polls = _idle_polls(served)
        changed = _changed_poll(served)
    proof = Figure(
        name="rebuild_strips_check_ms_each", value=round(proving, 2), unit="ms"
    )
    ours = times[ADMINISTRATOR, "admin_runs"]
    return [
        *_of_pages(times),
        ratio("admin_runs_ratio", median(plain), median(ours), DEFAULT_LIST),
        *polls,
        changed,
        proof,
    ]


def _times(served: Web, path: str, who: str, rounds: int) -> list[float]:
    """Seconds to the first byte, one for each round."""
    cookie = session_of(who)
    found = [get(served.port, path, cookie) for _ in range(rounds + 1)]
    if any(page.status != 200 for page in found):
        raise RuntimeError(f"{path}: HTTP {found[0].status}")
    return [page.seconds for page in found[1:]]


def _of_pages(times: dict[tuple[str, str], list[float]]) -> list[Figure]:
    slow = {key: percentile(each, SHARE) for key, each in times.items()}
    (who, name), worst = max(slow.items(), key=lambda item: item[1])
    sys.stderr.write(f"The slowest page: {name} ({who})\n")
    found = [("page_p95_ms_worst", worst)]
    found += [
        (f"page_p95_ms_{name}" + (f"_{who}" if who == QUIET_READER else ""), seconds)
        for (who, name), seconds in slow.items()
    ]
    return [Figure(name=n, value=round(s * 1000, 1), unit="ms") for n, s in found]


def _idle_polls(served: Web) -> list[Figure]:
    """The dearest poll among all pages that poll, when nothing has changed."""
    cookie = session_of(MARKETER)
    asked = [poll_of(get(served.port, path, cookie)) for path in reader.polling_pages()]
    heads = [weigh(served.port, path, cookie, is_poll=True) for path in asked]
    if any((page.status, page.body_bytes) != (204, 0) for page in heads):
        raise RuntimeError("A poll brought something although nothing has changed.")
    whole = weigh(served.port, "/runs/", cookie)
    size = max(page.head_bytes for page in heads)
    queries = max(reader.queries_of(path) for path in asked)
    return [
        Figure(name="idle_poll_bytes", value=size, unit="bytes"),
        Figure(name="idle_poll_queries", value=queries, unit="queries"),
        Figure(
            name="idle_poll_bytes_ratio",
            value=round((whole.head_bytes + whole.body_bytes) / size, 1),
            unit="ratio",
            baseline=WHOLE_LIST,
        ),
    ]


def _changed_poll(served: Web) -> Figure:
    """The history's poll after three of its runs have changed."""
    cookie = session_of(MARKETER)
    path = poll_of(get(served.port, "/runs/", cookie))
    reader.change_runs(3)
    poll = weigh(served.port, path, cookie, is_poll=True)
    if poll.status != 200:
        raise RuntimeError(f"Three runs have changed, and the poll says {poll.status}.")
    whole = weigh(served.port, "/runs/", cookie)
    return Figure(
        name="poll_3_changed_bytes_ratio",
        value=round(whole.body_bytes / poll.body_bytes, 1),
        unit="ratio",
        baseline=WHOLE_LIST,
    )
