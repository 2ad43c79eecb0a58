"""The data model: what is true of one row, whatever the outside says."""

from __future__ import annotations

from .account import (
    AccessLevel,
    Account,
    AccountAccess,
    AccountQuerySet,
    AccountState,
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
from .following import NotFollowed, Unfollowed, WorkerState
from .lease import Lease, Worker, new_holder, process_name
from .lending import lend_connection
from .lost_keys import forget_lost_key, note_lost_key
from .revision import Revision, publish
from .run import ONE_ACTIVE, TOO_FAR_AHEAD, ImportRun, RunQuerySet, is_due
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
    are_counts_open,
)
from .storage import STORAGE, refusal_of
from .units import guard_of, note_doubles, tidy_object_id, told_unit, unit_of
from .user import Theme, User
from .workers import workers_now, workers_of, workers_word

__all__ = [
    "ACTIVE",
    "BY_NAME",
    "COUNTS",
    "ENDED",
    "FINISHED",
    "ONE_ACTIVE",
    "STORAGE",
    "TOO_FAR_AHEAD",
    "TRANSITIONS",
    "AccessLevel",
    "Account",
    "AccountAccess",
    "AccountQuerySet",
    "AccountState",
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
    "NotFollowed",
    "Origin",
    "Revision",
    "RunEvent",
    "RunQuerySet",
    "RunStatus",
    "StaleRunError",
    "Theme",
    "Unfollowed",
    "User",
    "Worker",
    "WorkerState",
    "are_counts_open",
    "database_now",
    "forget_lost_key",
    "guard_of",
    "is_due",
    "key_digest",
    "lend_connection",
    "new_holder",
    "note_doubles",
    "note_lost_key",
    "process_name",
    "publish",
    "refusal_of",
    "tidy_object_id",
    "told_unit",
    "unit_of",
    "validate_endpoint",
    "violated_constraint",
    "workers_now",
    "workers_of",
    "workers_word",
]
