"""Carries out what the sandbox can do: token, Retrieve, Perform, GetSystemStatus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from lxml import etree

from imports.sandbox.catalogue import Account, Behaviour, Definition
from imports.sandbox.control import Call, Rule, Switches
from imports.sandbox.envelopes import (
    Authenticator,
    Contract,
    Envelope,
    NotXmlError,
    read_envelope,
    text_of,
    texts_of,
    type_of,
)
from imports.sandbox.responses import (
    NIL,
    TYPE,
    Answer,
    FaultError,
    add,
    add_all,
    add_overall,
    bad_request,
    fault_answer,
    invalid_client,
    message,
    not_authorized,
    retrieve_message,
    soap_answer,
    tag,
    token_answer,
    token_error,
)
from imports.sandbox.retrieve import PAGE_SIZE, Retriever
from imports.sandbox.world import World

NO_ACCESS, WRONG_TYPE = 4, 5
NO_KEY, NOT_FOUND, NOT_VALID = 43000, 43010, 43060
KEY_FILTERS = ("CustomerKey", "ImportDefinitionCustomerKey")


class RefusedError(Exception):
    """One definition is not started: the vendor's ErrorCode and words."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(kw_only=True)
class Service:
    """The token endpoint and the SOAP service, without HTTP."""

    world: World
    contract: Contract
    switches: Switches
    authenticator: Authenticator
    page_size: int = PAGE_SIZE

    def __post_init__(self) -> None:
        self._retriever = Retriever(self.world, self.switches, self.page_size)

    def token(self, body: bytes, base_url: str) -> Answer:
        """Answer POST /v2/token."""
        request = _json_object(body)
        if request is None:
            return token_error("invalid_request", "The body is not a JSON object.")
        if request.get("grant_type") != "client_credentials":
            return token_error("unsupported_grant_type", "Use client_credentials.")
        account = self._account_of_client(request)
        if not account or account.client_secret != request.get("client_secret"):
            return invalid_client()
        if str(request.get("account_id") or account.mid) != str(account.mid):
            return not_authorized()
        token = self.authenticator.issue(account.mid)
        return token_answer(token, self.authenticator.token_seconds, base_url)

    def note_token(self, call: Call, body: bytes) -> None:
        """Enter the call's account as far as it can be known."""
        account = self._account_of_client(_json_object(body) or {})
        if account:
            call.account, call.mid = account.name, account.mid

    def _account_of_client(self, request: Mapping[str, Any]) -> Account | None:
        for account in self.world.catalogue.accounts:
            if account.client_id == request.get("client_id"):
                return account
        return None

    def note_soap(self, call: Call, body: bytes, soap_action: str) -> None:
        """Enter the call's operation, account and object as far as they are known."""
        try:
            envelope = read_envelope(body, soap_action)
            call.operation = envelope.action or call.operation
            kinds = [type_of(definition) for definition in envelope.definitions]
            kind = text_of(envelope.request, "ObjectType")
            call.object_type = kind or (kinds[0] if kinds else None)
            keys = [text_of(each, "CustomerKey") for each in envelope.definitions]
            part = envelope.request.find(tag("Filter"))
            if part is not None:
                call.filter_operator = text_of(part, "SimpleOperator")
                if text_of(part, "Property") in KEY_FILTERS:
                    keys += texts_of(part, "Value")
            call.customer_keys = [key for key in keys if key]
            mids, _ = self._scope(envelope)
        except (NotXmlError, FaultError):
            return  # carrying it out will say what is wrong
        account = self.world.catalogue.account_named(mids[0])
        if account:
            call.account, call.mid = account.name, account.mid

    def soap(
        self, call: Call, body: bytes, soap_action: str, refusal: Rule | None = None
    ) -> Answer:
        """Answer POST /Service.asmx; with `refusal` nothing is carried out."""
        relates_to = ""
        try:
            envelope = read_envelope(body, soap_action)
            relates_to = envelope.message_id
            content = self._carry_out(call, envelope, refusal)
        except NotXmlError:
            return bad_request()
        except FaultError as exc:
            now = self.world.clock()
            return fault_answer(exc.fault, now=now, relates_to=relates_to)
        return soap_answer(
            content,
            operation=envelope.action,
            now=self.world.clock(),
            relates_to=relates_to,
        )

    def _carry_out(
        self, call: Call, envelope: Envelope, refusal: Rule | None
    ) -> etree._Element:
        envelope.check_action()
        self.contract.check(envelope.message)
        mids, foreign = self._scope(envelope)
        call.request_id = request_id = str(uuid4())
        if envelope.action == "GetSystemStatus":
            response = message("SystemStatusResponseMsg")
            add_all(
                add(add(response, "Results"), "Result"),
                StatusCode="OK",
                StatusMessage="System Status Retrieved",
                SystemStatus=self.switches.system_status,
            )
            add_overall(response, "OK", None, request_id)
            return response
        if envelope.action == "Perform":
            if foreign:
                text = f"No access to account {mids[0]}."
                return self._perform(call, envelope, mids[0], (NO_ACCESS, text))
            options = refusal.options if refusal else {}
            refused = (options["code"], options["text"]) if refusal else None
            return self._perform(call, envelope, mids[0], refused)
        if refusal:
            return retrieve_message(f"Error: {refusal.options['text']}", request_id)
        if foreign:
            text = (
                f"Error: API Permission Failed. MID {foreign[0]} is not within "
                "reach of this user."
            )
            return retrieve_message(text, request_id)
        return self._retriever.answer(request_id, call, envelope.request, mids)

    def _scope(self, envelope: Envelope) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The accounts that a request is about, and those of them out of reach."""
        reach = self.authenticator.mids_of(envelope.header)
        if text_of(envelope.request, "QueryAllAccounts") in ("true", "1"):
            return reach, ()
        named = tuple(envelope.named_mids)
        return named or reach[:1], tuple(mid for mid in named if mid not in reach)

    def _perform(
        self,
        call: Call,
        envelope: Envelope,
        mid: int,
        refused: tuple[int, str] | None,
    ) -> etree._Element:
        """PerformResponseMsg; each definition is started, or refused in words."""
        action = text_of(envelope.message, "Action") or ""
        results = []
        for element in envelope.definitions:
            try:
                if refused:
                    raise RefusedError(*refused)
                results.append(self._start(call, element, action, mid))
            except RefusedError as exc:
                texts = {
                    "StatusCode": "Error",
                    "StatusMessage": str(exc),
                    "ErrorCode": exc.code,
                }
                results.append(_result(element, texts, texts))
        codes = {result.findtext(tag("StatusCode")) for result in results}
        status = "Has Errors" if "OK" in codes else "Error"
        if codes == {"OK"}:
            status = "OK"
        response = message("PerformResponseMsg")
        if results:
            add(response, "Results").extend(results)
        words = "" if results else "No definitions were given."
        add_overall(response, status, words, call.request_id or "")
        return response

    def _start(
        self, call: Call, element: etree._Element, action: str, mid: int
    ) -> etree._Element:
        """Start one definition; its Result. Raises RefusedError."""
        definition = self._definition(element, action, mid)
        row_delay_seconds: float | None = self.world.row_delay_seconds
        rule = self.switches.take("within", call, "rows_late", "rows_never")
        if rule:
            late = rule.what == "rows_late"
            row_delay_seconds = float(rule.options["seconds"]) if late else None
        by_key = text_of(element, "CustomerKey") is not None
        task = self.world.start(
            definition,
            "perform",
            row_delay_seconds,
            identified_by="CustomerKey" if by_key else "ObjectID",
            connection=call.connection,
            request_id=call.request_id,
        )
        texts = {"StatusCode": "OK", "StatusMessage": "ImportDefinition performed"}
        if self.switches.take("within", call, "no_task_id"):
            return _result(element, texts, None)
        texts["StatusMessage"] += f" AsyncID:{task.task_id}"
        task_texts = {
            "StatusCode": "OK",
            "StatusMessage": "OK",
            "ID": task.task_id,
            "InteractionObjectID": str(uuid4()),
        }
        return _result(element, texts, task_texts)

    def _definition(self, element: etree._Element, action: str, mid: int) -> Definition:
        kind = type_of(element)
        if kind != "ImportDefinition" or action.lower() != "start":
            text = f"Cannot perform {action} on objects of type {kind}."
            raise RefusedError(WRONG_TYPE, text)
        key, object_id = text_of(element, "CustomerKey"), text_of(element, "ObjectID")
        if not key and not object_id:
            raise RefusedError(NO_KEY, "ImportDefinition CustomerKey not specified.")
        definition = self.world.find(mid, customer_key=key, object_id=object_id)
        if definition is None:
            text = f"ImportDefinition not found: {key or object_id}."
            raise RefusedError(NOT_FOUND, text)
        if definition.behaviour is Behaviour.REFUSED:
            text = (
                "ImportDefinition validation error: the file location "
                '"Outlet SFTP" is no longer active.'
            )
            raise RefusedError(NOT_VALID, text)
        return definition

    def empty_answer(self, operation: str) -> Answer:
        """An OK with nothing in it, to be spoilt when nothing was done."""
        if operation == "token":
            return token_answer("nothing", 0, "http://127.0.0.1")
        content = retrieve_message("OK", str(uuid4()))
        content.tag = tag(f"{operation}ResponseMsg")
        add(content, "OverallStatusMessage")
        return soap_answer(content, operation=operation, now=self.world.clock())


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _result(
    element: etree._Element,
    texts: Mapping[str, object],
    task_texts: Mapping[str, object] | None,
) -> etree._Element:
    """What became of one definition, with the nil keys of real answers."""
    result = message("Result")
    add_all(result, **texts)
    node = add(result, "Object")
    node.set(TYPE, type_of(element))
    key, object_id = text_of(element, "CustomerKey"), text_of(element, "ObjectID")
    add(node, "PartnerKey").set(NIL, "true")
    place = add(node, "ObjectID", object_id)
    if object_id is None:
        place.set(NIL, "true")
    if key is not None:
        add(node, "CustomerKey", key)
    add(node, "IsPlatformObject", False)
    if task_texts:
        add_all(add(result, "Task"), **task_texts)
    return result
