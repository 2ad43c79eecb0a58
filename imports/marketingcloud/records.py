"""What crosses the wall: frozen, keyword-only records in mcdash's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class OAuthCredentials:
    """OAuth 2 client credentials of an installed package; `auth_url` is the base to
    which `/v2/token` is added.
    """

    auth_url: str
    client_id: str
    # never in a representation, which ends in tracebacks and logs
    client_secret: str = field(repr=False)
    mid: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UsernameCredentials:
    """WS-Security UsernameToken credentials of an API user."""

    username: str
    password: str = field(repr=False)
    mid: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How long a call may take (seconds), how large an answer may be (bytes), and how
    often a read is tried.
    """

    connect_timeout_seconds: float = 10
    read_timeout_seconds: float = 120
    call_deadline_seconds: float = 180
    max_answer_bytes: int = 24 * 1024 * 1024
    read_tries: int = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """An OAuth access token as the token endpoint gave it; its life counts from then.
    The address that the answer named is only to be compared.
    """

    value: str = field(repr=False)
    expires_in_seconds: float
    soap_instance_url: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DefinitionRecord:
    """One ImportDefinition. `facts` holds every retrieved property by its
    requested (dotted) name, verbatim; a property that was absent is not in it.
    `destination` is the list's ID or the data extension's ObjectID, as text.
    """

    object_id: str | None
    customer_key: str
    name: str
    description: str
    file_spec: str
    update_type: str
    destination: str
    facts: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class DefinitionList:
    """Definitions of an account, and the properties that it would not let us retrieve.
    Where the list is not `is_whole`, a definition may be missing that is there.
    """

    definitions: tuple[DefinitionRecord, ...]
    refused_properties: tuple[str, ...]
    is_whole: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class StartedImport:
    """Perform's answer with a task id: an import was queued.

    `contradiction` keeps what else the answer said if it did not say plain OK.
    """

    task_id: str
    request_id: str | None
    status_code: str
    status_message: str
    error_code: str | None
    contradiction: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportResult:
    """One ImportResultsSummary row. Texts are verbatim; a count that was absent,
    empty, negative or not a number is None, never 0.
    """

    task_id: str
    customer_key: str
    # verbatim: what it means for a run is decided in usecases/follow.py
    phase: str
    import_type: str
    destination_id: str
    object_id: str | None
    start_text: str
    end_text: str
    total_rows: int | None
    successful: int | None
    duplicated: int | None
    errors: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportResults:
    """Rows of one question. `takes_in` tells whether the account accepted IN, None
    where it was not tried. Where they are not `is_whole`, a row may be missing.
    """

    results: tuple[ImportResult, ...]
    takes_in: bool | None
    refused_properties: tuple[str, ...] = ()
    is_whole: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionReport:
    """What a connection check found; `system_status` is the vendor's word (OK,
    InMaintenance, UnplannedOutage).
    """

    system_status: str
    system_message: str
    soap_instance_url: str | None
