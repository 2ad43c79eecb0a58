"""System checks: settings that are each right but dangerous together; what must have
been done before a process can serve; what is wrong in the database.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

log = logging.getLogger(__name__)


def require_preparation(*, of_pages: bool) -> None:
    """Refuse to start on tables or static files of another version, and on dangerous
    settings: gunicorn runs no checks. Raises `ImproperlyConfigured`.

    Tables are no check of Django's registry, since `migrate` itself would fail on it. A
    database that does not answer now is no reason to stop: it may answer later.
    """
    for found in check_settings():
        if found.is_serious() and not found.is_silenced():
            raise ImproperlyConfigured(f"{found.msg} {found.hint}")
    asked = connection.copy()
    if asked.vendor == "postgresql":
        # the pool would wait 30 s for a database that is away, gunicorn no longer
        asked.settings_dict["OPTIONS"] |= {"pool": False, "connect_timeout": 5}
    try:
        executor = MigrationExecutor(asked)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except OperationalError as error:
        log.warning("Starting although the database does not answer: %s", error)
        plan = []
    finally:
        asked.close()
    if plan:
        raise ImproperlyConfigured(
            f"The database is older than this program: {plan[0][0]} is its next "
            "migration. Run: manage.py migrate"
        )
    if of_pages and not settings.DEBUG and (missing := _uncollected()):
        raise ImproperlyConfigured(
            f"{len(missing)} static files were not collected, such as {missing[0]}. "
            "Run: manage.py collectstatic --no-input"
        )


def _uncollected() -> list[str]:
    """Static files that pages may name and the manifest does not know."""
    storage: object = staticfiles_storage
    if not isinstance(storage, ManifestFilesMixin):
        return []
    files = (path for finder in get_finders() for path, _ in finder.list([]))
    return [path for path in files if path not in storage.hashed_files]


@register(Tags.database)
def check_units(
    databases: Collection[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """What is in the database: business units that are two accounts."""
    from imports.models import Account  # models are not there yet when this is read

    if "default" not in (databases or ()):
        return []  # not asked for
    if Account._meta.db_table not in connection.introspection.table_names():
        return []  # before the first migration
    taken: dict[str, list[str]] = {}
    active = Account.objects.filter(is_active=True).exclude(unit=None)
    for unit, name in active.order_by("name").values_list("unit", "name"):
        taken.setdefault(str(unit), []).append(name)
    return [
        Caution(
            f"{len(names)} accounts are the same business unit ({unit}): "
            f"{', '.join(names)}. Nothing is started in any of them.",
            hint="Disable all but one of them (“is active”) in the administration.",
            id="mcdash.W201",
        )
        for unit, names in sorted(taken.items())
        if len(names) > 1
    ]


@register(Tags.security, deploy=True)
def check_deployment(**_: Any) -> list[CheckMessage]:
    """What is asked of an installation that others reach: `check --deploy`."""
    if settings.MCDASH_ALLOW_LOOPBACK:
        text = "MCDASH_ALLOW_LOOPBACK is on: pages and cookies go over plain http."
        hint = "Leave it off wherever others can reach the server."
        return [Caution(text, hint=hint, id="mcdash.W101")]
    if settings.MCDASH_TRUSTED_PROXIES:
        return []
    text = (
        "MCDASH_TRUSTED_PROXIES is empty: behind a proxy everybody has the proxy's "
        "address, and one who guesses passwords locks all out."
    )
    hint = "Name the proxy. Without one, gunicorn must speak https itself."
    return [Caution(text, hint=hint, id="mcdash.W102")]


@register(Tags.security)
def check_settings(**_: Any) -> list[CheckMessage]:
    """What no installation may have, however it is run."""
    return list(dangerous_settings())


def dangerous_settings() -> Iterator[CheckMessage]:
    """Settings that would give away passwords, sessions or tracebacks."""
    local = {*settings.LOOPBACK_HOSTS, ".localhost"}
    foreign = sorted(set(settings.ALLOWED_HOSTS) - local)
    if settings.MCDASH_ALLOW_LOOPBACK and foreign:
        yield Error(
            f"MCDASH_ALLOW_LOOPBACK is on and MCDASH_HOSTS has {foreign[0]!r}: "
            "passwords and sessions would go there over plain http.",
            hint="Leave MCDASH_ALLOW_LOOPBACK off, or MCDASH_HOSTS empty.",
            id="mcdash.E001",
        )
    if settings.DEBUG and not settings.MCDASH_ALLOW_LOOPBACK:
        yield Error(
            "MCDASH_DEBUG is on without MCDASH_ALLOW_LOOPBACK: tracebacks would be "
            "shown to whoever makes an error happen.",
            hint="Leave MCDASH_DEBUG off; errors are in the log.",
            id="mcdash.E002",
        )
    if settings.SECURE_HSTS_SECONDS and settings.MCDASH_ALLOW_LOOPBACK:
        yield Caution(
            "MCDASH_HSTS_SECONDS is set while MCDASH_ALLOW_LOOPBACK allows plain http.",
            hint="A browser that was told so once refuses http for all that time.",
            id="mcdash.W003",
        )
    for text in settings.MCDASH_TRUSTED_PROXIES:
        if text.endswith("/0"):
            yield Error(
                f"MCDASH_TRUSTED_PROXIES has {text!r}: everybody could claim any "
                "address, and keep guessing passwords under another one.",
                hint="Name the addresses of your own proxies only.",
                id="mcdash.E004",
            )
    for pattern in settings.MCDASH_ENDPOINT_HOSTS:
        if len([part for part in pattern.split(".") if part.strip("*?")]) < 2:
            yield Error(
                f"MCDASH_ENDPOINT_HOSTS has {pattern!r}: credentials of accounts "
                "could be sent almost anywhere.",
                hint="Name a domain, as in *.marketingcloudapis.com.",
                id="mcdash.E006",
            )
