"""Retrieve: filters, properties and pages of definitions and summaries."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock

from lxml import etree

from imports.sandbox.calls import Call
from imports.sandbox.catalogue import Definition
from imports.sandbox.envelopes import FilterError, text_of, texts_of, wants
from imports.sandbox.objects import (
    PROPERTIES,
    Facts,
    definition_facts,
    result,
    summary_facts,
)
from imports.sandbox.responses import new_request_id, retrieve_message, tag
from imports.sandbox.switches import Switches
from imports.sandbox.tasks import Task
from imports.sandbox.world import World

PAGE_SIZE = 2500
KEPT_PAGES = 500
DEFINITION_FILTERS = ("CustomerKey", "ObjectID", "Name")
SUMMARY_FILTERS = ("TaskResultID", "ImportDefinitionCustomerKey")


class RetrieveError(Exception):
    """What the server answers in OverallStatus, with HTTP 200."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rest:
    """What is still to be given under a RequestID."""

    object_type: str
    asked: tuple[str, ...]
    rows: tuple[Facts, ...]


class Retriever:
    """Answers Retrieve and remembers what is left of each answer."""

    def __init__(self, world: World, switches: Switches, page_size: int) -> None:
        self._world = world
        self._switches = switches
        self._page_size = page_size
        self._lock = Lock()
        self._rests: OrderedDict[str, Rest] = OrderedDict()

    def answer(
        self, call: Call, request: etree._Element, mids: tuple[int, ...]
    ) -> etree._Element:
        """RetrieveResponseMsg with one page; errors in OverallStatus."""
        request_id = call.request_id or new_request_id()
        try:
            rest = self._rest(call, request, mids)
        except (RetrieveError, FilterError) as exc:
            return retrieve_message(str(exc), request_id)
        size = self._size(request)
        page, left = rest.rows[:size], rest.rows[size:]
        if left:
            self._keep(request_id, replace(rest, rows=left))
        rows = [result(rest.object_type, facts, rest.asked) for facts in page]
        status = "MoreDataAvailable" if left else "OK"
        return retrieve_message(status, request_id, rows)

    def _size(self, request: etree._Element) -> int:
        wanted = request.findtext(f"{tag('Options')}/{tag('BatchSize')}")
        size = int(wanted) if wanted else self._page_size
        return min(size, self._page_size) if size > 0 else self._page_size

    def _rest(self, call: Call, request: etree._Element, mids: tuple[int, ...]) -> Rest:
        continued = text_of(request, "ContinueRequest")
        if continued:
            return self._continued(continued)
        object_type = text_of(request, "ObjectType") or ""
        asked = self._asked(call, object_type, texts_of(request, "Properties"))
        rows = self._rows(call, object_type, request.find(tag("Filter")), mids)
        return Rest(object_type=object_type, asked=asked, rows=rows)

    def _continued(self, request_id: str) -> Rest:
        with self._lock:
            rest = self._rests.get(request_id)
        if rest is None:
            raise RetrieveError(f"Error: ContinueRequest {request_id} is not known.")
        return rest

    def _keep(self, request_id: str, rest: Rest) -> None:
        with self._lock:
            self._rests[request_id] = rest
            while len(self._rests) > KEPT_PAGES:
                self._rests.popitem(last=False)

    def _asked(self, call: Call, object_type: str, asked: list[str]) -> tuple[str, ...]:
        if object_type not in PROPERTIES:
            raise RetrieveError(
                f"Error: Unable to find a handler for object type: {object_type}. "
                "Object types are case-sensitive, check spelling."
            )
        refused = self._switches.refused_properties(call)
        known = set(PROPERTIES[object_type]) - refused
        wrong = [name for name in asked if name not in known]
        if wrong or not asked:
            raise RetrieveError(
                f"Error: The Request Property(s) {', '.join(wrong)} do not match with "
                f"the fields of {object_type} retrieve"
            )
        return tuple(asked)

    def _rows(
        self,
        call: Call,
        object_type: str,
        part: etree._Element | None,
        mids: tuple[int, ...],
    ) -> tuple[Facts, ...]:
        refused = self._refused_operators(call, part)
        if object_type == "ImportDefinition":
            unlisted = self._switches.unlisted(call) if part is None else set()
            return tuple(
                definition_facts(one)
                for one in self._world.definitions(mids)
                if wants(part, _definition_values(one), DEFINITION_FILTERS, refused)
                and one.customer_key not in unlisted
            )
        found = (self._world.summary(task) for task in self._tasks(mids, part, refused))
        return tuple(
            {
                **summary_facts(one),
                **self._switches.row_says(call, one.task.definition.customer_key),
            }
            for one in found
            if one is not None
        )

    def _tasks(
        self,
        mids: tuple[int, ...],
        part: etree._Element | None,
        refused: frozenset[str],
    ) -> list[Task]:
        return [
            task
            for task in self._world.tasks(mids)
            if wants(part, _task_values(task), SUMMARY_FILTERS, refused)
        ]

    def _refused_operators(
        self, call: Call, part: etree._Element | None
    ) -> frozenset[str]:
        if part is None or text_of(part, "SimpleOperator") != "IN":
            return frozenset()
        rule = self._switches.take("within", call, "in_refused")
        return frozenset({"IN"} if rule else ())


def _definition_values(one: Definition) -> Callable[[str], str | None]:
    return {
        "CustomerKey": one.customer_key,
        "ObjectID": one.object_id,
        "Name": one.name,
    }.get


def _task_values(task: Task) -> Callable[[str], str | None]:
    return {
        "TaskResultID": str(task.task_id),
        "ImportDefinitionCustomerKey": task.definition.customer_key,
    }.get
