"""The ASGI entry point: `mcdash.asgi:application`."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mcdash.settings")
application = get_asgi_application()

from imports.models import STORAGE  # noqa: E402  needs the application

STORAGE.watch()
