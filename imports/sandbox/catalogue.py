"""The types the sandbox's data is made of: accounts, definitions, schedules.

The data itself, a retailer's, is in `nordlicht.py`. Ids are made from names (uuid5),
so the same data has the same ids on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from uuid import NAMESPACE_URL, uuid5

EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
# properties by the names under which Retrieve gives them; None is unknown
Facts = Mapping[str, str | int | bool | None]
NOTIFY = "Notification.ResponseAddress"


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
        hours = self.hours if day.weekday() in self.weekdays else ()
        minutes = (time(hour, self.minute, tzinfo=UTC) for hour in hours)
        return [datetime.combine(day, minute) for minute in minutes]


NEVER = Schedule()

Row = tuple[str | None, str, str, str | int | None, int, Schedule, Facts]
"""key, file pattern, update type, target, rows, schedule, what else is unusual.

The target is a data extension's key, a list's number, or None for an SMS import.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """One ImportDefinition, and how its imports usually go.

    Among its `facts`, `DestinationObject` is its destination's type. `destination_id`
    is what ImportResultsSummary names: a list's number, a data extension's key.
    `number` (0 to 59 for those with a schedule) is the second of the minute in which
    its scheduled tasks start, which keeps their task ids apart.
    """

    mid: int
    number: int
    object_id: str
    customer_key: str | None
    rows: int
    facts: Facts
    import_type: str
    destination_id: str | int | None
    schedule: Schedule = NEVER
    behaviour: Behaviour = Behaviour.COMPLETES


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """Everything that exists before anything is started."""

    accounts: tuple[Account, ...]
    users: tuple[ApiUser, ...]
    definitions: tuple[Definition, ...]

    def account_named(self, text: str | int) -> Account | None:
        """By name or MID."""
        matching = (a for a in self.accounts if str(text) in (a.name, str(a.mid)))
        return next(matching, None)


def made_id(*parts: object) -> str:
    """A GUID that is the same for the same parts, today and tomorrow."""
    return str(uuid5(NAMESPACE_URL, "/".join(["mcdash-sandbox", *map(str, parts)])))


def new_definition(
    mid: int,
    number: int,
    row: Row,
    *,
    owner: str = "a crowd",
    behaviour: Behaviour = Behaviour.COMPLETES,
) -> Definition:
    """The definition that a row tells of, otherwise with the usual settings."""
    key, file_spec, update_type, target, rows, schedule, facts = row
    name = facts.get("Name") or str(key).replace("-", " ").capitalize()
    object_id = made_id(mid, key or name)
    import_type, kind, list_id, extension_id = "SMS", None, None, None
    if isinstance(target, int):
        import_type, kind, list_id = "Subscriber List", "List", target
    elif target is not None:
        import_type, kind = "Data Extensions", "DataExtension"
        extension_id = made_id(mid, "data extension", target)
    return Definition(
        mid=mid,
        number=number,
        object_id=object_id,
        customer_key=key,
        rows=rows,
        import_type=import_type,
        destination_id=target,
        schedule=schedule,
        behaviour=behaviour,
        facts={
            "Client.ID": mid,
            "Client.ClientID1": mid,
            "ObjectID": object_id,
            "CustomerKey": key,
            "Name": name,
            "Description": f"{name} of {owner}",
            "FileSpec": file_spec,
            "FileType": "CSV",
            "Delimiter": ",",
            "HeaderLines": 1,
            "StandardQuotedStrings": True,
            "RetrieveFileTransferLocation.ObjectID": made_id(mid, "location"),
            "RetrieveFileTransferLocation.CustomerKey": "ExactTarget Enhanced FTP",
            "AllowErrors": True,
            "FieldMappingType": "InferFromColumnHeadings",
            "UpdateType": update_type,
            "Notification.ResponseType": "email" if NOTIFY in facts else "None",
            NOTIFY: "",
            "MaxFileAge": 0,
            "MaxFileAgeScheduleOffset": 0,
            "MaxImportFrequency": 0,
            "DateFormattingLocale.LocaleCode": "en-US",
            "DestinationObject": kind,
            "DestinationObject.ID": list_id,
            "DestinationObject.ObjectID": extension_id,
            **facts,
        },
    )
