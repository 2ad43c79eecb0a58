"""A worker of a fleet: one that may die, with a wrong clock, or of a later release.

    python -m tests.engines.worker [--ahead=SECONDS] [--newer] [--deaf]
        [POINT NTH [SECONDS]]

POINT is one of `tests.at_most_once.doomed_worker`.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta

import time_machine
from django.core.management import call_command

from tests.at_most_once.doomed_worker import doom, hasten

# What a later release's migration may do while this one's workers still run.
NEXT_MIGRATION = """
    ALTER TABLE imports_importrun ADD COLUMN verdict text NULL;
    ALTER TABLE imports_account ADD COLUMN quiet_hours integer NOT NULL DEFAULT 0;
    CREATE TABLE imports_verdict (id bigserial PRIMARY KEY, words text NOT NULL)
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ahead", type=int, default=0)
    parser.add_argument("--newer", action="store_true")
    parser.add_argument("--deaf", action="store_true")
    parser.add_argument("doom", nargs="*")
    options = parser.parse_args()
    if options.ahead:
        wrong = datetime.now(UTC) + timedelta(seconds=options.ahead)
        time_machine.travel(wrong, tick=True).start()
    be_one(newer=options.newer, deaf=options.deaf, doomed_to=options.doom)


def be_one(*, newer: bool, deaf: bool, doomed_to: list[str]) -> None:
    import django

    django.setup()
    hasten()
    if newer:
        know_more()
    if deaf:
        hear_nothing()
    if doomed_to:
        point, nth, *seconds = doomed_to
        doom(point, int(nth), float(seconds[0]) if seconds else 0)
    call_command("run_worker")


def hear_nothing() -> None:
    """Of starts, once the connection broke on which the worker listened."""
    from imports.models import database

    database.RECONNECT_AFTER_SECONDS = 3600


def know_more() -> None:
    """The models after `NEXT_MIGRATION`."""
    from django.db import models

    from imports.models import Account, ImportRun

    ImportRun.add_to_class("verdict", models.TextField(null=True))
    Account.add_to_class("quiet_hours", models.IntegerField(db_default=0))


if __name__ == "__main__":
    main()
