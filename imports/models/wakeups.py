"""Telling workers at once that a start was committed: LISTEN and NOTIFY of PostgreSQL.

It only saves time. Workers look for queued starts as well: SQLite has nothing like it,
and through PgBouncer in transaction mode nothing is ever heard.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable, Iterator
from contextlib import closing

from django.db import Error, connection

log = logging.getLogger(__name__)

CHANNEL = "mcdash_starts"
# How often the listening connection is tried: one may break without a sign.
TRIED_EVERY_SECONDS = 30
RECONNECT_AFTER_SECONDS = 5
# For a server that lost its power, or a firewall that forgot the connection.
LIMITS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


def wake_workers() -> None:
    """Called within the transaction that queues a start, so that PostgreSQL tells the
    workers when it is committed, and tells nobody if it is rolled back.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def listen(wake: Callable[[], object], is_stopping: Callable[[], bool]) -> None:
    """Call `wake` for each start that is committed, until `is_stopping()`.

    For a thread of its own. A connection that breaks is replaced; the log says so when
    it breaks and when starts are announced again, not with each try.
    """
    is_deaf = False
    while not is_stopping():
        try:
            for _ in _heard():
                if is_deaf:
                    log.warning("Starts are announced again")
                is_deaf = False
                # also after connecting, for what was committed meanwhile
                wake()
                if is_stopping():
                    return
        except Error as error:
            if not is_deaf:
                log.warning("Starts are found by looking alone: %s", error)
            is_deaf = True
            time.sleep(RECONNECT_AFTER_SECONDS)


def _heard() -> Iterator[None]:
    """Yields once it listens, then whenever there may be something new.

    The connection is none of the pool's, which lends each one to many in turn. Nothing
    is held open on it between statements, so it stands in nobody's way.
    """
    listening = connection.copy()
    options = listening.settings_dict["OPTIONS"]
    listening.settings_dict["OPTIONS"] = LIMITS | options | {"pool": False}
    with closing(listening), listening.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
        # psycopg would keep every message for somebody who asks for it
        listening.connection.add_notify_handler(lambda _message: None)
        poll = select.poll()
        poll.register(listening.connection.fileno(), select.POLLIN)
        while True:
            yield
            poll.poll(TRIED_EVERY_SECONDS * 1000)
            # takes in what came, and raises where the connection has ended
            cursor.execute("SELECT 1")
