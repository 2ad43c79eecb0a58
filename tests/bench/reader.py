"""Who reads the long history, and which pages they open."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

MARKETER, QUIET_READER, ADMINISTRATOR = "marketer", "quiet", "administrator"
QUIET_ACCOUNTS = 2


def prove_strips() -> float:
    """Milliseconds for each definition of an account that the proof of its strips
    takes. Raises `RuntimeError` where one is wrong.
    """
    from imports.models import Account
    from imports.usecases.upkeep import rebuild_strips

    began = time.perf_counter()
    report = rebuild_strips(account=Account.objects.earliest("pk"), check=True)
    if report.wrong:
        raise RuntimeError(f"The history's strips are wrong: {report.wrong[:3]}")
    return (time.perf_counter() - began) / report.checked * 1000


def add_people() -> None:
    """People, a worker that was heard of, and accounts that answer."""
    from imports.models import Account, database_now

    now = database_now()
    heartbeat()
    Account.objects.update(last_contact_at=now, last_synced_at=now)
    _add_readers()


def heartbeat() -> None:
    """As a worker that has nothing to do."""
    from imports.models import Worker

    Worker.objects.heartbeat("benchmark", host="here", version="benchmark")


def _add_readers() -> None:
    """A marketer who may start everything, one who sees two accounts in which nothing
    has happened for months, and an administrator.
    """
    from imports.models import Account, User

    accounts = list(Account.objects.order_by("pk"))
    quiet = accounts[1::2][:QUIET_ACCOUNTS]
    for name, theirs in ((MARKETER, accounts), (QUIET_READER, quiet)):
        _grant(User.objects.create_user(username=name), theirs)
    User.objects.create_superuser(username=ADMINISTRATOR)


def _grant(person: Any, accounts: list[Any]) -> None:
    from django.contrib.auth.models import Group

    from imports.models import AccessLevel, AccountAccess

    group = Group.objects.create(name=person.username)
    person.groups.add(group)
    for account in accounts:
        AccountAccess.objects.create(
            account=account, group=group, level=AccessLevel.START
        )


def pages() -> dict[str, dict[str, str]]:
    """By reader: the addresses of pages by name."""
    return {
        MARKETER: _own_pages() | _runs_narrowed() | _definitions_narrowed(),
        QUIET_READER: {"dashboard": "/", "definitions": "/definitions/", **_quiet()},
        ADMINISTRATOR: _admin_pages(),
    }


def polling_pages() -> list[str]:
    """One address of each page that keeps itself fresh."""
    from imports.models import ImportRun, RunStatus

    running = ImportRun.objects.filter(status=RunStatus.RUNNING).latest("pk")
    return [
        *("/", "/definitions/", "/runs/", "/accounts/"),
        *(f"/definitions/{running.definition_id}/", f"/runs/{running.pk}/"),
    ]


def _own_pages() -> dict[str, str]:
    from imports.models import ImportRun, RunStatus

    busy = _busiest_definition()
    ended = ImportRun.objects.filter(definition=busy, status=RunStatus.COMPLETED)
    return {
        "dashboard": "/",
        "definitions": "/definitions/",
        "definition": f"/definitions/{busy}/",
        "history": "/runs/",
        "run": f"/runs/{ended.latest('occurred_at').pk}/",
        "run_oldest": f"/runs/{ImportRun.objects.earliest('pk').pk}/",
        "accounts": "/accounts/",
        "profile": "/profile/",
    }


def _busiest_definition() -> int:
    from imports.models import ImportDefinition

    return ImportDefinition.objects.get(customer_key="import-key-1").pk


def _definitions_narrowed() -> dict[str, str]:
    asked: dict[str, dict[str, Any]] = {
        "search": {"q": "1234"},
        "newest": {"sort": "-last"},
        "failing": {"show": "failing"},
        "account": {"account": _account()},
        "last_page": {"page": 150},
    }
    return {
        f"definitions_{name}": f"/definitions/?{urlencode(query)}"
        for name, query in asked.items()
    }


def _runs_narrowed() -> dict[str, str]:
    asked: dict[str, dict[str, Any]] = {
        "failed": {"status": "failed"},
        "lost": {"status": "lost"},
        "two_statuses": {"status": ["failed", "completed"]},
        "account": {"account": _account()},
        "definition": {"definition": _busiest_definition()},
        "origin": {"origin": "dashboard"},
        "person": {"person": "Maria Söderström"},
        "nobody": {"person": "nobody"},
        "today": {"from": "today"},
        "week": {"from": "6-days-ago", "sort": "errors"},
        "task": {"q": "100000123"},
        "key": {"q": "import-key-123"},
        "deep": {"before": _deep_place()},
    }
    return {
        f"history_{name}": f"/runs/?{urlencode(query, doseq=True)}"
        for name, query in asked.items()
    }


def _quiet() -> dict[str, str]:
    return {
        "history": "/runs/",
        "history_failed": "/runs/?status=failed",
        "history_origin": "/runs/?origin=dashboard",
        "accounts": "/accounts/",
    }


def _account() -> int:
    from imports.models import Account

    return Account.objects.earliest("pk").pk


def _deep_place() -> str:
    """A place in the middle of the history."""
    from imports.models import ImportRun

    last = ImportRun.objects.latest("pk").pk
    run = ImportRun.objects.filter(pk__gte=last // 2).earliest("pk")
    return f"{run.occurred_at.isoformat()}_{run.pk}"


def _admin_pages() -> dict[str, str]:
    from imports.models import ImportRun

    run = ImportRun.objects.latest("pk").pk
    runs = "/admin/imports/importrun/"
    asked = {
        "": "/admin/",
        "runs": runs,
        "runs_lost": f"{runs}?status__exact=lost",
        "runs_task": f"{runs}?q=100000123",
        "runs_account": f"{runs}?account__id__exact={_account()}",
        "runs_deep": f"{runs}?p=500",
        "run": f"{runs}{run}/change/",
        "definitions": "/admin/imports/importdefinition/",
        "versions": "/admin/imports/definitionversion/",
        "accounts": "/admin/imports/account/",
        "audit": "/admin/imports/auditentry/",
        "workers": "/admin/imports/worker/",
    }
    return {f"admin_{name}".rstrip("_"): path for name, path in asked.items()}


def queries_of(path: str) -> int:
    """How many queries a poll of the marketer needs, session and person included."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from imports.models import User

    client = Client(headers={"HX-Request": "true", "Host": "127.0.0.1"})
    client.force_login(User.objects.get(username=MARKETER))
    with CaptureQueriesContext(connection) as found:
        response = client.get(path)
    if response.status_code != 204:
        raise RuntimeError(f"{path}: HTTP {response.status_code}")
    return len(found)


def change_runs(count: int) -> None:
    """Running runs that are on the history's first page get on a little."""
    from imports.models import ImportRun, RunStatus, bump_revision

    running = ImportRun.objects.filter(status=RunStatus.RUNNING).latest_first()
    runs = list(running[:count])
    for run in runs:
        run.change(total_rows=(run.total_rows or 0) + 1000)
    bump_revision(runs=runs)
