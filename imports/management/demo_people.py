"""The people of the demo: a marketer and an administrator."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from django.contrib.auth.models import Group

from imports.models import AccessLevel, AccountAccess, User

from .sandbox_accounts import sandbox_accounts

GROUP = "Demo marketers"
MARKETER, ADMINISTRATOR = "marketer", "admin"


def ensure_demo_people(passwords_file: Path) -> dict[str, str]:
    """Both can sign in with the passwords returned, by user name.

    Passwords are made once and kept in `passwords_file`, readable by its owner only.
    """
    passwords = _kept_passwords(passwords_file)
    group = _starters()
    for name, password in passwords.items():
        _ensure_user(name, password).groups.add(group)
    return passwords


def _kept_passwords(path: Path) -> dict[str, str]:
    if path.exists():
        kept: dict[str, str] = json.loads(path.read_text())
        return kept
    made = {name: secrets.token_urlsafe(9) for name in (MARKETER, ADMINISTRATOR)}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(made, file)
    return made


def _starters() -> Group:
    """The group that may start in every account of the sandbox."""
    group, _ = Group.objects.get_or_create(name=GROUP)
    for account in sandbox_accounts():
        AccountAccess.objects.get_or_create(
            account=account, group=group, defaults={"level": AccessLevel.START}
        )
    return group


def _ensure_user(name: str, password: str) -> User:
    administrates = name == ADMINISTRATOR
    user, _ = User.objects.get_or_create(
        username=name,
        defaults={"is_staff": administrates, "is_superuser": administrates},
    )
    if not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    return user
