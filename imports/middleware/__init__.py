"""What is done around every request: `request` for what any answer needs, `proxy` for
who asks and how they came here, `session` for how long they are signed in.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin


class Middleware(MiddlewareMixin):
    """Django's, for what runs in one thread from a request to its answer."""

    async_capable = False
    get_response: Callable[[HttpRequest], HttpResponse]
