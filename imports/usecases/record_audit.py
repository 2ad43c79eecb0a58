"""Keep who did what, for good."""

from __future__ import annotations

from typing import Any

from django.db import models

from imports.models import Account, AuditEntry, User


class AuditAction(models.TextChoices):
    """The deeds that are kept; their names go into the database."""

    ACCOUNT_ADDED = "account_added", "Account added"
    ACCOUNT_CHANGED = "account_changed", "Account changed"
    ACCOUNT_DELETED = "account_deleted", "Account deleted"
    CONNECTION_TESTED = "connection_tested", "Connection tested"
    DEFINITIONS_SYNCED = "definitions_synced", "Definitions synced"
    RUNS_ADOPTED = "runs_adopted", "Runs adopted"
    STARTS_PAUSED = "starts_paused", "Starts paused"
    STARTS_RESUMED = "starts_resumed", "Starts resumed"
    ACCESS_ADDED = "access_added", "Access granted"
    ACCESS_CHANGED = "access_changed", "Access changed"
    ACCESS_DELETED = "access_deleted", "Access taken away"
    USER_ADDED = "user_added", "User added"
    USER_CHANGED = "user_changed", "User changed"
    USER_DELETED = "user_deleted", "User deleted"
    GROUP_ADDED = "group_added", "Group added"
    GROUP_CHANGED = "group_changed", "Group changed"
    GROUP_DELETED = "group_deleted", "Group deleted"


def record_audit(
    *,
    actor: User | str | None,
    action: AuditAction,
    obj: models.Model | None = None,
    account: Account | None = None,
    ip: str | None = None,
    details: dict[str, Any] | None = None,
) -> AuditEntry:
    """Write down one deed of `actor`, a person or the name of a system's login.

    `obj` is what it was done to, `account` the business unit it concerns (the
    account can then no longer be deleted), `ip` the request's address. `details`
    must be fit for JSON and never hold a secret.
    """
    return AuditEntry.objects.create(
        actor=actor if isinstance(actor, User) else None,
        actor_name=actor.shown_name if isinstance(actor, User) else actor or "",
        action=action,
        object_type=obj._meta.model_name or "" if obj else "",
        object_id=str(obj.pk) if obj else "",
        object_label=str(obj) if obj else "",
        account=account,
        ip=ip,
        details=details or {},
    )
