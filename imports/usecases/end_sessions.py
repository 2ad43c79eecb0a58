"""Sign a person out everywhere."""

from __future__ import annotations

from django.db import transaction

from imports.models import User
from imports.usecases.record_audit import AuditAction, record_audit


def end_sessions(*, person: User, by: User, ip: str | None) -> None:
    """End every session of `person`; `by` is they themselves or an administrator."""
    with transaction.atomic():
        person.end_sessions()
        record_audit(actor=by, action=AuditAction.SESSIONS_ENDED, obj=person, ip=ip)
