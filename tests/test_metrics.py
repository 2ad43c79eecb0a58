"""What is counted, what is shown, and that all processes add up."""

from __future__ import annotations

import errno
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from pytest_django import DjangoAssertNumQueries, Settings

from imports import measures, metrics
from imports.marketingcloud.errors import OutcomeUnknownError, UnavailableError
from imports.middleware import MeasureMiddleware
from imports.models import ImportRun, note_lost_key
from imports.models.account import BREAKER_OPENS_AT, NOT_ANSWERING_FROM
from imports.tasks import Crew
from imports.usecases.errors import AccountBusyError
from imports.usecases.send import send_start
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
    """The counts alone, straight from the files."""
    registry = CollectorRegistry()
    registry.register(metrics.Counts())
    return Measures(generate_latest(registry).decode())


@pytest.fixture
def grown() -> Callable[..., float]:
    """By how much a count has grown since the test began."""
    before = counts()
    return lambda name, **labels: counts()(name, **labels) - before(name, **labels)


# counting


def test_a_call_is_counted_with_its_duration(grown: Callable[..., float]) -> None:
    labels = {"operation": "Perform", "outcome": "answered"}
    measures.note_call(operation="Perform", outcome="answered", seconds=0.3)
    measures.note_call(operation="Perform", outcome="unknown", seconds=40)
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
        measures.note_call(operation=operation, outcome=outcome, seconds=0.1)
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

    crew = Crew(most=1)
    crew.submit(("sync", 7), work)
    assert crew.join(10)
    name = "mcdash_work_seconds_count"
    wait_until(lambda: grown(name), "the count")
    assert grown(name, kind="sync", outcome=outcome) == grown(name) == 1


@pytest.mark.django_db
def test_a_request_is_counted_by_route_never_by_address(
    client: Client, grown: Callable[..., float], settings: Settings, tmp_path: Path
) -> None:
    settings.STATIC_ROOT = tmp_path
    client.get("/runs/4711/?q=secret")
    client.get("/nowhere/4711/")
    client.head("/healthz")
    name = "mcdash_requests_seconds_count"
    assert grown(name, route="imports:run", method="GET", status="302") == 1
    assert grown(name, route="unresolved", method="GET", status="404") == 1
    assert grown(name, route="healthz", method="HEAD", status="200") == 1
    assert grown(name) == 3
    assert "4711" not in counts().text


def test_an_invented_method_makes_no_label_of_its_own(
    grown: Callable[..., float],
) -> None:
    request = RequestFactory().generic("BREW", "/")
    MeasureMiddleware(lambda _: HttpResponse())(request)
    assert grown("mcdash_requests_seconds_count", method="other") == 1
    assert "BREW" not in counts().text


def test_counting_that_fails_fails_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog_imports: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(measures.OWN, "add", broken)
    measures.note_call(operation="Perform", outcome="answered", seconds=1)
    measures.note_start("running")
    measures.note_work(kind="sync", outcome="done", seconds=1)
    measures.note_request(route="healthz", method="GET", status=200, seconds=1)
    assert caplog_imports.text.count("Something was not counted") == 4
    assert "a mistake of ours" in caplog_imports.text


# files

COUNTS = """
import os, sys
from django.conf import settings
settings.configure(DATA_DIR=sys.argv[2])
from imports import measures
for _ in range(int(sys.argv[1])):
    measures.note_start("running")
if "fork" in sys.argv and not os.fork():
    measures.note_start("unknown")
    os._exit(0)
if "fork" in sys.argv:
    os.wait()
    measures.note_start("running")
print("counted", flush=True)
if "stay" in sys.argv:
    sys.stdin.readline()
"""


class Processes:
    """Processes that count in a folder of their own, and what that comes to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.staying: list[subprocess.Popen[str]] = []

    def count(self, times: int, *options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", COUNTS),
                *(str(times), str(self.folder.parent), *options),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        assert process.stdout.readline() == "counted\n"
        if "stay" in options:
            self.staying.append(process)
        else:
            process.communicate(timeout=30)
        return process

    def end(self) -> None:
        for process in self.staying:
            process.kill()
            process.communicate()
        self.staying = []

    def starts(self) -> dict[str, float]:
        return {status: count for (_, status), (count,) in measures.totals().items()}

    def files(self) -> list[str]:
        return sorted(file.name for file in self.folder.iterdir())


@pytest.fixture
def processes(tmp_path: Path, settings: Settings) -> Iterator[Processes]:
    settings.DATA_DIR = tmp_path
    made = Processes(tmp_path / "metrics")
    yield made
    made.end()


def test_processes_that_run_side_by_side_add_up(processes: Processes) -> None:
    processes.count(2, "stay")
    processes.count(3, "stay")
    assert processes.starts() == {"running": 5}
    assert processes.files() == ["0.counts", "1.counts"]


def test_a_count_outlives_its_process_and_the_next_one_goes_on_in_its_file(
    processes: Processes,
) -> None:
    processes.count(2, "stay")
    processes.end()  # by SIGKILL
    for _ in range(3):
        processes.count(1)
    assert processes.starts() == {"running": 5}
    assert processes.files() == ["0.counts"]


def test_a_forked_process_counts_in_a_file_of_its_own(processes: Processes) -> None:
    processes.count(1, "fork")
    assert processes.starts() == {"running": 2, "unknown": 1}
    assert processes.files() == ["0.counts", "1.counts"]


ROW = measures.LENGTHS.pack(32, 1) + b'["mcdash_starts", "unknown"]    ' + b"\0" * 8


@pytest.mark.parametrize(
    "content",
    [
        b"\xff" * 64,
        b"\0" * 65536,  # what a power cut may leave of a file
        measures.MAGIC + b"\xff" * 64,
        measures.MAGIC + b"\0" * 4096,
        measures.MAGIC + ROW[:-1],  # the disk became full in the middle of it
        measures.MAGIC + ROW[:3],
    ],
)
def test_what_is_broken_in_a_file_is_left_out_and_told_of(
    processes: Processes, caplog_imports: pytest.LogCaptureFixture, content: bytes
) -> None:
    processes.count(2, "stay")
    (processes.folder / "9.counts").write_bytes(content)
    assert processes.starts() == {"running": 2}
    assert "9.counts cannot be read" in caplog_imports.text


@pytest.mark.parametrize("tail", [b"", ROW[:-1], b"\0" * 4096, b"\xff" * 64])
def test_what_is_broken_at_the_end_of_a_file_is_overwritten_by_the_next_process(
    processes: Processes, tail: bytes
) -> None:
    processes.count(2)
    file = processes.folder / "0.counts"
    whole = file.read_bytes()
    file.write_bytes(whole + tail)
    processes.count(3)
    assert processes.starts() == {"running": 5}
    assert file.stat().st_size == len(whole)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64])
def test_a_broken_file_is_begun_anew_by_the_next_process(
    processes: Processes, content: bytes
) -> None:
    processes.count(2)
    (processes.folder / "0.counts").write_bytes(content)
    processes.count(3)
    assert processes.starts() == {"running": 3}


@pytest.mark.parametrize(
    ("key", "row"),
    [
        ('["mcdash_gone", "x"]', [7.0]),
        ('["mcdash_starts"]', [7.0]),
        ('["mcdash_starts", "running", "x"]', [7.0]),
        ('["mcdash_starts", "running"]', [7.0, 7.0]),
        ("no JSON", [7.0]),
        ("7", [7.0]),
        ("{}", [7.0]),
        ("[[]]", [7.0]),
        ("[]", [7.0]),
        ('["mcdash_starts", []]', [7.0]),
    ],
)
def test_rows_of_a_version_that_measured_otherwise_are_left_alone(
    processes: Processes, key: str, row: list[float]
) -> None:
    text = key.encode().ljust(40)
    values = struct.pack(f"<{len(row)}d", *row)
    record = measures.LENGTHS.pack(40, len(row)) + text + values
    processes.folder.mkdir()
    (processes.folder / "0.counts").write_bytes(measures.MAGIC + record)
    processes.count(3)
    assert processes.starts() == {"running": 3}


def test_where_nothing_was_counted_yet_nothing_is_shown(processes: Processes) -> None:
    assert measures.totals() == {}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings) -> Path:
    """This process counts in a folder of its own; gives its file."""
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(measures, "OWN", measures.ProcessCounts())
    return tmp_path / "metrics" / "0.counts"


def test_a_write_that_the_disk_takes_by_half_is_taken_back_and_made_up_for(
    own: Path, monkeypatch: pytest.MonkeyPatch, caplog_imports: pytest.LogCaptureFixture
) -> None:
    measures.note_start("running")
    whole, write = own.read_bytes(), os.pwrite

    def half(file: int, data: bytes, at: int) -> int:
        return write(file, data[: len(data) // 2], at)

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", half)
        measures.note_start("unknown")
        measures.note_start("unknown")
        assert counts()("mcdash_counts_up") == 0
    assert own.read_bytes() == whole
    assert caplog_imports.text.count("Counts cannot be written down") == 1
    measures.note_start("unknown")
    assert measures.totals()["mcdash_starts", "unknown"] == [3]
    assert counts()("mcdash_counts_up") == 1
    assert caplog_imports.text.count("Counts are written down again") == 1


def test_what_was_counted_while_no_file_could_be_made_is_added_to_what_is_in_it(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measures.note_start("running")
    measures.OWN.begin_anew()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as on:
        on.setattr(os, "open", full)
        measures.note_start("running")
    assert measures.totals()["mcdash_starts", "running"] == [1]
    measures.note_start("running")
    assert measures.totals()["mcdash_starts", "running"] == [3]


# what the database says


@pytest.fixture
def _queue_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "queue_depth", lambda: 3)


def shown() -> Measures:
    return Measures(metrics.exposition().decode())


@pytest.mark.django_db
@pytest.mark.usefixtures("_queue_of_three")
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
        note_lost_key(AccountFactory.create(**failing, **refused).pk)
        now = shown()
        assert {
            state: now("mcdash_accounts", state=state)
            for state in metrics.ACCOUNT_STATES
        } == {
            "off": 1,
            "secret_unreadable": 1,
            "credentials_refused": 1,
            "breaker_open": 2,
            "not_answering": 1,
            "answering": 1,
        }
        assert now("mcdash_breakers_open") == 2

    def test_workers_count_that_were_heard_of_within_a_minute(self) -> None:
        for seconds in (1, 30, 90):
            at = timezone.now() - timedelta(seconds=seconds)
            WorkerFactory.create(seen_at=at)
        assert shown()("mcdash_workers") == 2

    def test_the_queues_depth_is_shown(self) -> None:
        assert shown()("mcdash_queue_depth") == 3
        assert shown()("mcdash_queue_up") == 1

    def test_a_queue_that_is_down_shows_no_depth(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def down() -> int:
            raise metrics.QueueDownError("It is down.")

        monkeypatch.setattr(metrics, "queue_depth", down)
        now = shown()
        assert "mcdash_queue_up 0.0" in now.text
        assert "mcdash_queue_depth" not in now.text

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
        note_lost_key(lost.account_id)
        found = shown()
        for why in (
            *("account_disabled", "credentials_refused", "not_answering"),
            *("secret_unreadable", "overdue"),
        ):
            assert found("mcdash_unfollowed_runs", reason=why) == 1, why


def test_the_queue_is_asked_itself() -> None:
    assert metrics.queue_depth() == 0


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
    files = list((site.folder / "metrics").iterdir())
    assert len(files) == 3, files
    worker.kill()
    again = Measures(fetch(f"{pages}/metrics"))
    assert again("mcdash_calls_seconds_count", operation="Perform") == 1
