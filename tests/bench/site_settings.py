"""The site's settings, with the baselines' pages beside its own."""

from __future__ import annotations

from mcdash.settings import *  # noqa: F403 - all settings but those below

ROOT_URLCONF = "tests.bench.site_urls"
