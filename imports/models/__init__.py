"""The data model: what is true of one row, whatever the outside says."""

from __future__ import annotations

from .account import (
    AccessLevel,
    Account,
    AccountAccess,
    AccountQuerySet,
    AccountToken,
    AuthKind,
)
from .audit import AuditEntry
from .clock import database_now
from .constraints import violated_constraint
from .counts import COUNTS, CountProblem, Counts
from .definition import (
    BY_NAME,
    DefinitionQuerySet,
    DefinitionVersion,
    Favourite,
    ImportDefinition,
    key_digest,
)
from .endpoints import validate_endpoint
from .event import EventKind, RunEvent
from .lease import Lease, Worker, new_holder, process_name
from .lending import lend_connection
from .lost_keys import forget_lost_key, note_lost_key
from .revision import Revision, publish
from .run import ImportRun, RunQuerySet
from .status import (
    ACTIVE,
    ENDED,
    FINISHED,
    TRANSITIONS,
    ErrorKind,
    InvalidTransitionError,
    Origin,
    RunStatus,
    StaleRunError,
)
from .user import Theme, User

__all__ = [
    "ACTIVE",
    "BY_NAME",
    "COUNTS",
    "ENDED",
    "FINISHED",
    "TRANSITIONS",
    "AccessLevel",
    "Account",
    "AccountAccess",
    "AccountQuerySet",
    "AccountToken",
    "AuditEntry",
    "AuthKind",
    "CountProblem",
    "Counts",
    "DefinitionQuerySet",
    "DefinitionVersion",
    "ErrorKind",
    "EventKind",
    "Favourite",
    "ImportDefinition",
    "ImportRun",
    "InvalidTransitionError",
    "Lease",
    "Origin",
    "Revision",
    "RunEvent",
    "RunQuerySet",
    "RunStatus",
    "StaleRunError",
    "Theme",
    "User",
    "Worker",
    "database_now",
    "forget_lost_key",
    "key_digest",
    "lend_connection",
    "new_holder",
    "note_lost_key",
    "process_name",
    "publish",
    "validate_endpoint",
    "violated_constraint",
]
