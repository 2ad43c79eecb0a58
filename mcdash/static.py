"""Static files with hashed names, at the path under which the site is reached."""

from __future__ import annotations

from django.urls import get_script_prefix
from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFiles(CompressedManifestStaticFilesStorage):
    """Django would fix their address when the process starts, before any request says
    under which path (MCDASH_PATH or WSGI's SCRIPT_NAME) it came.
    """

    @property
    def base_url(self) -> str:
        return f"{get_script_prefix()}static/"
