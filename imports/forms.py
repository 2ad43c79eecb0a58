"""Forms: starting definitions, signing in, the profile; and a field for a day."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, cast
from zoneinfo import available_timezones

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.utils import timezone

from imports.models import User


class StartForm(forms.Form):
    """Start's hidden fields: which press of the button, on which facts."""

    request_token = forms.UUIDField()
    digest = forms.CharField(max_length=64)
    again_of = forms.IntegerField(min_value=1, max_value=2**63 - 1, required=False)


class ChosenField(forms.Field):
    """Definitions as (id, digest): what was chosen, on which facts."""

    widget = forms.MultipleHiddenInput
    default_error_messages = {"invalid": "This is no definition and its digest."}

    def to_python(self, value: Any) -> list[tuple[int, str]]:
        pattern = re.compile(r"(\d{1,18}):([0-9a-f]{64})")
        found = list(filter(None, map(pattern.fullmatch, value or ())))
        if len(found) < len(value or ()):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return [(int(match[1]), match[2]) for match in found]


class StartSeveralForm(forms.Form):
    """The hidden fields of starting several: which press of the button, on what."""

    batch = forms.UUIDField(widget=forms.HiddenInput)
    chosen = ChosenField()


class SignInForm(AuthenticationForm):
    error_messages = {
        "invalid_login": "Incorrect user name or password. Both are case-sensitive.",
        "inactive": "This sign-in is disabled. Ask an administrator.",
    }


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # it takes none
    time_zone = forms.ChoiceField(
        help_text="Dates and “today” follow it, on every device.",
        error_messages={"invalid_choice": "There is no such time zone in the list."},
    )

    class Meta:
        model = User
        fields = ("time_zone", "theme", "shortcuts_on")
        labels: dict[str, Any] = {"shortcuts_on": "Keyboard shortcuts"}
        widgets: dict[str, Any] = {"theme": forms.RadioSelect}
        error_messages: dict[str, Any] = {
            "theme": {"invalid_choice": "There is no such theme."}
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = cast("forms.ChoiceField", self.fields["time_zone"])
        zone.choices = zone_choices(self.instance.time_zone)


def zone_choices(current: str) -> list[tuple[str, Any]]:
    """The world's time zones by region; `current` is among them, whatever it is."""
    regions: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(available_timezones()):
        region, _, place = name.partition("/")
        # places, not the offsets and old names that are kept for machines
        if place and region not in ("Etc", "SystemV", "US", "posix", "right"):
            regions.setdefault(region, []).append((name, place.replace("_", " ")))
    offered = {name for places in regions.values() for name, _ in places}
    first = [name for name in dict.fromkeys(("UTC", current)) if name not in offered]
    return [*((name, name) for name in first), *regions.items()]


_AGO = re.compile(r"(\d{1,4})-days-ago")


class DayField(forms.DateField):
    """A day as 2026-03-12; or "today", "yesterday", "6-days-ago" in the reader's
    zone, so that a saved address keeps meaning what it says.
    """

    def to_python(self, value: Any) -> dt.date | None:
        ago = {"today": "0-days-ago", "yesterday": "1-days-ago"}.get(value, value)
        if isinstance(ago, str) and (found := _AGO.fullmatch(ago)):
            return timezone.localdate() - dt.timedelta(days=int(found[1]))
        return super().to_python(value)
