"""10,000 definitions fetched, parsed and stored, beside fetching and parsing alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.figures import Figure, milliseconds, ratio, seconds_of
from tests.bench.plain import PlainScript
from tests.bench.sandboxes import Sandbox, add_accounts, crowded_sandbox

if TYPE_CHECKING:
    from imports.models import Account

COUNT = 10_000
ROUNDS, QUICK_ROUNDS = 7, 2
BASELINE = "requests + lxml fetching and parsing the same pages"


@dataclass(kw_only=True)
class Times:
    """Seconds, one for each round."""

    plain: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)


def figures(_folder: Path, *, quick: bool) -> list[Figure]:
    """Medians over alternating rounds, each with an account of its own."""
    with crowded_sandbox(definitions=COUNT) as sandbox:
        return as_figures(_times(sandbox, QUICK_ROUNDS if quick else ROUNDS))


def as_figures(times: Times) -> list[Figure]:
    """The medians, and each of ours as a ratio to the plain script's."""
    plain, first, again = map(median, (times.plain, times.first, times.again))
    return [
        ratio("sync_10000_ratio_to_lxml", again, plain, BASELINE),
        ratio("sync_10000_first_ratio_to_lxml", first, plain, BASELINE),
        milliseconds("sync_10000_ms", again),
        milliseconds("sync_10000_first_ms", first),
        milliseconds("sync_10000_lxml_ms", plain),
    ]


def _times(sandbox: Sandbox, rounds: int) -> Times:
    script, times = PlainScript(sandbox.url), Times()
    _round(sandbox, script, Times(), "to warm up")
    for number in range(rounds):
        _round(sandbox, script, times, f"round {number}")
    return times


def _round(sandbox: Sandbox, script: PlainScript, times: Times, name: str) -> None:
    """A plain fetch before each sync of a new account: the same load for both."""
    from imports import gateway

    account = _account(sandbox, name)
    gateway.connect(account).authenticate()
    for ours, expected in ((times.first, COUNT), (times.again, 0)):
        times.plain.append(seconds_of(lambda: _fetch(script)))
        ours.append(seconds_of(partial(_sync, account, expected)))


def _account(sandbox: Sandbox, name: str) -> Account:
    """The sandbox's account under another name, as if it were a new one. That of the
    round before is disabled: a business unit is one account.
    """
    from imports.models import Account

    Account.objects.update(is_active=False)
    add_accounts(sandbox, 1)
    account = Account.objects.latest("pk")
    account.name = name
    account.save()
    return account


def _fetch(script: PlainScript) -> None:
    found = len(script.definitions())
    if found != COUNT:
        raise RuntimeError(f"{found} definitions were fetched, not {COUNT}.")


def _sync(account: Account, created: int) -> None:
    from imports.models import new_holder
    from imports.usecases.sync import sync_definitions

    report = sync_definitions(account=account, holder=new_holder())
    if (report.seen, report.created, report.changed) != (COUNT, created, 0):
        raise RuntimeError(f"Not what was to be measured: {report}")
