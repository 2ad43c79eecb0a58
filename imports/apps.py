"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth.signals import (
    user_logged_in,
    user_logged_out,
    user_login_failed,
)


class ImportsConfig(AppConfig):
    name = "imports"
    verbose_name = "Imports"

    def ready(self) -> None:
        from imports import checks  # noqa: F401
        from imports.middleware import begin_session
        from imports.signin import note_failure, note_sign_in, note_sign_out

        user_logged_in.connect(begin_session)
        user_logged_in.connect(note_sign_in)
        user_login_failed.connect(note_failure)
        user_logged_out.connect(note_sign_out)
