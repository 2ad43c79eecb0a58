"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class ImportsConfig(AppConfig):
    name = "imports"
    verbose_name = "Imports"

    def ready(self) -> None:
        from imports.middleware import begin_session

        user_logged_in.connect(begin_session)
        # they connect what they have
        from imports import checks, signin  # noqa: F401 - they register themselves
