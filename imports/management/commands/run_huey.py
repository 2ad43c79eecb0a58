"""The worker: Huey's own command, on a database that was migrated."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from huey.contrib.djhuey.management.commands import run_huey

from imports.checks import require_preparation


class Command(run_huey.Command):
    help = "Run the worker: starts imports, follows them, reads definitions"

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            require_preparation(of_pages=False)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        super().handle(*args, **options)  # type: ignore[no-untyped-call]  # Huey's
