"""What a person may not see does not exist."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser

from imports.models import AccessLevel, Account, ImportDefinition, ImportRun, User
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    grant,
)
from tests.views.reading import client_of

pytestmark = pytest.mark.django_db

VIEW, START = AccessLevel.VIEW, AccessLevel.START


def rights(user: User | AnonymousUser) -> tuple[set[str], set[str]]:
    """The names of the accounts that `user` may see, and may start in."""
    seen, started = (
        set(rows.values_list("name", flat=True))
        for rows in (
            Account.objects.visible_to(user),
            Account.objects.startable_by(user),
        )
    )
    return seen, started


def test_a_person_sees_the_accounts_of_their_groups_alone() -> None:
    user = UserFactory.create()
    AccountFactory.create(name="Other")
    grant(user, AccountFactory.create(name="Seen"), VIEW)
    grant(user, AccountFactory.create(name="Started"), START)
    assert rights(user) == ({"Seen", "Started"}, {"Started"})


@pytest.mark.parametrize("order", [(VIEW, START), (START, VIEW)])
def test_a_person_has_the_highest_right_of_their_groups(
    order: tuple[AccessLevel, AccessLevel],
) -> None:
    user, account = UserFactory.create(), AccountFactory.create(name="DE")
    for level in order:
        grant(user, account, level)
    assert rights(user) == ({"DE"}, {"DE"})
    assert Account.objects.visible_to(user).count() == 1


def test_the_highest_right_counts_for_that_account_only() -> None:
    user = UserFactory.create()
    group = grant(user, AccountFactory.create(name="DE"), START)
    grant(user, AccountFactory.create(name="SE"), VIEW)
    assert group.user_set.get() == user
    assert rights(user) == ({"DE", "SE"}, {"DE"})


def test_staff_see_no_account_without_a_group_that_does() -> None:
    AccountFactory.create()
    assert rights(UserFactory.create(is_staff=True)) == (set(), set())


def test_a_superuser_sees_all_accounts_and_starts_in_those_that_are_active() -> None:
    AccountFactory.create(name="DE")
    AccountFactory.create(name="SE", is_active=False)
    assert rights(UserFactory.create(is_superuser=True)) == ({"DE", "SE"}, {"DE"})


def test_a_disabled_superuser_sees_nothing_even_where_it_was_disabled_meanwhile() -> (
    None
):
    AccountFactory.create()
    assert rights(UserFactory.create(is_superuser=True, is_active=False)) == (
        set(),
        set(),
    )
    reader = UserFactory.create(is_superuser=True)
    accounts = Account.objects.still_visible_to(reader)
    assert accounts.count() == 1
    User.objects.filter(pk=reader.pk).update(is_active=False)
    assert accounts.count() == 0


def test_a_superuser_loses_every_right_with_the_power_within_each_query() -> None:
    run = ImportRunFactory.create()
    reader = UserFactory.create(is_superuser=True)
    runs = ImportRun.objects.still_visible_to(reader)
    assert list(runs.all()) == [run]
    User.objects.filter(pk=reader.pk).update(is_superuser=False)
    assert list(runs.all()) == []


def test_a_person_switched_off_sees_nothing() -> None:
    user = UserFactory.create()
    grant(user, AccountFactory.create(), START)
    user.is_active = False
    assert rights(user) == (set(), set())


def test_a_stranger_sees_nothing() -> None:
    AccountFactory.create()
    assert rights(AnonymousUser()) == (set(), set())


def test_an_account_switched_off_is_seen_but_nothing_starts_in_it() -> None:
    user = UserFactory.create()
    grant(user, AccountFactory.create(name="DE", is_active=False), START)
    assert rights(user) == ({"DE"}, set())


def test_definitions_and_runs_follow_their_account() -> None:
    user = UserFactory.create()
    seen, started, other = (ImportDefinitionFactory.create() for _ in range(3))
    grant(user, seen.account, VIEW)
    grant(user, started.account, START)
    runs = [ImportRunFactory.create(definition=d) for d in (seen, started, other)]
    assert set(ImportDefinition.objects.visible_to(user)) == {seen, started}
    assert set(ImportRun.objects.visible_to(user)) == set(runs[:2])


def test_accounts_that_may_be_asked_are_active_and_not_refused() -> None:
    good = AccountFactory.create()
    AccountFactory.create(is_active=False)
    AccountFactory.create(credentials_refused_at="2026-03-18T12:00:00Z")
    assert list(Account.objects.reachable()) == [good]


def test_what_may_be_seen_is_read_once_for_a_person_as_loaded(
    django_assert_num_queries: Any,
) -> None:
    user = UserFactory.create()
    grant(user, AccountFactory.create(name="Seen"), VIEW)
    assert rights(user)[0] == {"Seen"}
    group = grant(user, AccountFactory.create(name="Later"), VIEW)
    with django_assert_num_queries(1):
        assert list(ImportRun.objects.visible_to(user)) == []
    assert rights(user)[0] == {"Seen"}
    assert rights(User.objects.get(pk=user.pk))[0] == {"Seen", "Later"}
    user.refresh_from_db()
    assert rights(user)[0] == {"Seen", "Later"}
    group.user_set.clear()
    assert set(Account.objects.still_visible_to(user)) == set(
        Account.objects.filter(name="Seen")
    )


def test_what_is_judged_within_the_query_ends_with_the_right() -> None:
    user = UserFactory.create()
    definition = ImportDefinitionFactory.create()
    run = ImportRunFactory.create(definition=definition)
    group = grant(user, definition.account, VIEW)
    runs = ImportRun.objects.still_visible_to(user)
    definitions = ImportDefinition.objects.still_visible_to(user)
    assert (list(runs.all()), list(definitions.all())) == ([run], [definition])
    group.user_set.clear()
    assert (list(runs.all()), list(definitions.all())) == ([], [])


@pytest.mark.slow
def test_two_thousand_accounts_are_no_more_than_a_query_can_name() -> None:
    secret = AccountFactory.create().secret
    Account.objects.bulk_create(
        Account(name=f"Unit {number}", secret=secret) for number in range(2_000)
    )
    boss = UserFactory.create(is_superuser=True)
    client = client_of(boss)
    for path in ("/", "/definitions/", "/runs/?q=a", "/accounts/"):
        assert client.get(path).status_code == 200
