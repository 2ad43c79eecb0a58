"""Accounts that hang do not slow the others: 50 of them beside a healthy one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime

import pytest

from imports.sandbox.nordlicht import DE
from imports.sandbox.server import SandboxServer
from tests.at_most_once.crashing import CrashSite, judge
from tests.at_most_once.reached import WSDL
from tests.e2e.site import wait_until

pytestmark = pytest.mark.slow

HANGING = 50
STARTS = 5
MOST_SECONDS_LATER = 1.0
PATIENT = {
    "MCDASH_CALL_DEADLINE_SECONDS": "60",
    "MCDASH_READ_TIMEOUT_SECONDS": "60",
    "MCDASH_START_LEASE_SECONDS": "70",
}


def copy_account(site: CrashSite, number: int, hanging: SandboxServer) -> None:
    """Another business unit with such definitions, whose Marketing Cloud hangs."""
    new = {
        "name": f"'Hanging {number}'",
        "auth_url": f"'{hanging.url}'",
        "soap_url": f"'{hanging.soap_url}'",
        "last_synced_at": "NULL",
        "mid": f"'{520000 + number}'",
        "unit": f"'{520000 + number}'",
    }
    copy_rows(site, "imports_account", new, f"name = '{DE.name}'")
    ((pk,),) = site.ask("SELECT max(id) FROM imports_account")
    copy_rows(
        site,
        "imports_importdefinition",
        {
            "account_id": str(pk),
            "last_run_id": "NULL",
            "object_id": "lower(hex(randomblob(16)))",
        },
        f"account_id = (SELECT id FROM imports_account WHERE name = '{DE.name}')",
    )


def copy_rows(site: CrashSite, table: str, new: dict[str, str], where: str) -> None:
    names = [row[1] for row in site.ask(f"PRAGMA table_info({table})")]
    kept = [name for name in names if name != "id"]
    values = ", ".join(new.get(name, name) for name in kept)
    site.change(
        f"INSERT INTO {table} ({', '.join(kept)}) "
        f"SELECT {values} FROM {table} WHERE {where}"
    )


def seconds_to_send(site: CrashSite, number: int) -> list[float]:
    """From the click to the claim of starts in the healthy account, one by one."""
    found = []
    for _ in range(number):
        (pk,) = site.top_up(1, DE.name)
        sql = f"SELECT queued_at, sent_at FROM imports_importrun WHERE id = {pk}"

        def times(sql: str = sql) -> list[str] | None:
            ((queued_at, sent_at),) = site.ask(sql)
            return [queued_at, sent_at] if sent_at else None

        queued, sent = wait_until(times, "a start that is sent", seconds=60)
        took = datetime.fromisoformat(sent) - datetime.fromisoformat(queued)
        found.append(took.total_seconds())
    return found


def test_50_accounts_that_hang_do_not_delay_a_start_in_a_healthy_one(
    make_site: Callable[..., CrashSite],
) -> None:
    site = make_site(**PATIENT)
    with SandboxServer(WSDL) as hanging:
        hanging.misbehave("hang", times=None)
        site.start_doomed()
        alone = seconds_to_send(site, STARTS)
        for number in range(HANGING):
            copy_account(site, number, hanging)
        site.top_up(HANGING, "Hanging")
        wait_until(
            lambda: hanging.calls.state()["under_way"] >= HANGING, "calls that hang"
        )
        in_a_crowd = seconds_to_send(site, STARTS)
        assert hanging.calls.state()["under_way"] >= HANGING
        sys.stdout.write(f"\nalone {alone} s, in a crowd {in_a_crowd} s\n")
        assert max(in_a_crowd) <= max(alone) + MOST_SECONDS_LATER, (alone, in_a_crowd)
        judge_healthy(site)


def judge_healthy(site: CrashSite) -> None:
    """All that was started in the healthy account came to its end."""
    active = {"queued", "starting", "running", "unknown"}

    def healthy() -> list[str]:
        return [run.status for run in site.ended() if run.account == DE.name]

    wait_until(lambda: not active.intersection(healthy()), "the healthy account's end")
    ours = [run for run in site.ended() if run.account == DE.name]
    judge(ours, site.performed())
    assert len(ours) == 2 * STARTS
