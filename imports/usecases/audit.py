"""The audit log: who did what to which account, run or person. Nothing removes it."""

from __future__ import annotations

from typing import Any

from django.db import models

from imports.models import Account, AuditEntry, ImportRun, User
from imports.text import visible

LONGEST_LABEL = 300


class AuditAction(models.TextChoices):
    """What is recorded in the audit; the names go into the database."""

    ACCOUNT_ADDED = "account_added", "Account added"
    ACCOUNT_CHANGED = "account_changed", "Account changed"
    ACCOUNT_DELETED = "account_deleted", "Account deleted"
    SIGNED_IN = "signed_in", "Signed in"
    SIGN_IN_FAILED = "sign_in_failed", "Sign-in failed"
    SIGNED_OUT = "signed_out", "Signed out"
    SESSIONS_ENDED = "sessions_ended", "Signed out everywhere"
    PASSWORD_CHANGED = "password_changed", "Password changed"
    RUN_STARTED = "run_started", "Import started"
    RUN_CANCELLED = "run_cancelled", "Start cancelled"
    RUN_CHECKED_AGAIN = "run_checked_again", "Run checked again"
    TASK_CHOSEN = "task_chosen", "Task chosen"
    RUN_DECLARED = "run_declared", "Run declared not started"
    KEYS_ROTATED = "keys_rotated", "Field keys rotated"
    CONNECTION_TESTED = "connection_tested", "Connection tested"
    DEFINITIONS_SYNCED = "definitions_synced", "Definitions synced"
    SYNC_WANTED = "sync_wanted", "Sync asked for"
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
    label: str = "",
    ip: str | None = None,
    details: dict[str, Any] | None = None,
) -> AuditEntry:
    """Write down one deed of `actor`, a person or the name of a system's login.

    `obj` is what it was done to. `account` is the business unit it concerns, by default
    that of `obj`; it can then no longer be deleted. `ip` is the request's address, None
    for commands. `details` must be fit for JSON and never hold a secret. Call it in the
    transaction of the deed.
    """
    # the names are stored too: they must still be readable when the row is gone
    name = actor.shown_name if isinstance(actor, User) else actor or ""
    label = label or (str(obj) if obj else "")
    if isinstance(obj, ImportRun):
        account, label = obj.account, f"{obj}: {obj.shown_name}"
    elif isinstance(obj, Account) and action != AuditAction.ACCOUNT_DELETED:
        account = obj
    return AuditEntry.objects.create(
        actor=actor if isinstance(actor, User) else None,
        actor_name=visible(name),
        action=action,
        object_type=obj._meta.model_name or "" if obj else "",
        object_id=str(obj.pk) if obj else "",
        object_label=visible(label)[:LONGEST_LABEL],
        account=account,
        ip=ip,
        details=details or {},
    )
