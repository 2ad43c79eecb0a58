"""Settings for tests: throw-away keys, loopback allowed, plain static files."""

from __future__ import annotations

import os
import tempfile

from cryptography.fernet import Fernet

os.environ.setdefault("MCDASH_SECRET_KEY", "only-for-tests-" + "x" * 50)
os.environ.setdefault("MCDASH_FIELD_KEYS", Fernet.generate_key().decode())
os.environ.setdefault("MCDASH_ALLOW_LOOPBACK", "1")
os.environ.setdefault("MCDASH_DATA_DIR", tempfile.mkdtemp(prefix="mcdash-tests-"))
