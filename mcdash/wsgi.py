"""The WSGI entry point: `mcdash.wsgi:application`."""

from __future__ import annotations

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mcdash.settings")
application = get_wsgi_application()

# after the applications are loaded: they ask the database
from imports.checks import require_preparation  # noqa: E402
from imports.models import STORAGE  # noqa: E402

require_preparation(of_pages=True)
STORAGE.watch()

# What is loaded by now stays: without this a full collection looks through all of it,
# 50 to 100 ms in the middle of some request.
gc.collect()
gc.freeze()
