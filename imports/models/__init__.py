"""The data model: what is true of one row, whatever the outside says."""

from __future__ import annotations

from imports.models.account import (
    AccessLevel,
    Account,
    AccountAccess,
    AccountQuerySet,
    AccountState,
    AccountToken,
    AuthKind,
)
from imports.models.audit import AuditEntry
from imports.models.clock import database_now
from imports.models.constraints import violated_constraint
from imports.models.counts import COUNTS, CountProblem, Counts
from imports.models.definition import (
    BY_NAME,
    DefinitionQuerySet,
    DefinitionVersion,
    Favourite,
    ImportDefinition,
    key_digest,
)
from imports.models.endpoints import validate_endpoint
from imports.models.event import EventKind, RunEvent
from imports.models.following import NotFollowed, Unfollowed, WorkerState
from imports.models.lease import Lease, Worker, new_holder, process_name
from imports.models.lending import lend_connection
from imports.models.lost_keys import forget_lost_key, note_lost_key
from imports.models.revision import Revision, publish
from imports.models.run import ONE_ACTIVE, TOO_FAR_AHEAD, ImportRun, RunQuerySet, is_due
from imports.models.status import (
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
from imports.models.storage import STORAGE, refusal_of
from imports.models.units import (
    guard_of,
    note_doubles,
    tidy_object_id,
    told_unit,
    unit_of,
)
from imports.models.user import Theme, User
from imports.models.workers import workers_now, workers_of, workers_word

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
