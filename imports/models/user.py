"""People who sign in, and the audit of who did what."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models

from imports.text import first_with_ink, validate_ink


def validate_time_zone(value: str) -> None:
    if value not in available_timezones():
        raise ValidationError(f"“{value}” is not a time zone of the IANA database.")


class Theme(models.TextChoices):
    SYSTEM = "system", "As the system"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


@dataclass(frozen=True, slots=True)
class Audience:
    """All who see the same: the ids of the accounts whose runs they can see, and of
    those in which they can start imports, both in ascending order.
    """

    visible: tuple[int, ...] = ()
    startable: tuple[int, ...] = ()


class User(AbstractUser):
    time_zone = models.CharField(
        max_length=64, default="UTC", validators=[validate_time_zone]
    )
    theme = models.CharField(max_length=6, choices=Theme, default=Theme.SYSTEM)
    shortcuts_on = models.BooleanField(
        default=True, help_text="Single keys such as / and j work (WCAG 2.1.4)."
    )
    # Part of what a session must match, changed to end all of them. A database default,
    # for processes of the release before, which do not know the column.
    session_salt = models.CharField(
        max_length=32, default="", db_default="", blank=True, editable=False
    )

    # What `audience_of` has read for this person as loaded now.
    audience: Audience | None = None

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        self.audience = None
        super().refresh_from_db(*args, **kwargs)

    @property
    def shown_name(self) -> str:
        known = (self.get_full_name(), self.get_username())
        return first_with_ink(*known, otherwise=f"Person {self.pk}")

    def clean(self) -> None:
        super().clean()
        typed = ("username", "first_name", "last_name")
        validate_ink(**{name: getattr(self, name) for name in typed})

    def get_session_auth_hash(self) -> str:
        return f"{super().get_session_auth_hash()}{self.session_salt}"

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        for former in super().get_session_auth_fallback_hash():
            yield f"{former}{self.session_salt}"

    def end_sessions(self) -> None:
        self.session_salt = secrets.token_hex(16)
        self.save(update_fields=["session_salt"])


class AuditEntry(models.Model):
    """One deed of a person or a command, kept for good: never edited, never deleted."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(User, models.SET_NULL, null=True, blank=True)
    actor_name = models.TextField(blank=True)
    action = models.CharField(max_length=40)
    object_type = models.CharField(max_length=40, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_label = models.TextField(blank=True)
    account = models.ForeignKey("Account", models.PROTECT, null=True, blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("-at", "-id")
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.action} by {self.actor_name or 'nobody'}"
