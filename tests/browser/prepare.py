"""Fill an empty data folder for the browser tests, in a process of its own:

`python -m tests.browser.prepare SANDBOX_URL KEY_TO_START`, with the people's passwords
by user name as JSON on stdin, and the site's settings in the environment.
"""

from __future__ import annotations

import json
import sys
from urllib.parse import urlsplit

import django


def main(sandbox_url: str, key_to_start: str) -> None:
    django.setup()
    from django.core.management import call_command

    from imports.management.commands.add_sandbox_accounts import ensure_sandbox_accounts

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    names = ensure_sandbox_accounts(urlsplit(sandbox_url).port or 0)
    call_command("sync_definitions", *names)
    call_command("adopt_runs", *names)
    end_what_the_schedule_has_under_way()
    call_command("start_import", names[0], key_to_start)
    add_people(json.load(sys.stdin))


def end_what_the_schedule_has_under_way() -> None:
    """Nothing may end by itself while tests count what runs and what has ended."""
    from imports.models import ImportRun, RunStatus

    ImportRun.objects.active().update(status=RunStatus.COMPLETED, next_check_at=None)


def add_people(passwords: dict[str, str]) -> None:
    """The marketer and the administrator may start, the viewer may look at DE."""
    from django.contrib.auth.models import Group

    from imports.models import AccessLevel, Account, AccountAccess, User
    from tests.browser.people import ADMINISTRATOR, FULL_NAMES, NEWCOMER, VIEWER

    starters = Group.objects.create(name="Marketing")
    readers = Group.objects.create(name="Readers")
    for account in Account.objects.all():
        AccountAccess.objects.create(
            account=account, group=starters, level=AccessLevel.START
        )
    german = Account.objects.get(name="Nordlicht DE")
    AccountAccess.objects.create(account=german, group=readers, level=AccessLevel.VIEW)
    for name, password in passwords.items():
        first, last = FULL_NAMES[name]
        person = User.objects.create_user(
            username=name, password=password, first_name=first, last_name=last
        )
        person.is_staff = person.is_superuser = name == ADMINISTRATOR
        person.save(update_fields=["is_staff", "is_superuser"])
        if name != NEWCOMER:
            person.groups.add(readers if name == VIEWER else starters)


if __name__ == "__main__":
    main(*sys.argv[1:])
