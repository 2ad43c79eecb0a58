"""The site's settings for tests: throw-away keys, loopback allowed, plain static files.

The environment is set before `mcdash.settings` reads it; pytest-django imports this
before any conftest.py.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet

os.environ.setdefault("MCDASH_SECRET_KEY", "only-for-tests-" + "x" * 50)
os.environ.setdefault("MCDASH_FIELD_KEYS", Fernet.generate_key().decode())
os.environ.setdefault("MCDASH_ALLOW_LOOPBACK", "1")

# pytest's first process makes the folder; xdist's workers inherit the variable and have
# a folder of their own in it, so that they share no database.
MADE_DATA_DIR = "PYTEST_XDIST_WORKER" not in os.environ
if MADE_DATA_DIR:
    os.environ["MCDASH_DATA_DIR"] = tempfile.mkdtemp(prefix="mcdash-tests-")
else:
    own = Path(os.environ["MCDASH_DATA_DIR"]) / os.environ["PYTEST_XDIST_WORKER"]
    own.mkdir(exist_ok=True)
    os.environ["MCDASH_DATA_DIR"] = str(own)

from mcdash.settings import *  # noqa: E402, F403 - all of it, once the environment is set
from mcdash.settings import DATABASES, STATIC_ROOT, STORAGES  # noqa: E402 - as above

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
}
# WhiteNoise warns of a folder that is not there; tests collect no files.
STATIC_ROOT.mkdir(exist_ok=True)
# No test cuts the power: waiting for the disk at each commit would only be slow.
OPTIONS = DATABASES["default"].get("OPTIONS", {})
if server_options := OPTIONS.get("options"):
    DATABASES["default"]["OPTIONS"] = OPTIONS | {
        "options": f"{server_options} -c synchronous_commit=off"
    }
if init_command := OPTIONS.get("init_command"):
    DATABASES["default"]["OPTIONS"] = OPTIONS | {
        "init_command": init_command.replace("synchronous=FULL", "synchronous=OFF")
    }
