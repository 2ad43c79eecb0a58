"""The data model: what is true of one row, whatever the outside says.

Its names are imported from here; pyproject.toml lets them pass on.
"""

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
from imports.models.database import (
    database_now,
    listen,
    release_connection,
    violated_constraint,
    wake_workers,
)
from imports.models.definition import (
    DefinitionVersion,
    Favourite,
    ImportDefinition,
    key_digest,
)
from imports.models.endpoints import validate_endpoint
from imports.models.run import (
    ONE_ACTIVE,
    TOO_FAR_AHEAD,
    EventKind,
    ImportRun,
    Revision,
    RunEvent,
    RunQuerySet,
    bump_revision,
    is_due,
    workers_now,
    workers_of,
    workers_word,
)
from imports.models.status import (
    ACTIVE,
    COUNTS,
    ENDED,
    FINISHED,
    GIVEN_UP,
    TRANSITIONS,
    CountProblem,
    Counts,
    InvalidTransitionError,
    Origin,
    RunStatus,
    StaleRunError,
    are_counts_open,
    message_of,
)
from imports.models.storage import STORAGE, refusal_of
from imports.models.units import (
    guard_of,
    note_doubles,
    tidy_object_id,
    told_unit,
    unit_of,
)
from imports.models.user import AuditEntry, User
from imports.models.worker import (
    Lease,
    NotFollowed,
    Unfollowed,
    Worker,
    WorkerState,
    held,
    lease_seconds,
    new_holder,
    process_name,
)
from imports.reasons import Reason
