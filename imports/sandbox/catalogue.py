"""The types the sandbox's data is made of: accounts, definitions, schedules.

The data itself, a retailer's, is in `nordlicht.py`. Ids are made from names (uuid5),
so the same data has the same ids on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from uuid import NAMESPACE_URL, uuid5

EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
ENHANCED_FTP = "ExactTarget Enhanced FTP"


class Behaviour(StrEnum):
    """How a definition ends whenever it is started."""

    COMPLETES = "completes"
    ENDS_WITH_ERRORS = "ends with errors"
    FAILS = "fails"
    REFUSED = "is refused at the start"
    SLOW = "is slow: ten times the pace"
    LOADS_NOTHING = "loads zero rows"
    LEAVES_ROWS_OPEN = "reports no errors, and fewer rows loaded than there were"


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A business unit and the OAuth client of its installed package."""

    name: str
    mid: int
    client_id: str
    client_secret: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiUser:
    """A user for WS-Security UsernameToken; `mids[0]` is its home account."""

    username: str
    password: str
    mids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Schedule:
    """When Automation Studio starts a definition: UTC hours, one minute, weekdays."""

    hours: tuple[int, ...] = ()
    minute: int = 0
    weekdays: tuple[int, ...] = EVERY_DAY

    def starts_on(self, day: date) -> list[datetime]:
        """The scheduled minutes of that UTC day, in order."""
        if day.weekday() not in self.weekdays:
            return []
        return [
            datetime(day.year, day.month, day.day, hour, self.minute, tzinfo=UTC)
            for hour in self.hours
        ]


NEVER = Schedule()


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """Where rows go: `kind` is the vendor's type, List or DataExtension.

    A list has a numeric `list_id`; a data extension has an ObjectID and a key,
    and the key is what ImportResultsSummary names.
    """

    kind: str
    list_id: int | None = None
    object_id: str | None = None
    key: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """One ImportDefinition, and how its imports usually go.

    `number` (0 to 59 for those with a schedule) is the second of the minute in which
    its scheduled tasks start, which keeps their task ids apart. `rows` is its usual
    number of rows.
    """

    mid: int
    number: int
    object_id: str
    customer_key: str | None
    name: str
    description: str
    file_spec: str
    update_type: str
    destination: Destination | None
    rows: int
    schedule: Schedule = NEVER
    behaviour: Behaviour = Behaviour.COMPLETES
    import_type: str = "Data Extensions"
    file_type: str = "CSV"
    delimiter: str = ","
    allow_errors: bool = True
    field_mapping: str = "InferFromColumnHeadings"
    notify: str | None = None
    locale: str = "en-US"
    max_file_age_hours: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """Everything that exists before anything is started."""

    accounts: tuple[Account, ...]
    users: tuple[ApiUser, ...]
    definitions: tuple[Definition, ...]

    def account_named(self, text: str | int) -> Account | None:
        """The account with that name or MID."""
        matching = (a for a in self.accounts if str(text) in (a.name, str(a.mid)))
        return next(matching, None)


def made_id(*parts: object) -> str:
    """A GUID that is the same for the same parts, today and tomorrow."""
    return str(uuid5(NAMESPACE_URL, "/".join(["mcdash-sandbox", *map(str, parts)])))


def data_extension(mid: int, key: str) -> Destination:
    """A data extension of that account."""
    return Destination(
        kind="DataExtension", object_id=made_id(mid, "data extension", key), key=key
    )


def daily(hour: int, minute: int) -> Schedule:
    """Once a day, UTC."""
    return Schedule((hour,), minute)


def weekly(weekday: int, hour: int, minute: int) -> Schedule:
    """Once a week; Monday is 0."""
    return Schedule((hour,), minute, (weekday,))


def every_hours(step: int, minute: int) -> Schedule:
    """Every `step` hours from midnight UTC."""
    return Schedule(tuple(range(0, 24, step)), minute)
