"""What people send."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from django import forms

from imports.models import ImportDefinition, User


class StartForm(forms.Form):
    """Start's hidden fields: which press of the button, on which facts."""

    request_token = forms.UUIDField(widget=forms.HiddenInput)
    digest = forms.CharField(max_length=64, widget=forms.HiddenInput)
    again_of = forms.IntegerField(
        min_value=1, max_value=2**63 - 1, required=False, widget=forms.HiddenInput
    )

    @classmethod
    def fresh(cls, definition: ImportDefinition, again_of: int | None) -> StartForm:
        """The form of a dialog that is opened now."""
        return cls(
            initial={
                "request_token": uuid.uuid4(),
                "digest": definition.digest,
                "again_of": again_of,
            }
        )


if TYPE_CHECKING:
    UserModelForm = forms.ModelForm[User]
else:
    UserModelForm = forms.ModelForm


class ProfileForm(UserModelForm):
    """How a person likes to read."""

    time_zone = forms.ChoiceField(
        choices=lambda: [(zone, zone.replace("_", " ")) for zone in _zones()]
    )

    class Meta:
        model = User
        fields = ("time_zone", "theme", "shortcuts_on")
        labels: dict[str, Any] = {"shortcuts_on": "Single-key shortcuts"}


def _zones() -> list[str]:
    return sorted(
        zone for zone in available_timezones() if "/" in zone or zone == "UTC"
    )
