"""What machines ask: is it well, does a worker live, what is measured."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from imports import metrics
from imports.models.account import BREAKER_OPENS_AT, NOT_ANSWERING_FROM
from tests.factories import AccountFactory, ImportRunFactory, WorkerFactory

pytestmark = pytest.mark.django_db
TOKEN = "a-token-of-the-scraper"
NEVER_CACHED = {"no-store", "no-cache", "private"}


@pytest.fixture
def client() -> Client:
    """A machine's, which signs in nowhere."""
    return Client()


def ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


def parts(response: Any) -> dict[str, str]:
    found: dict[str, str] = json.loads(response.content)
    return found


def is_never_cached(response: Any) -> bool:
    return set(response["Cache-Control"].split(", ")) >= NEVER_CACHED


class TestHealthz:
    def test_all_is_well(self, client: Client) -> None:
        WorkerFactory.create()
        AccountFactory.create()
        response = client.get("/healthz")
        assert response.status_code == 200
        assert parts(response) == {
            "status": "ok",
            "database": "ok",
            "worker": "ok",
            "queue": "ok",
            "accounts": "ok",
        }

    def test_a_worker_that_is_gone_takes_no_page_away(self, client: Client) -> None:
        WorkerFactory.create(seen_at=ago(61))
        response = client.get("/healthz")
        assert response.status_code == 200
        assert parts(response)["status"] == parts(response)["worker"] == "degraded"

    @pytest.mark.parametrize(
        "fares",
        [
            {"failures_in_row": NOT_ANSWERING_FROM},
            {"credentials_refused_at": ago(0)},
        ],
    )
    def test_an_account_that_fails_is_told_of_without_its_name(
        self, client: Client, fares: dict[str, Any]
    ) -> None:
        WorkerFactory.create()
        account = AccountFactory.create(**fares)
        response = client.get("/healthz")
        assert parts(response)["accounts"] == parts(response)["status"] == "degraded"
        assert account.name not in response.content.decode()

    @pytest.mark.parametrize(
        "fares",
        [
            {"failures_in_row": NOT_ANSWERING_FROM - 1},
            {"failures_in_row": BREAKER_OPENS_AT, "is_active": False},
        ],
    )
    def test_a_single_failure_or_an_account_switched_off_is_no_news(
        self, client: Client, fares: dict[str, Any]
    ) -> None:
        AccountFactory.create(**fares)
        assert parts(client.get("/healthz"))["accounts"] == "ok"

    def test_a_secret_that_cannot_be_read_is_an_account_that_fails(
        self, client: Client
    ) -> None:
        AccountFactory.create().note_secret_unreadable()
        assert parts(client.get("/healthz"))["accounts"] == "degraded"

    @pytest.mark.parametrize(("minutes", "worker"), [(5, "ok"), (10, "degraded")])
    def test_a_worker_that_does_not_get_to_what_is_due_is_degraded(
        self, client: Client, minutes: int, worker: str
    ) -> None:
        WorkerFactory.create(started_at=ago(3600))
        ImportRunFactory.create(running=True, next_check_at=ago(60 * minutes))
        assert parts(client.get("/healthz"))["worker"] == worker

    @pytest.mark.parametrize(("seconds", "queue"), [(29, "ok"), (31, "degraded")])
    def test_a_start_that_waits_long_is_the_queues_fault(
        self, client: Client, seconds: float, queue: str
    ) -> None:
        ImportRunFactory.create(queued=True, occurred_at=ago(seconds))
        assert parts(client.get("/healthz"))["queue"] == queue

    def test_it_costs_three_queries_and_counts_no_runs(
        self, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_max_num_queries(3) as asked:
            client.get("/healthz")
        assert not [q for q in asked.captured_queries if "COUNT(" in q["sql"].upper()]

    def test_it_neither_asks_for_a_session_nor_gives_one(self, client: Client) -> None:
        response = client.get("/healthz", headers={"Cookie": "sessionid=x"})
        assert not response.cookies
        assert "Cookie" not in response.get("Vary", "")

    @pytest.mark.parametrize("address", ["/healthz", "/healthz/worker", "/metrics"])
    def test_a_balancer_needs_neither_name_nor_https(
        self, settings: Settings, address: str
    ) -> None:
        settings.SECURE_SSL_REDIRECT = True
        settings.ALLOWED_HOSTS = ["dash.example.com"]
        settings.MCDASH_METRICS_TOKEN = TOKEN
        WorkerFactory.create()
        response = Client(headers={"host": "10.0.0.7:8000"}).get(
            address, headers={"Authorization": f"Bearer {TOKEN}"}
        )
        assert response.status_code == 200
        assert Client(headers={"host": "10.0.0.7"}).get("/login/").status_code == 400
        assert is_never_cached(response)

    @pytest.mark.parametrize("address", ["/healthz", "/healthz/worker"])
    def test_head_gives_the_same_headers_and_no_body(
        self, client: Client, address: str
    ) -> None:
        WorkerFactory.create()
        whole, head = client.get(address), client.head(address)
        assert head.status_code == 200
        assert not head.content
        assert (
            head["Content-Length"] == whole["Content-Length"] == str(len(whole.content))
        )

    @pytest.mark.parametrize("address", ["/healthz", "/healthz/worker", "/metrics"])
    def test_nothing_can_be_sent_there(self, client: Client, address: str) -> None:
        assert client.post(address).status_code == 405


@pytest.mark.parametrize("address", ["/healthz", "/healthz/worker"])
def test_without_its_database_nothing_is_well(client: Client, address: str) -> None:
    def fail(*_: object) -> None:
        raise DatabaseError("could not connect to 10.1.1.1 as mcdash")

    with connection.execute_wrapper(fail):
        response = client.get(address)
    assert response.status_code == 503
    assert response.content == b"The database does not answer.\n"
    assert response["Content-Type"] == "text/plain"
    assert is_never_cached(response)


@pytest.mark.parametrize(("seconds", "status"), [(59, 200), (61, 503)])
def test_a_worker_counts_as_gone_after_a_minute(
    client: Client, seconds: float, status: int
) -> None:
    WorkerFactory.create(seen_at=ago(3600))
    WorkerFactory.create(seen_at=ago(seconds))
    response = client.get("/healthz/worker")
    assert response.status_code == status
    assert is_never_cached(response)


def test_where_no_worker_ever_was_none_is_alive(client: Client) -> None:
    response = client.get("/healthz/worker")
    assert response.status_code == 503
    assert response.content == b"No worker has responded for a minute.\n"


def ask(*, remote: str = "127.0.0.1", **headers: str) -> Any:
    given = {"host": "127.0.0.1:8000"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return Client(headers=given).get("/metrics", REMOTE_ADDR=remote)


class TestWhoMayReadTheMeasures:
    @pytest.mark.parametrize("remote", ["127.0.0.1", "127.8.8.8", "::1"])
    @pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000"])
    def test_this_machine_may(self, remote: str, host: str) -> None:
        response = ask(remote=remote, host=host)
        assert response.status_code == 200
        assert b"mcdash_active_runs" in response.content

    @pytest.mark.parametrize("remote", ["10.0.0.9", "203.0.113.9", "", "nonsense"])
    def test_another_machine_may_not(self, remote: str) -> None:
        response = ask(remote=remote)
        assert response.status_code == 404
        assert b"mcdash" not in response.content

    @pytest.mark.parametrize(
        "headers",
        [
            {"X_Forwarded_For": "203.0.113.9"},
            {"X_Forwarded_For": "127.0.0.1"},
            {"Forwarded": "for=127.0.0.1"},
            {"X_Real_IP": "127.0.0.1"},
            {"Via": "1.1 proxy"},
            # a proxy that tells nothing but the name under which people know us
            {"host": "dash.example.com"},
            {"host": ""},
        ],
    )
    @pytest.mark.parametrize("trusted", [[], ["127.0.0.1"]])
    def test_a_proxy_on_this_machine_may_not(
        self, settings: Settings, headers: dict[str, str], trusted: list[str]
    ) -> None:
        settings.ALLOWED_HOSTS = ["*"]
        settings.MCDASH_TRUSTED_PROXIES = trusted
        assert ask(**headers).status_code == 404

    def test_whoever_knows_the_token_may(self, settings: Settings) -> None:
        settings.MCDASH_METRICS_TOKEN = TOKEN
        proxied = {"X_Forwarded_For": "203.0.113.9", "host": "dash.example.com"}
        for kind in ("Bearer", "bearer"):
            given = ask(Authorization=f"{kind} {TOKEN}", **proxied)
            assert given.status_code == 200

    @pytest.mark.parametrize(
        "given", ["", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "é"]
    )
    @pytest.mark.parametrize("wanted", ["", TOKEN])
    def test_whoever_does_not_know_it_may_not(
        self, settings: Settings, wanted: str, given: str
    ) -> None:
        settings.MCDASH_METRICS_TOKEN = wanted
        assert ask(remote="10.0.0.9", Authorization=given).status_code == 404

    def test_it_is_never_cached(self) -> None:
        assert is_never_cached(ask())


def test_the_measures_tell_when_the_database_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise DatabaseError

    monkeypatch.setattr(metrics, "active_runs", fail)
    response = ask()
    assert response.status_code == 200
    assert b"\nmcdash_database_up 0.0\n" in response.content
    assert b"mcdash_active_runs" not in response.content
    assert connection.is_usable()
