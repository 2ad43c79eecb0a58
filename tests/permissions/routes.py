"""Every address of the site, as Django's resolver knows it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from django.urls import URLResolver, get_resolver

ADMIN = "admin/"


def all_routes() -> list[str]:
    """The patterns in their order, such as `runs/<id:pk>/cancel/`."""
    return list(_walk(get_resolver().url_patterns, ""))


def _walk(patterns: Iterable[Any], prefix: str) -> Iterator[str]:
    for one in patterns:
        text = f"{prefix}{one.pattern}"
        if isinstance(one, URLResolver):
            yield from _walk(one.url_patterns, text)
        else:
            yield text


def own_routes() -> set[str]:
    return {route for route in all_routes() if not route.startswith(ADMIN)}


def admin_routes() -> set[str]:
    """The admin's; it names the apps in any order, here they are `<app>`."""
    routes = {route for route in all_routes() if route.startswith(ADMIN)}
    return {re.sub(r"\^\(\?P<app_label>[^)]*\)/\$", "<app>/", one) for one in routes}
