"""What is counted, what is shown, and that all processes add up."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from cryptography.fernet import Fernet
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from pytest_django import DjangoAssertNumQueries, Settings

from imports import metrics
from imports.marketingcloud.errors import OutcomeUnknownError, UnavailableError
from imports.middleware import MetricsMiddleware
from imports.models import Account, AccountState, ImportRun
from imports.models.account import BREAKER_OPENS_AT, NOT_ANSWERING_FROM
from imports.usecases.errors import AccountBusyError
from imports.usecases.send import send_start
from imports.worker import ThreadPool
from tests.e2e.site import PYTHON, ROOT, Part, Site, wait_until
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    WorkerFactory,
)
from tests.fakes import FakeMarketingCloud

SAMPLE = re.compile(r"^(mcdash_\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


class Measures:
    """What /metrics tells, by name and labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = {
            (name, frozenset(labels.split(","))): float(value)
            for name, labels, value in SAMPLE.findall(text)
        }

    def __call__(self, name: str, **labels: str) -> float:
        """The sum over all samples of `name` that have these labels."""
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        return sum(
            value
            for (other, given), value in self.samples.items()
            if other == name and wanted <= given
        )


def counts() -> Measures:
    """The counts alone, straight from the file."""
    registry = CollectorRegistry()
    registry.register(metrics.CountsCollector())
    return Measures(generate_latest(registry).decode())


@pytest.fixture
def grown() -> Callable[..., float]:
    """By how much a count has grown since the test began."""
    before = counts()
    return lambda name, **labels: counts()(name, **labels) - before(name, **labels)


# counting


def test_a_call_is_counted_with_its_duration(grown: Callable[..., float]) -> None:
    labels = {"operation": "Perform", "outcome": "answered"}
    metrics.count_call(operation="Perform", outcome="answered", seconds=0.3)
    metrics.count_call(operation="Perform", outcome="unknown", seconds=40)
    assert grown("mcdash_calls_seconds_count", operation="Perform") == 2
    assert grown("mcdash_calls_seconds_count", **labels) == 1
    assert grown("mcdash_calls_seconds_sum", **labels) == pytest.approx(0.3)
    assert grown("mcdash_calls_seconds_bucket", le="0.25", **labels) == 0
    assert grown("mcdash_calls_seconds_bucket", le="0.5", **labels) == 1


def test_a_token_that_was_fetched_is_counted(grown: Callable[..., float]) -> None:
    for operation, outcome in (
        ("token", "answered"),
        ("token", "error"),
        ("Retrieve", "answered"),
    ):
        metrics.count_call(operation=operation, outcome=outcome, seconds=0.1)
    assert grown("mcdash_tokens_fetched_total") == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "running"),
        (UnavailableError("Nothing was sent."), "not_started"),
        (OutcomeUnknownError("It broke off."), "unknown"),
    ],
)
def test_a_start_is_counted_by_what_became_of_its_run(
    cloud: FakeMarketingCloud,
    grown: Callable[..., float],
    error: Exception | None,
    status: str,
) -> None:
    cloud.add_definition("customers-daily")
    run = ImportRunFactory.create(
        queued=True, definition__customer_key="customers-daily"
    )
    if error:
        cloud.fail("start_definition", error)
    send_start(run=run, holder="worker")
    assert ImportRun.objects.get(pk=run.pk).status == status
    assert grown("mcdash_starts_total") == grown("mcdash_starts_total", status=status)
    assert grown("mcdash_starts_total", status=status) == 1


@pytest.mark.django_db
def test_a_run_that_somebody_else_took_is_no_start_of_ours(
    grown: Callable[..., float],
) -> None:
    send_start(run=ImportRunFactory.create(running=True), holder="worker")
    assert grown("mcdash_starts_total") == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "done"),
        (AccountBusyError("busy"), "busy"),
        (UnavailableError("away"), "failed"),
        (OperationalError("the disk is full"), "unsaved"),
        (ValueError("a mistake of ours"), "broken"),
    ],
)
def test_a_workers_work_is_counted_by_kind_and_outcome(
    grown: Callable[..., float], error: Exception | None, outcome: str
) -> None:
    def work() -> None:
        if error:
            raise error

    pool = ThreadPool(at_once=1)
    pool.submit(("sync", 7), work)
    assert pool.join(10)
    name = "mcdash_work_seconds_count"
    wait_until(lambda: grown(name), "the count")
    assert grown(name, kind="sync", outcome=outcome) == grown(name) == 1


@pytest.mark.django_db
def test_a_request_is_counted_by_route_never_by_address(
    client: Client, grown: Callable[..., float]
) -> None:
    client.get("/runs/4711/?q=secret")
    client.get("/nowhere/4711/")
    client.head("/healthz")
    name = "mcdash_requests_seconds_count"
    assert grown(name, route="imports:run", method="GET", status="302") == 1
    assert grown(name, route="unresolved", method="GET", status="404") == 1
    assert grown(name, route="healthz", method="HEAD", status="200") == 1
    assert grown(name) == 3
    # as an address has it: the seconds that were counted may hold any digits
    assert "/4711" not in counts().text


def test_an_invented_method_makes_no_label_of_its_own(
    grown: Callable[..., float],
) -> None:
    request = RequestFactory().generic("BREW", "/")
    MetricsMiddleware(lambda _: HttpResponse())(request)
    assert grown("mcdash_requests_seconds_count", method="other") == 1
    assert "BREW" not in counts().text


def test_counting_that_fails_fails_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog_imports: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(metrics.COUNTS, "add", broken)
    metrics.count_call(operation="Perform", outcome="answered", seconds=1)
    metrics.count_start("running")
    metrics.count_work(kind="sync", outcome="done", seconds=1)
    metrics.count_request(route="healthz", method="GET", status=200, seconds=1)
    assert caplog_imports.text.count("Something was not counted") == 4
    assert "a mistake of ours" in caplog_imports.text


# the file

PROCESS = """
import os, sys
import django
django.setup()
from imports import metrics
for _ in range(int(sys.argv[1])):
    metrics.count_start("running")
if "fork" in sys.argv and not os.fork():
    metrics.count_start("unknown")
    os._exit(0)
if "fork" in sys.argv:
    os.wait()
    metrics.count_start("running")
while not metrics.COUNTS.are_written():
    pass
print("counted", flush=True)
if "stay" in sys.argv:
    sys.stdin.readline()
"""


class Processes:
    """Processes that count in a data folder of their own, and what that comes to."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.staying: list[subprocess.Popen[str]] = []

    def begin(self, times: int, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(times), *options],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "mcdash.settings",
                "MCDASH_SECRET_KEY": "x" * 50,
                "MCDASH_FIELD_KEYS": Fernet.generate_key().decode(),
                "MCDASH_ALLOW_LOOPBACK": "1",
                "MCDASH_DATA_DIR": str(self.data),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def count(self, times: int, *options: str) -> str:
        """What the process says on its log; nothing yet where it stays."""
        process = self.begin(times, *options)
        assert process.stdout
        assert process.stdout.readline() == "counted\n"
        if "stay" in options:
            self.staying.append(process)
            return ""
        return process.communicate(timeout=30)[1]

    def kill(self) -> None:
        for process in self.staying:
            process.kill()
            process.communicate()
        self.staying = []


@pytest.fixture
def own_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings
) -> Iterator[Path]:
    """This process counts in a data folder of its own."""
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(metrics, "COUNTS", metrics.Counts())
    yield metrics.counts_file()
    metrics.COUNTS.close()


@pytest.fixture
def processes(tmp_path: Path, own_file: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.kill()


def count_requests(number: int) -> None:
    """As many rows, which need several pages."""
    for route in range(number):
        metrics.count_request(route=f"r{route}", method="GET", status=200, seconds=1)


def starts() -> dict[str, float]:
    """All starts that are counted in the file, by status."""
    found = counts()
    return {
        status: number
        for status in ("running", "unknown")
        if (number := found("mcdash_starts_total", status=status))
    }


def test_processes_that_run_side_by_side_add_up(processes: Processes) -> None:
    processes.count(2, "stay")
    processes.count(3, "stay")
    assert starts() == {"running": 5}


def test_processes_that_count_at_the_same_moment_lose_nothing(
    processes: Processes,
) -> None:
    at_once = [processes.begin(500) for _ in range(3)]
    for process in at_once:
        assert process.communicate(timeout=60) == ("counted\n", "")
    assert starts() == {"running": 1500}


def test_a_count_outlives_a_killed_process(processes: Processes) -> None:
    processes.count(2, "stay")
    processes.kill()
    assert starts() == {"running": 2}
    processes.count(1)
    assert starts() == {"running": 3}


def test_a_forked_process_does_not_count_its_parents_counts_again(
    processes: Processes,
) -> None:
    assert processes.count(1, "fork") == ""
    assert starts() == {"running": 2, "unknown": 1}


@pytest.mark.parametrize("journal", [b"", b"\0" * 4096, b"\xff" * 4096])
def test_a_journal_that_a_power_cut_broke_is_no_harm(
    own_file: Path, caplog_imports: pytest.LogCaptureFixture, journal: bytes
) -> None:
    metrics.count_start("running")
    metrics.COUNTS.close()
    own_file.with_name("counts.sqlite3-journal").write_bytes(journal)
    metrics.count_start("running")
    assert starts() == {"running": 2}
    assert caplog_imports.text == ""


@pytest.mark.parametrize(
    "content",
    [b"\xff" * 64, b"\0" * 65536, b"SQLite format 3\0" + b"\xff" * 8192],
)
def test_a_broken_file_is_put_aside_and_counting_begins_anew(
    own_file: Path, caplog_imports: pytest.LogCaptureFixture, content: bytes
) -> None:
    own_file.parent.mkdir()
    own_file.write_bytes(content)
    metrics.count_start("running")
    assert f"{own_file} is broken" in caplog_imports.text
    assert starts() == {"running": 1}
    assert own_file.with_suffix(".broken").read_bytes() == content


def test_a_file_whose_pages_were_mixed_up_is_found_broken_too(
    own_file: Path, caplog_imports: pytest.LogCaptureFixture
) -> None:
    count_requests(200)
    metrics.COUNTS.close()
    content = own_file.read_bytes()
    assert len(content) > 3 * 4096
    own_file.write_bytes(content[:8192] + content[4096:8192] + content[12288:])
    metrics.count_start("running")
    assert "is broken" in caplog_imports.text
    assert starts() == {"running": 1}


def test_a_file_that_breaks_while_it_is_open_is_put_aside_with_the_next_count(
    own_file: Path, caplog_imports: pytest.LogCaptureFixture
) -> None:
    metrics.count_start("running")
    with closing(sqlite3.connect(own_file)) as other, other:
        other.execute("PRAGMA writable_schema=ON")
        other.execute("UPDATE sqlite_master SET rootpage = 4711")
        other.execute("PRAGMA schema_version = 4711")
    metrics.count_start("running")
    metrics.count_start("running")
    assert "is broken" in caplog_imports.text
    assert starts() == {"running": 2}


@pytest.mark.parametrize(
    ("metric", "labels"),
    [
        ("mcdash_gone", '["x"]'),
        ("mcdash_starts", "[]"),
        ("mcdash_starts", '["running", "x"]'),
    ],
)
def test_counts_of_a_version_that_counted_otherwise_are_left_out(
    own_file: Path, metric: str, labels: str
) -> None:
    metrics.count_start("running")
    with closing(sqlite3.connect(own_file)) as other, other:
        other.execute("INSERT INTO counts VALUES (?, ?, 1, 7, 7)", [metric, labels])
    assert starts() == {"running": 1}
    assert len(counts().samples) == 2


def test_counts_from_before_a_bound_was_removed_are_in_the_next_one(
    own_file: Path,
) -> None:
    metrics.count_call(operation="Perform", outcome="answered", seconds=0.2)
    with closing(sqlite3.connect(own_file)) as other, other:
        other.execute("UPDATE counts SET bucket = 0.2")
    found = counts()
    assert found("mcdash_calls_seconds_bucket", le="0.1") == 0
    assert found("mcdash_calls_seconds_bucket", le="0.25") == 1
    assert found("mcdash_calls_seconds_bucket", le="+Inf") == 1


def test_where_nothing_was_counted_yet_nothing_is_shown(own_file: Path) -> None:
    assert list(counts().samples) == [("mcdash_counts_up", frozenset({""}))]


@pytest.fixture
def connections(
    own_file: Path, monkeypatch: pytest.MonkeyPatch
) -> list[sqlite3.Connection]:
    """The connections by which this process counts."""
    opened: list[sqlite3.Connection] = []
    really_open = metrics.open_counts

    def remember(file: Path) -> sqlite3.Connection:
        opened.append(really_open(file))
        return opened[-1]

    monkeypatch.setattr(metrics, "open_counts", remember)
    return opened


def test_what_finds_no_room_is_kept_and_added_once_there_is_some(
    connections: list[sqlite3.Connection], caplog_imports: pytest.LogCaptureFixture
) -> None:
    metrics.count_start("running")
    connections[0].execute("PRAGMA max_page_count = 4")
    count_requests(200)
    assert counts()("mcdash_counts_up") == 0
    assert counts()("mcdash_requests_seconds_count") < 200
    assert counts()("mcdash_starts_total") == 1  # what is written can be read
    assert (
        caplog_imports.text.count("Counts cannot be written: database or disk is") == 1
    )
    connections[0].execute("PRAGMA max_page_count = 1000")
    metrics.count_start("running")
    assert counts()("mcdash_counts_up") == 1
    assert counts()("mcdash_requests_seconds_count") == 200
    assert counts()("mcdash_requests_seconds_sum") == 200
    assert counts()("mcdash_starts_total") == 2
    assert caplog_imports.text.count("Counts are written again") == 1
    assert len(connections) == 1


def test_what_was_counted_while_no_file_could_be_made_is_added_later(
    own_file: Path, caplog_imports: pytest.LogCaptureFixture
) -> None:
    own_file.parent.write_text("in the way")
    for _ in range(3):
        metrics.count_start("running")
    assert counts()("mcdash_counts_up") == 0
    assert caplog_imports.text.count("Counts cannot be written") == 1
    own_file.parent.unlink()
    assert counts()("mcdash_counts_up") == 1
    assert starts() == {"running": 3}


def test_a_process_that_holds_the_file_holds_up_nobody_for_long(
    own_file: Path, caplog_imports: pytest.LogCaptureFixture
) -> None:
    metrics.count_start("running")
    with closing(sqlite3.connect(own_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        metrics.count_start("running")
        assert time.monotonic() - began < 2
        assert starts() == {"running": 1}
        assert counts()("mcdash_counts_up") == 0
        other.execute("ROLLBACK")
    metrics.count_start("running")
    assert starts() == {"running": 3}
    assert caplog_imports.text == ""


# what the database says


def shown() -> Measures:
    return Measures(metrics.exposition().decode())


@pytest.mark.django_db
class TestTheStateOfThings:
    def test_runs_under_way_are_shown_by_status(self) -> None:
        for traits in ("queued", "running", "running", "unknown", "completed", "lost"):
            ImportRunFactory.create(**{traits: True})
        now = shown()
        for status, count in {"queued": 1, "running": 2, "unknown": 1}.items():
            assert now("mcdash_active_runs", status=status) == count
        assert now("mcdash_active_runs") == 4
        assert 'mcdash_active_runs{status="starting"} 0.0' in now.text

    def test_the_lag_is_that_of_the_run_most_overdue(self) -> None:
        for seconds in (-30, 20, 90):
            due = timezone.now() - timedelta(seconds=seconds)
            ImportRunFactory.create(running=True, next_check_at=due)
        ImportRunFactory.create(
            completed=True, next_check_at=timezone.now() - timedelta(days=9)
        )
        assert shown()("mcdash_refresh_lag_seconds") == pytest.approx(90, abs=10)

    def test_where_nothing_is_due_there_is_no_lag(self) -> None:
        ImportRunFactory.create(
            running=True, next_check_at=timezone.now() + timedelta(seconds=60)
        )
        assert shown()("mcdash_refresh_lag_seconds") == 0

    def test_the_oldest_start_says_how_long_starts_wait(self) -> None:
        for seconds in (5, 70):
            at = timezone.now() - timedelta(seconds=seconds)
            ImportRunFactory.create(queued=True, occurred_at=at)
        assert shown()("mcdash_start_wait_seconds") == pytest.approx(70, abs=10)

    def test_each_account_is_in_one_state(self) -> None:
        failing = {"failures_in_row": BREAKER_OPENS_AT}
        refused = {"credentials_refused_at": timezone.now()}
        for fares in (
            {},
            {"failures_in_row": NOT_ANSWERING_FROM},
            failing,
            failing,
            {**failing, **refused},
            {**failing, **refused, "is_active": False},
        ):
            AccountFactory.create(**fares)
        AccountFactory.create(**failing, secret_unreadable_since=timezone.now())
        AccountFactory.create(starts_paused=True)
        twice = AccountFactory.create(starts_paused=True)
        Account.objects.filter(pk=twice.pk).update(is_doubled=True)
        now = shown()
        assert {
            state: now("mcdash_accounts", state=state) for state in AccountState
        } == {
            "disabled": 1,
            "doubled": 1,
            "secret_unreadable": 1,
            "credentials_refused": 1,
            "not_answering": 3,
            "paused": 1,
            "ready": 1,
        }
        assert now("mcdash_breakers_open") == 2

    def test_workers_count_that_were_heard_of_within_a_minute(self) -> None:
        for seconds in (1, 30, 90):
            at = timezone.now() - timedelta(seconds=seconds)
            WorkerFactory.create(seen_at=at)
        assert shown()("mcdash_workers") == 2

    def test_nobody_is_named(self) -> None:
        run = ImportRunFactory.create(running=True, started_by_name="Ana Ruiz")
        text = shown().text
        for name in (run.account.name, "Ana", run.customer_key, run.account.client_id):
            assert name not in text

    def test_it_costs_the_same_whatever_is_stored(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(9):
            shown()
        for _ in range(3):
            ImportRunFactory.create(running=True)
            ImportRunFactory.create(queued=True)
        with django_assert_num_queries(9):
            shown()

    def test_runs_that_nobody_looks_at_are_shown_by_why(self) -> None:
        now = timezone.now()
        for fares in (
            {"is_active": False},
            {"credentials_refused_at": now},
            {"failures_in_row": NOT_ANSWERING_FROM, "not_answering_since": now},
            {},
        ):
            account = AccountFactory.create(**fares)
            definition = ImportDefinitionFactory.create(account=account)
            ImportRunFactory.create(running=True, definition=definition)
        ImportRunFactory.create(running=True, next_check_at=now - timedelta(hours=1))
        lost = ImportRunFactory.create(unknown=True)
        lost.account.note_secret_unreadable()
        found = shown()
        for why in (
            *("account_disabled", "credentials_refused", "not_answering"),
            *("secret_unreadable", "overdue"),
        ):
            assert found("mcdash_unfollowed_runs", reason=why) == 1, why


# real processes


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(folder=tmp_path / "var") as made:
        yield made


def start_pages(site: Site, *, form: str) -> str:
    """gunicorn with two workers; its address, once both serve."""
    site.must("collectstatic", "--no-input", "--verbosity", "0")
    log = site.folder / "pages.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(PYTHON, "-m", "gunicorn", "-c", "python:mcdash.gunicorn"),
                *("mcdash.wsgi", "--bind", "127.0.0.1:0", "--workers", "2"),
            ],
            cwd=ROOT,
            env=site.env | {"MCDASH_LOG_FORMAT": form, "MCDASH_ACCESS_LOG": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    site.parts.append(Part(process=process, log=log))

    def address() -> re.Match[str] | None:
        said = log.read_text()
        is_up = said.count("Booting worker") == 2
        return re.search(r"http://127\.0\.0\.1:\d+", said) if is_up else None

    return str(wait_until(address, "gunicorn")[0])


def fetch(address: str) -> str:
    with urlopen(Request(address), timeout=10) as response:
        return str(response.read().decode())


@pytest.mark.slow
def test_two_web_processes_and_a_worker_add_up_whoever_is_asked(site: Site) -> None:
    site.start_sandbox("--pace", "1")
    site.prepare()
    site.must("sync_definitions")
    worker = site.start_worker()
    pages = start_pages(site, form="json")
    for _ in range(40):
        fetch(f"{pages}/healthz")
    site.must("start_import", "Nordlicht DE", "customers-daily")
    wait_until(lambda: site.statuses() == ["completed"], "the run's end", seconds=60)

    def all_told() -> Measures | None:
        now = Measures(fetch(f"{pages}/metrics"))
        told = now("mcdash_starts_total", status="running") == 1
        return now if told else None

    now = wait_until(all_told, "the worker's count")
    assert now("mcdash_requests_seconds_count", route="healthz") == 40
    # the command's calls and the worker's: two processes, one sum
    assert now("mcdash_calls_seconds_count", operation="Perform") == 1
    assert now("mcdash_calls_seconds_count", operation="Retrieve") == site.calls(
        "Retrieve"
    )
    assert now("mcdash_tokens_fetched_total") == site.calls("token")
    assert now("mcdash_workers") == 1
    worker.kill()
    again = Measures(fetch(f"{pages}/metrics"))
    assert again("mcdash_calls_seconds_count", operation="Perform") == 1
