"""A person changes their own password."""

from __future__ import annotations

from django.db import transaction

from imports.models import User
from imports.usecases.record_audit import AuditAction, record_audit


def change_password(*, person: User, password: str, ip: str | None) -> None:
    """Give `person` the new `password`, which was validated before."""
    person.set_password(password)
    with transaction.atomic():
        person.save(update_fields=["password"])
        record_audit(
            actor=person, action=AuditAction.PASSWORD_CHANGED, obj=person, ip=ip
        )
