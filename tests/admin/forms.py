"""What a browser would send: the fields of a page's form as they stand."""

from __future__ import annotations

from typing import Any

from django.contrib.messages import get_messages
from django.test import Client


def filled_form(client: Client, url: str, **changes: Any) -> dict[str, Any]:
    """The admin form at `url` with its present values and `changes`."""
    context = client.get(url).context
    fields = _values("", context["adminform"].form)
    for inline in context["inline_admin_formsets"]:
        fields |= _values("", inline.formset.management_form)
        for form in inline.formset.forms:
            fields |= _values(f"{form.prefix}-", form)
    return fields | changes


def _values(prefix: str, form: Any) -> dict[str, Any]:
    values = {f"{prefix}{field.name}": field.value() for field in form}
    if form.prefix and not prefix:
        values = {f"{form.prefix}-{name}": value for name, value in values.items()}
    return {k: v for k, v in values.items() if v is not None and v is not False}


def said(response: Any) -> list[str]:
    """The messages that the page will show."""
    return [str(message) for message in get_messages(response.wsgi_request)]


def run_action(client: Client, name: str, rows: Any) -> list[str]:
    """Choose `rows` in the list of accounts, do the action, give what it said."""
    response = client.post(
        "/admin/imports/account/",
        {"action": name, "_selected_action": [row.pk for row in rows]},
    )
    return said(response)
