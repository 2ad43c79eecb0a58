"""mcdash in this process, with throw-away data: for what is measured from inside.

Nothing of the environment is needed or used; `prepared` sets what the settings
read before Django is loaded.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from cryptography.fernet import Fernet

import imports

ROOT = Path(__file__).resolve().parents[2]
# The checkout that is measured: another one's where `trees.py` began this process.
PRODUCT = Path(imports.__file__).resolve().parents[1]
FOREIGN = ("DATABASE_URL", "MCDASH_PROXY_URL")


def prepare(folder: Path, *, database: str = "") -> None:
    """Load Django on a new database in `folder`, or on the empty one at `database`."""
    for name in FOREIGN:
        os.environ.pop(name, None)
    if database:
        os.environ["DATABASE_URL"] = database
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "tests.bench.site_settings",
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
    names = ("MCDASH_SECRET_KEY", "MCDASH_FIELD_KEYS", *FOREIGN)
    return {name: os.environ[name] for name in names if name in os.environ}


@contextmanager
def database_of_its_own(url: str) -> Iterator[str]:
    """The address of a new, empty PostgreSQL database beside the one at `url`."""
    import psycopg

    name = f"mcdash_bench_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
