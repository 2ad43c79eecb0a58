"""2,500 definitions fetched, parsed and stored, beside fetching and parsing alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.figures import Figure, milliseconds, seconds_of
from tests.benchmarks.here import crowded_sandbox
from tests.benchmarks.plain import PlainScript

if TYPE_CHECKING:
    from imports.models import Account

COUNT = 2500
ROUNDS, QUICK_ROUNDS = 11, 3
BASELINE = "requests + lxml fetching and parsing the same pages"


@dataclass(kw_only=True)
class Times:
    """Seconds, one for each round."""

    plain: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)


def figures(_folder: Path, *, quick: bool) -> list[Figure]:
    """Medians over alternating rounds, each with an account of its own."""
    with crowded_sandbox(COUNT) as url:
        return as_figures(_times(url, QUICK_ROUNDS if quick else ROUNDS))


def as_figures(times: Times) -> list[Figure]:
    """The medians, and each of ours as a ratio to the plain script's."""
    return [
        _ratio("sync_2500_first_ratio_to_lxml", times.first, times.plain),
        _ratio("sync_2500_again_ratio_to_lxml", times.again, times.plain),
        milliseconds("sync_2500_first_ms", median(times.first)),
        milliseconds("sync_2500_again_ms", median(times.again)),
        milliseconds("sync_2500_lxml_ms", median(times.plain)),
    ]


def _ratio(name: str, ours: Sequence[float], plain: Sequence[float]) -> Figure:
    value = round(median(ours) / median(plain), 2)
    return Figure(name=name, value=value, unit="ratio", baseline=BASELINE)


def _times(url: str, rounds: int) -> Times:
    script, times = PlainScript(url), Times()
    _round(url, script, Times(), "to warm up")
    for number in range(rounds):
        _round(url, script, times, str(number))
    return times


def _round(url: str, script: PlainScript, times: Times, name: str) -> None:
    """A plain fetch before each sync of a new account: the same load for both."""
    from imports import connection

    account = _account(url, name)
    connection.connect(account).authenticate()
    for ours, expected in ((times.first, COUNT), (times.again, 0)):
        times.plain.append(seconds_of(lambda: _fetch(script)))
        ours.append(seconds_of(partial(_sync, account, expected)))


def _account(url: str, name: str) -> Account:
    from imports.models import Account
    from imports.sandbox.nordlicht import DE

    return Account.objects.create(
        name=f"Nordlicht {name}",
        mid=str(DE.mid),
        client_id=DE.client_id,
        secret=DE.client_secret,
        auth_url=url,
        soap_url=f"{url}/Service.asmx",
    )


def _fetch(script: PlainScript) -> None:
    found = len(script.definitions())
    if found != COUNT:
        raise RuntimeError(f"{found} definitions were fetched, not {COUNT}.")


def _sync(account: Account, created: int) -> None:
    from imports.models import new_holder
    from imports.usecases.sync_definitions import sync_definitions

    report = sync_definitions(account=account, holder=new_holder())
    if (report.seen, report.created, report.changed) != (COUNT, created, 0):
        raise RuntimeError(f"Not what was to be measured: {report}")
