"""Marketing Cloud in memory: the verbs of MarketingCloudClient without a wire.

`tests/contract` holds it and client + sandbox to the same answers.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from imports.marketingcloud.errors import (
    AuthenticationError,
    MarketingCloudError,
    RequestRefusedError,
    UnavailableError,
)
from imports.marketingcloud.records import (
    ConnectionReport,
    DefinitionList,
    DefinitionRecord,
    ImportResult,
    ImportResults,
    StartedImport,
)
from imports.models import Account
from imports.reasons import Reason

VENDOR_OFFSET = timedelta(hours=-6)
ESSENTIAL = {"ObjectID", "CustomerKey"}
PHASES = ("New", "Processing", "IOWork")
WALK_SECONDS = 60


def vendor_text(moment: datetime) -> str:
    """A StartDate or EndDate: US style, on the vendor's clock, without a zone."""
    local = moment.astimezone(UTC) + VENDOR_OFFSET
    return f"{local:%m/%d/%Y %I:%M:%S %p}"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How the tasks of a definition end; a count of None is never given."""

    phase: str = "Completed"
    total_rows: int | None = 1000
    duplicated: int | None = 10
    errors: int | None = 0

    @property
    def successful(self) -> int | None:
        if self.total_rows is None:
            return None
        return self.total_rows - (self.duplicated or 0) - (self.errors or 0)


FAILS = Ending(phase="Error", total_rows=None, duplicated=None, errors=None)
WITH_ERRORS = Ending(errors=7)


@dataclass(kw_only=True)
class FakeTask:
    """One go. `step` is -1 while there is no row, then walks PHASES to the ending.

    `row` replaces the whole row, for what Marketing Cloud might also say.
    """

    task_id: str
    customer_key: str
    started_at: datetime
    ending: Ending = field(default_factory=Ending)
    step: int = -1
    row: dict[str, Any] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        return self.step >= len(PHASES)

    def result(self) -> ImportResult:
        """The row as ImportResultsSummary has it at this step."""
        known: dict[str, Any] = {
            "task_id": self.task_id,
            "customer_key": self.customer_key,
            "phase": self.ending.phase if self.has_ended else PHASES[self.step],
            "import_type": "Data Extensions",
            "destination_id": "customers",
            "object_id": f"f7471f20-0000-0000-0000-{self.task_id:>012}",
            "start_text": vendor_text(self.started_at),
            "end_text": self._end_text(),
            **self._counts(),
        }
        return ImportResult(**(known | self.row))

    def _end_text(self) -> str:
        if not self.has_ended:
            return ""
        return vendor_text(self.started_at + timedelta(seconds=WALK_SECONDS))

    def _counts(self) -> dict[str, int | None]:
        names = ("total_rows", "successful", "duplicated", "errors")
        ends = {name: getattr(self.ending, name) for name in names}
        share = min(self.step / len(PHASES), 1) if self.step > 0 else None
        return {
            name: None if share is None or end is None else int(end * share)
            for name, end in ends.items()
        }


class FakeMarketingCloud:
    """One business unit. Safe for many threads, as the real one is.

    Switches: `fail()` and `fail_after()` raise an error, `before` and `after` call
    something around a verb, `is_late` holds back all rows, `takes_in`, `refuses`
    and `knows_credentials` say what it does not take. Definitions with a customer key
    in `unlisted` are there, but in no list; without `lists_whole` all lists say that
    they are not whole. `performed` lists the customer key (or ObjectID) of every
    Perform that was carried out, `performed_ids` their ObjectIDs, `looked_for` the
    definitions that were asked for by name.
    """

    def __init__(self) -> None:
        self.definitions: list[dict[str, str]] = []
        self.endings: dict[str, Ending] = {}
        self.refused_starts: dict[str, str] = {}
        self.tasks: dict[str, FakeTask] = {}
        self.performed: list[str] = []
        self.performed_ids: list[str] = []
        self.looked_for: list[tuple[tuple[str | None, str], ...]] = []
        self.unlisted: set[str] = set()
        self.lists_whole = True
        self.calls: Counter[str] = Counter()
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.before: dict[str, Callable[[], object]] = {}
        self.after: dict[str, Callable[[], object]] = {}
        self.knows_credentials = True
        self.is_late = False
        self.takes_in = True
        self.refuses: list[str] = []
        self.soap_instance_url: str | None = None
        self.clock: Callable[[], float] = time.monotonic
        self._known_in: bool | None = None
        self._known_refused: list[str] = []
        self._errors: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self._late_errors: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self._lock = Lock()
        self._last_task_id = 129159022

    def add_definition(
        self, customer_key: str, *, ending: Ending | None = None, **facts: str
    ) -> dict[str, str]:
        """Adds a definition; `facts` by the vendor's names ("FileSpec")."""
        number = len(self.definitions) + 1
        definition = {
            "ObjectID": f"0fa4e000-0000-0000-0000-{number:012}",
            "CustomerKey": customer_key,
            "Name": customer_key.replace("-", " ").capitalize(),
            "Description": "",
            "FileSpec": f"{customer_key}_%%Year%%%%Month%%%%Day%%.csv",
            "UpdateType": "AddAndUpdate",
            "DestinationObject.ObjectID": "",
        } | facts
        self.definitions.append(definition)
        if ending:
            self.endings[customer_key] = ending
        return definition

    def add_task(
        self, customer_key: str, *, step: int = len(PHASES), **row: Any
    ) -> FakeTask:
        """A task that somebody else started; `row` overrides its row's fields."""
        with self._lock:
            task = self._new_task(customer_key)
        task.step, task.row = step, row
        return task

    def fail(self, verb: str, *errors: Exception) -> None:
        """The next calls of `verb` raise `errors`, and nothing is done."""
        self._errors[verb].extend(errors)

    def fail_after(self, verb: str, *errors: Exception) -> None:
        """The next calls of `verb` are carried out, and then raise `errors`."""
        self._late_errors[verb].extend(errors)

    def advance(self, steps: int = 1) -> None:
        """Every task takes `steps` of its walk; the first lets its row appear."""
        for task in self.tasks.values():
            task.step += steps

    def finish(self) -> None:
        """Every task ends."""
        self.advance(len(PHASES) + 1)

    def learn_of(self, account: Account) -> None:
        """As a new client of `account`, which knows what others learned."""
        self._known_in = account.takes_in
        self._known_refused = list(account.refused_properties)

    # the verbs of MarketingCloudClient

    def close(self) -> None:
        """There is no connection to close."""

    def authenticate(self) -> None:
        self._enter("authenticate")
        self._check_credentials()
        self._leave("authenticate")

    def list_definitions(
        self, *, on_page: Callable[[int], None] | None = None
    ) -> DefinitionList:
        self._enter("list_definitions")
        self._check_credentials()
        known = [
            self._facts(definition)
            for definition in self.definitions
            if definition["CustomerKey"] not in self.unlisted
        ]
        if on_page:
            on_page(1)
        self._leave("list_definitions")
        return DefinitionList(
            definitions=tuple(record_of(facts) for facts in known),
            refused_properties=self._refused("ImportDefinition"),
            is_whole=self.lists_whole,
        )

    def find_definitions(
        self, wanted: Sequence[tuple[str | None, str]]
    ) -> DefinitionList:
        self.looked_for.append(tuple(wanted))
        self._enter("find_definitions")
        self._check_credentials()
        ids = {object_id for object_id, _key in wanted if object_id}
        keys = {key for _id, key in wanted if key}
        known = [
            record
            for record in map(record_of, map(self._facts, self.definitions))
            if record.object_id in ids or record.customer_key in keys
        ]
        self._leave("find_definitions")
        return DefinitionList(
            definitions=tuple(known),
            refused_properties=self._refused("ImportDefinition"),
        )

    def start_definition(
        self,
        *,
        customer_key: str,
        object_id: str | None = None,
        send_before: float | None = None,
    ) -> StartedImport:
        self._enter("start_definition")
        self._check_credentials()
        if send_before is not None and self.clock() > send_before:
            raise UnavailableError("Held up before sending. Nothing was sent.")
        task = self._perform(customer_key, object_id)
        self._leave("start_definition")
        return StartedImport(
            task_id=task.task_id,
            request_id=f"bda5a2c0-0000-0000-0000-{task.task_id:>012}",
            status_code="OK",
            status_message=f"ImportDefinition performed AsyncID:{task.task_id}",
            error_code=None,
        )

    def results_of_tasks(self, task_ids: Sequence[str]) -> ImportResults:
        return self._results("results_of_tasks", "task_id", task_ids)

    def results_of_definitions(self, customer_keys: Sequence[str]) -> ImportResults:
        return self._results("results_of_definitions", "customer_key", customer_keys)

    def all_results(self) -> ImportResults:
        rows = self._rows("all_results", ())
        return ImportResults(
            results=tuple(rows),
            takes_in=None,
            refused_properties=self._refused("ImportResultsSummary"),
            is_whole=self.lists_whole,
        )

    def check_connection(self) -> ConnectionReport:
        self._enter("check_connection")
        self._check_credentials()
        self._leave("check_connection")
        return ConnectionReport(
            system_status="OK",
            system_message="System Status Retrieved",
            soap_instance_url=self.soap_instance_url,
        )

    # how it does them

    def _enter(self, verb: str) -> None:
        with self._lock:
            self.calls[verb] += 1
            error = self._take(self._errors[verb])
        if hook := self.before.get(verb):
            hook()
        if error:
            raise error

    def _leave(self, verb: str) -> None:
        if hook := self.after.get(verb):
            hook()
        with self._lock:
            late = self._take(self._late_errors[verb])
        if late:
            raise late

    def _take(self, waiting: deque[Exception]) -> Exception | None:
        return waiting.popleft() if waiting else None

    def _check_credentials(self) -> None:
        if not self.knows_credentials:
            raise AuthenticationError(
                "Marketing Cloud refused the credentials.", code="invalid_client"
            )

    def _perform(self, customer_key: str, object_id: str | None) -> FakeTask:
        definition = self._find(customer_key, object_id)
        if definition is None:
            unknown = f"ImportDefinition not found: {customer_key or object_id}."
            raise RequestRefusedError(
                f"Marketing Cloud refused to start the import: “{unknown}”.",
                reason=Reason.NOT_FOUND,
                vendor_message=unknown,
                code="43010",
                request_id="bda5a2c0-0000-0000-0000-000000043010",
            )
        key = definition["CustomerKey"]
        if words := self.refused_starts.get(key):
            raise RequestRefusedError(
                f"Marketing Cloud refused to start the import: “{words}”.",
                reason=Reason.NOT_VALID,
                vendor_message=words,
                code="43060",
                request_id="bda5a2c0-0000-0000-0000-000000043060",
            )
        with self._lock:
            self.performed.append(key or definition["ObjectID"])
            self.performed_ids.append(definition["ObjectID"])
            return self._new_task(key)

    def _find(self, customer_key: str, object_id: str | None) -> dict[str, str] | None:
        name, wanted = (
            ("CustomerKey", customer_key) if customer_key else ("ObjectID", object_id)
        )
        return next((one for one in self.definitions if one[name] == wanted), None)

    def _new_task(self, customer_key: str) -> FakeTask:
        self._last_task_id += 1
        task = FakeTask(
            task_id=str(self._last_task_id),
            customer_key=customer_key,
            started_at=datetime.now(UTC),
            ending=self.endings.get(customer_key, Ending()),
        )
        self.tasks[task.task_id] = task
        return task

    def _results(self, verb: str, name: str, values: Sequence[str]) -> ImportResults:
        wanted = tuple(dict.fromkeys(value for value in values if value))
        rows = self._rows(verb, wanted)
        asked = {value.casefold() for value in wanted}
        found = [row for row in rows if getattr(row, name).casefold() in asked]
        return ImportResults(
            results=tuple(found),
            takes_in=self._learned_in(wanted),
            refused_properties=self._refused("ImportResultsSummary"),
            is_whole=self.lists_whole,
        )

    def _rows(self, verb: str, wanted: tuple[str, ...]) -> list[ImportResult]:
        self.asked.append((verb, wanted))
        self._enter(verb)
        self._check_credentials()
        rows = [] if self.is_late else [task.result() for task in self._with_rows()]
        self._leave(verb)
        return rows

    def _with_rows(self) -> Iterable[FakeTask]:
        return [task for task in self.tasks.values() if task.step >= 0]

    def _learned_in(self, wanted: tuple[str, ...]) -> bool | None:
        if len(wanted) < 2 or self._known_in is False:
            return None
        return self.takes_in

    def _refused(self, object_type: str) -> tuple[str, ...]:
        mine = [name for name in self.refuses if name.startswith(f"{object_type}:")]
        return tuple(dict.fromkeys([*self._known_refused, *mine]))

    def _facts(self, definition: dict[str, str]) -> dict[str, str]:
        refused = {name.partition(":")[2] for name in self._refused("ImportDefinition")}
        return {k: v for k, v in definition.items() if k not in refused - ESSENTIAL}


def record_of(facts: dict[str, str]) -> DefinitionRecord:
    """The record of a definition with these facts, as the wall reads it."""
    return DefinitionRecord(
        object_id=facts.get("ObjectID") or None,
        customer_key=facts.get("CustomerKey", ""),
        name=facts.get("Name", ""),
        description=facts.get("Description", ""),
        file_spec=facts.get("FileSpec", ""),
        update_type=facts.get("UpdateType", ""),
        destination=facts.get("DestinationObject.ObjectID", ""),
        facts=dict(facts),
    )


class FakeDoor:
    """Stands in for `imports.gateway.connect`.

    Every account reaches `usual`, but for those in `own` (by primary key);
    `refuses` are errors that connecting itself raises.
    """

    def __init__(self) -> None:
        self.usual = FakeMarketingCloud()
        self.own: dict[int, FakeMarketingCloud] = {}
        self.refuses: dict[int, MarketingCloudError] = {}

    def connect(self, account: Account) -> FakeMarketingCloud:
        if error := self.refuses.get(account.pk):
            raise error
        cloud = self.own.get(account.pk, self.usual)
        cloud.learn_of(account)
        return cloud
