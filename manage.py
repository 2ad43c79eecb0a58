#!/usr/bin/env python
"""Django's command line for mcdash."""

from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mcdash.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from imports.management.processes import end_with_parent

    end_with_parent()
    try:
        # Django would go on without settings and fail later with a traceback.
        _ = settings.INSTALLED_APPS
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"mcdash cannot start: {error}")


if __name__ == "__main__":
    main()
