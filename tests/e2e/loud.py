"""The site's settings with every logger at DEBUG, those of other packages too.

All but zeep's, which prints whole envelopes there: the settings cap it, and this
keeps the cap.
"""

from __future__ import annotations

from mcdash.settings import *  # noqa: F403 - all settings but those below
from mcdash.settings import LOGGING

LOGGING["root"] = {"handlers": list(LOGGING["handlers"]), "level": "DEBUG"}
for name, logger in LOGGING["loggers"].items():
    if not name.startswith("zeep"):
        logger["level"] = "DEBUG"
