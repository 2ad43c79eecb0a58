"""Fill an empty database, in a process of its own with the site's settings:

`python -m tests.disks.prepare SANDBOX_URL USER_NAME`, the password on stdin.
"""

from __future__ import annotations

import sys

import django
from django.core.management import call_command

from imports.sandbox.nordlicht import DE


def main(sandbox_url: str, name: str, password: str) -> None:
    """Tables, an account with its definitions and its history, somebody who can start
    there.
    """
    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    call_command(
        *("add_account", DE.name, "--mid", str(DE.mid)),
        *("--client-id", DE.client_id, "--auth-url", sandbox_url),
        *("--soap-url", f"{sandbox_url}/Service.asmx"),
    )
    call_command("sync_definitions")
    call_command("adopt_runs")
    add_person(name, password)


def add_person(name: str, password: str) -> None:
    from django.contrib.auth.models import Group

    from imports.models import AccessLevel, Account, AccountAccess, User

    group = Group.objects.create(name="Marketing")
    AccountAccess.objects.create(
        account=Account.objects.get(), group=group, level=AccessLevel.START
    )
    User.objects.create_user(username=name, password=password).groups.add(group)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.stdin.read())
