"""An administrator at the admin's pages."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from imports.models import AuditEntry, User
from tests.factories import UserFactory

Staff = Callable[..., Client]


@pytest.fixture
def root(db: None) -> User:
    return UserFactory.create(
        username="root", first_name="Ruth", is_staff=True, is_superuser=True
    )


@pytest.fixture
def admin(root: User) -> Client:
    """The browser of a superuser."""
    return signed_in(root)


@pytest.fixture
def staff(db: None) -> Staff:
    """The browser of a staff member with just the permissions named."""

    def sign_in(*codenames: str) -> Client:
        person = UserFactory.create(is_staff=True)
        found = Permission.objects.filter(codename__in=codenames)
        assert len(found) == len(codenames)
        person.user_permissions.set(found)
        return signed_in(person)

    return sign_in


def signed_in(person: User) -> Client:
    """The browser of `person`, whose sign-in is not in the audit: tests of it count
    what follows.
    """
    client = Client()
    client.force_login(person)
    AuditEntry.objects.all().delete()
    return client
