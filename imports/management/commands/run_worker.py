"""`manage.py run_worker`: the worker, on a database that was migrated."""

from __future__ import annotations

import signal
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from imports.checks import require_preparation
from imports.worker import Loop


class Command(BaseCommand):
    help = (
        "Run the worker: starts imports, follows them, reads definitions. TERM or "
        "Ctrl-C ends it once the starts on the wire are answered; a second Ctrl-C "
        "at once."
    )
    # They load every page. What a worker must not begin without is looked at below.
    requires_system_checks = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        try:
            require_preparation(of_pages=False)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        loop = Loop()

        def stop(*_: object) -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            loop.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        loop.run()
