"""The WSGI entry point: `mcdash.wsgi:application`."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mcdash.settings")
serve = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return serve(environ, start_response)


# CPython keeps its frames in chunks of 16 KiB. Where a loop's calls begin at the end of
# one, each of them maps a new chunk and gives it back: 2,700 times in one page, a third
# of its time. Whether that happens depends on how deep the middleware is. A frame that
# claims more than 128 KiB gets a chunk of 256 KiB, with room for all the others.
application.__code__ = application.__code__.replace(co_stacksize=16_500)

# after the applications are loaded: they ask the database
from imports.checks import require_preparation  # noqa: E402 - needs the application
from imports.models import STORAGE  # noqa: E402 - as above

require_preparation(of_pages=True)
STORAGE.watch()

# What is loaded by now stays: without this a full collection looks through all of it,
# 50 to 100 ms in the middle of some request.
gc.collect()
gc.freeze()
