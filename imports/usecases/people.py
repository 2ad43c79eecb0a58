"""What changes how a person signs in: their password, and ending their sessions."""

from __future__ import annotations

from django.db import transaction

from imports.models import User
from imports.usecases.audit import AuditAction, record_audit


def change_password(*, person: User, password: str, ip: str | None) -> None:
    """Give `person` the new `password`, which was validated before."""
    person.set_password(password)
    with transaction.atomic():
        person.save(update_fields=["password"])
        record_audit(
            actor=person, action=AuditAction.PASSWORD_CHANGED, obj=person, ip=ip
        )


def end_sessions(*, person: User, by: User, ip: str | None) -> None:
    """End every session of `person`; `by` is they themselves or an administrator."""
    with transaction.atomic():
        person.end_sessions()
        record_audit(actor=by, action=AuditAction.SESSIONS_ENDED, obj=person, ip=ip)
