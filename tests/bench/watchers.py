"""Who watches and who starts in load tests: their sessions' cookies."""

from __future__ import annotations

from collections.abc import Iterable

from tests.bench.web import session_of

STARTER = "starter"


def add_watchers(count: int, sets: int, busy: Iterable[int]) -> list[str]:
    """`count` people, each with a session, in `sets` groups that see different
    accounts: everybody those that are `busy`, and the others but for one. People who
    are there already get no further session.
    """
    from django.db import transaction

    with transaction.atomic():
        accounts = _accounts_of_sets(sets, set(busy))
        return [
            _session(f"watcher-{n % sets}-{n // sets}", f"set-{n % sets}", accounts)
            for n in range(count)
        ]


_SESSIONS: dict[str, str] = {}


def _accounts_of_sets(sets: int, busy: set[int]) -> dict[str, list[int]]:
    """By the group's name."""
    from imports.models import Account

    pks = list(Account.objects.order_by("pk").values_list("pk", flat=True))
    others = [pk for pk in pks if pk not in busy]
    if sets > len(others) + 1:
        raise ValueError(f"{sets} sets need {sets - 1} accounts beside the busy ones.")
    hidden = [0, *others]
    return {
        f"set-{number}": [pk for pk in pks if pk != hidden[number]]
        for number in range(sets)
    }


def _session(username: str, group: str, accounts: dict[str, list[int]]) -> str:
    from imports.models import AccessLevel

    if username not in _SESSIONS:
        add_person(username, group, accounts[group], AccessLevel.VIEW)
        _SESSIONS[username] = session_of(username)
    return _SESSIONS[username]


def add_starter(accounts: Iterable[int]) -> str:
    """A person who may start everything in these accounts."""
    from imports.models import AccessLevel

    add_person(STARTER, "starters", accounts, AccessLevel.START)
    return session_of(STARTER)


def add_person(
    username: str, group_name: str, accounts: Iterable[int], level: str
) -> None:
    """In the group, which has this level of access to these accounts."""
    from django.contrib.auth.models import Group

    from imports.models import AccountAccess, User

    group, is_new = Group.objects.get_or_create(name=group_name)
    User.objects.create_user(username=username).groups.add(group)
    if is_new:
        for pk in accounts:
            AccountAccess.objects.create(account_id=pk, group=group, level=level)
