"""gunicorn's settings: `python -m gunicorn -c python:mcdash.gunicorn mcdash.wsgi`.

Its lines go the way of all others (MCDASH_LOG_FORMAT), the one for each request only
with MCDASH_ACCESS_LOG, and without the query, which holds what people searched for.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from imports.management.processes import end_with_parent
from imports.views.pace import PACE, USUAL_THREADS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mcdash.settings")

try:
    logconfig_dict = settings.LOGGING
except ImproperlyConfigured as error:
    sys.exit(f"mcdash cannot start: {error}")

# What proxies say is read by mcdash, of MCDASH_TRUSTED_PROXIES only: gunicorn would
# believe every process of this machine, and answer 400 where two headers disagree.
secure_scheme_headers: dict[str, str] = {}

# They wait for the database and for each other's drawings, so there are more than
# processors; `--threads` says otherwise.
threads = USUAL_THREADS

access_log_format = '%(h)s "%(m)s %(U)s" %(s)s, %(B)s bytes, %(M)s ms'
# it would lie in the user's home, the same one for two installations
control_socket_disable = True


def post_worker_init(worker: Any) -> None:
    """In each process that serves: polls leave some of its threads to people."""
    PACE.set_threads(worker.cfg.threads)


def on_starting(_server: object) -> None:
    """Before any worker is forked; it ends them all."""
    end_with_parent()
