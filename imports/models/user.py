"""People who sign in."""

from __future__ import annotations

from zoneinfo import available_timezones

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models


def validate_time_zone(value: str) -> None:
    if value not in available_timezones():
        raise ValidationError(f"“{value}” is not a time zone of the IANA database.")


class Theme(models.TextChoices):
    SYSTEM = "system", "As the system"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class User(AbstractUser):
    """A person, with how they like to read: zone, theme, single-key shortcuts."""

    time_zone = models.CharField(
        max_length=64, default="UTC", validators=[validate_time_zone]
    )
    theme = models.CharField(max_length=6, choices=Theme, default=Theme.SYSTEM)
    shortcuts_on = models.BooleanField(
        default=True, help_text="Single keys such as / and j work (WCAG 2.1.4)."
    )

    @property
    def shown_name(self) -> str:
        return self.get_full_name() or self.get_username()
