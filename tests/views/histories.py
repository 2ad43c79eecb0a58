"""Histories for tests, and what the pages show of them."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

from django.utils import timezone

from imports.models import ImportDefinition, ImportRun
from tests.factories import ImportRunFactory

from .reading import content


def ids(page: Any) -> list[int]:
    """The runs on the page, in its order."""
    return [int(pk) for pk in re.findall(r'<tr id="run-(\d+)"', content(page))]


def link(page: Any, rel: str) -> str:
    found = re.search(rf'href="([^"]+)" rel="{rel}"', content(page))
    assert found, f"no link to the {rel} page"
    return html.unescape(found[1])


def some_runs(definition: ImportDefinition, count: int) -> list[ImportRun]:
    """Completed runs, the newest first, two at a time at the same moment."""
    now = timezone.now()
    return [
        ImportRunFactory.create(
            completed=True,
            definition=definition,
            occurred_at=now - timedelta(minutes=number // 2),
        )
        for number in range(count)
    ]
