"""Perform: start definitions, one result for each."""

from __future__ import annotations

from lxml import etree

from imports.sandbox.calls import Call
from imports.sandbox.catalogue import Behaviour, Definition
from imports.sandbox.envelopes import Envelope, text_of, type_of
from imports.sandbox.responses import (
    NIL,
    TYPE,
    add,
    message,
    new_request_id,
    perform_message,
    tag,
)
from imports.sandbox.switches import Rule, Switches
from imports.sandbox.tasks import Task
from imports.sandbox.world import World

NO_ACCESS, WRONG_TYPE = 4, 5
NO_KEY, NOT_FOUND, NOT_VALID = 43000, 43010, 43060


class RefusedError(Exception):
    """One definition is not started: the vendor's ErrorCode and words."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Performer:
    """Answers Perform."""

    def __init__(self, world: World, switches: Switches) -> None:
        self._world = world
        self._switches = switches

    def answer(
        self,
        call: Call,
        envelope: Envelope,
        mid: int,
        is_strange: bool,
        refusal: Rule | None,
    ) -> etree._Element:
        """PerformResponseMsg; each definition is started, or refused in words."""
        action = text_of(envelope.message, "Action") or ""
        definitions = envelope.message.findall(
            f"{tag('Definitions')}/{tag('Definition')}"
        )
        if is_strange:
            refusal = _no_access(mid)
        results = [
            self._one(call, asked, action, mid, refusal) for asked in definitions
        ]
        request_id = call.request_id or new_request_id()
        words = "" if results else "No definitions were given."
        return perform_message(_overall(results), request_id, results, words)

    def _one(
        self,
        call: Call,
        asked: etree._Element,
        action: str,
        mid: int,
        refusal: Rule | None,
    ) -> etree._Element:
        try:
            if refusal:
                raise RefusedError(refusal.options["code"], refusal.options["text"])
            task = self._start(call, asked, action, mid)
        except RefusedError as exc:
            return _refused(asked, exc)
        without_id = self._switches.take("within", call, "no_task_id")
        return _started(asked, task, with_id=without_id is None)

    def _start(self, call: Call, asked: etree._Element, action: str, mid: int) -> Task:
        definition = self._definition(asked, action, mid)
        by_key = text_of(asked, "CustomerKey") is not None
        return self._world.perform(
            definition,
            row_delay_seconds=self._row_delay(call),
            identified_by="CustomerKey" if by_key else "ObjectID",
            connection=call.connection,
            request_id=call.request_id,
        )

    def _definition(self, asked: etree._Element, action: str, mid: int) -> Definition:
        kind = type_of(asked)
        if kind != "ImportDefinition" or action.lower() != "start":
            raise RefusedError(
                WRONG_TYPE, f"Cannot perform {action} on objects of type {kind}."
            )
        key, object_id = text_of(asked, "CustomerKey"), text_of(asked, "ObjectID")
        if not key and not object_id:
            raise RefusedError(NO_KEY, "ImportDefinition CustomerKey not specified.")
        found = self._world.find(mid, customer_key=key, object_id=object_id)
        if found is None:
            raise RefusedError(
                NOT_FOUND, f"ImportDefinition not found: {key or object_id}."
            )
        if found.behaviour is Behaviour.REFUSED:
            raise RefusedError(
                NOT_VALID,
                "ImportDefinition validation error: the file location "
                '"Outlet SFTP" is no longer active.',
            )
        return found

    def _row_delay(self, call: Call) -> float | None:
        rule = self._switches.take("within", call, "rows_late", "rows_never")
        if rule is None:
            return self._world.row_delay_seconds
        return None if rule.what == "rows_never" else float(rule.options["seconds"])


def _no_access(mid: int) -> Rule:
    text = f"No access to account {mid}."
    options = {"code": NO_ACCESS, "text": text}
    return Rule(what="refused", when="instead", times=1, options=options)


def _overall(results: list[etree._Element]) -> str:
    codes = {one.findtext(tag("StatusCode")) for one in results}
    if codes == {"OK"}:
        return "OK"
    return "Has Errors" if "OK" in codes else "Error"


def _started(asked: etree._Element, task: Task, *, with_id: bool) -> etree._Element:
    element = message("Result")
    words = "ImportDefinition performed"
    add(element, "StatusCode", "OK")
    add(
        element,
        "StatusMessage",
        f"{words} AsyncID:{task.task_id}" if with_id else words,
    )
    _object(element, asked)
    if with_id:
        _task(element, task)
    return element


def _task(element: etree._Element, task: Task) -> None:
    node = add(element, "Task")
    add(node, "StatusCode", "OK")
    add(node, "StatusMessage", "OK")
    add(node, "ID", task.task_id)
    add(node, "InteractionObjectID", new_request_id())


def _refused(asked: etree._Element, refused: RefusedError) -> etree._Element:
    element = message("Result")
    add(element, "StatusCode", "Error")
    add(element, "StatusMessage", refused.text)
    add(element, "ErrorCode", refused.code)
    _object(element, asked)
    task = add(element, "Task")
    add(task, "StatusCode", "Error")
    add(task, "StatusMessage", refused.text)
    add(task, "ErrorCode", refused.code)
    return element


def _object(element: etree._Element, asked: etree._Element) -> None:
    """The definition as it was asked for, with the nil keys of real answers."""
    node = add(element, "Object")
    node.set(TYPE, type_of(asked))
    key, object_id = text_of(asked, "CustomerKey"), text_of(asked, "ObjectID")
    add(node, "PartnerKey").set(NIL, "true")
    place = add(node, "ObjectID", object_id)
    if object_id is None:
        place.set(NIL, "true")
    if key is not None:
        add(node, "CustomerKey", key)
    add(node, "IsPlatformObject", False)
