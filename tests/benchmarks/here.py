"""mcdash in this process, with throw-away data: for what is measured from inside.

Nothing of the environment is needed or used; `prepared` sets what the settings
read before Django is loaded.
"""

from __future__ import annotations

import logging
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = ("DATABASE_URL", "MCDASH_QUEUE_URL", "MCDASH_PROXY_URL")


def prepare(folder: Path) -> None:
    """Load Django on a new database in `folder`."""
    for name in FOREIGN:
        os.environ.pop(name, None)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "mcdash.settings",
        "MCDASH_DATA_DIR": str(folder),
        "MCDASH_SECRET_KEY": secrets.token_urlsafe(48),
        "MCDASH_FIELD_KEYS": Fernet.generate_key().decode(),
        "MCDASH_ALLOW_LOOPBACK": "1",
    }
    logging.disable(logging.INFO)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)


def settings_given() -> dict[str, str]:
    """What another process needs to work on the same data as this one."""
    names = ("MCDASH_SECRET_KEY", "MCDASH_FIELD_KEYS")
    return {name: os.environ[name] for name in names}


@contextmanager
def crowded_sandbox(count: int) -> Iterator[str]:
    """The address of a sandbox process with `count` definitions."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.crowded_sandbox", str(count)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("The crowded sandbox did not start.")
        yield url
    finally:
        process.kill()
        process.communicate()
