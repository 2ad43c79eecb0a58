"""gunicorn's settings for the browser tests: a traceback of ours is never lost."""

from __future__ import annotations

import logging


def post_worker_init(worker: object) -> None:
    """Django has set up its logging by now; add a way out for errors."""
    logging.getLogger("django.request").addHandler(logging.StreamHandler())
