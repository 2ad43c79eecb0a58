"""What each operation does: token, Retrieve, Perform, GetSystemStatus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree

from imports.sandbox.calls import Call
from imports.sandbox.catalogue import Account
from imports.sandbox.envelopes import (
    Envelope,
    NotXmlError,
    check_action,
    named_mids,
    read_envelope,
    text_of,
    texts_of,
    type_of,
)
from imports.sandbox.performing import Performer
from imports.sandbox.responses import (
    Answer,
    FaultError,
    add,
    bad_request,
    fault_answer,
    invalid_client,
    new_request_id,
    not_authorized,
    retrieve_message,
    soap_answer,
    system_status_message,
    tag,
    token_answer,
    token_error,
)
from imports.sandbox.retrieve import PAGE_SIZE, Retriever
from imports.sandbox.security import Caller, Doorkeeper
from imports.sandbox.switches import Rule, Switches
from imports.sandbox.world import World
from imports.sandbox.wsdl import Contract


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Who asks, and for which accounts; `strange` MIDs are out of their reach."""

    caller: Caller
    mids: tuple[int, ...]
    strange: tuple[int, ...] = ()


class Service:
    """The other side of the wire, without the wire."""

    def __init__(
        self,
        *,
        world: World,
        contract: Contract,
        switches: Switches,
        doorkeeper: Doorkeeper,
        page_size: int = PAGE_SIZE,
    ) -> None:
        self.world = world
        self.contract = contract
        self.switches = switches
        self.doorkeeper = doorkeeper
        self._retriever = Retriever(world, switches, page_size)
        self._performer = Performer(world, switches)

    def token(self, call: Call, body: bytes, base_url: str) -> Answer:
        """Answer POST /v2/token."""
        asked = _json_object(body)
        if asked is None:
            return token_error("invalid_request", "The body is not a JSON object.")
        if asked.get("grant_type") != "client_credentials":
            return token_error("unsupported_grant_type", "Use client_credentials.")
        account = self._client(asked)
        if account is None:
            return invalid_client()
        if str(asked.get("account_id") or account.mid) != str(account.mid):
            return not_authorized()
        _name(call, account)
        token = self.doorkeeper.issue(account.mid)
        return token_answer(token, self.doorkeeper.token_seconds, base_url)

    def note_token(self, call: Call, body: bytes) -> None:
        """Tell the call's account as well as it can be known."""
        asked = _json_object(body) or {}
        for account in self.world.catalogue.accounts:
            if account.client_id == asked.get("client_id"):
                _name(call, account)

    def _client(self, asked: Mapping[str, Any]) -> Account | None:
        given = (asked.get("client_id"), asked.get("client_secret"))
        for account in self.world.catalogue.accounts:
            if (account.client_id, account.client_secret) == given:
                return account
        return None

    def note_soap(self, call: Call, body: bytes, soap_action: str) -> None:
        """Tell the call's operation, account and object as well as they are known."""
        try:
            envelope = read_envelope(body, soap_action)
            call.operation = envelope.action or call.operation
            _note_object(call, envelope)
            scope = self._scope(envelope)
        except (NotXmlError, FaultError):
            return  # carrying it out will say what is wrong
        account = self.world.catalogue.account_of(scope.mids[0])
        if account:
            _name(call, account)

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
        check_action(envelope)
        self.contract.check(envelope.message)
        scope = self._scope(envelope)
        call.request_id = new_request_id()
        if envelope.action == "Retrieve":
            return self._retrieve(call, envelope, scope, refusal)
        if envelope.action == "Perform":
            return self._performer.answer(
                call, envelope, scope.mids[0], bool(scope.strange), refusal
            )
        return system_status_message(self.switches.system_status, call.request_id)

    def _retrieve(
        self, call: Call, envelope: Envelope, scope: Scope, refusal: Rule | None
    ) -> etree._Element:
        request_id = call.request_id or new_request_id()
        if refusal:
            return retrieve_message(f"Error: {refusal.options['text']}", request_id)
        if scope.strange:
            return retrieve_message(
                f"Error: API Permission Failed. MID {scope.strange[0]} is not within "
                "reach of this user.",
                request_id,
            )
        return self._retriever.answer(call, envelope.request, scope.mids)

    def _scope(self, envelope: Envelope) -> Scope:
        caller = self.doorkeeper.caller(envelope.header)
        named = named_mids(envelope)
        if text_of(envelope.request, "QueryAllAccounts") in ("true", "1"):
            return Scope(caller=caller, mids=caller.mids)
        strange = tuple(mid for mid in named if mid not in caller.mids)
        return Scope(
            caller=caller, mids=tuple(named) or (caller.home,), strange=strange
        )


def _name(call: Call, account: Account) -> None:
    call.account, call.mid = account.name, account.mid


def _note_object(call: Call, envelope: Envelope) -> None:
    definitions = envelope.message.findall(f"{tag('Definitions')}/{tag('Definition')}")
    call.object_type = text_of(envelope.request, "ObjectType") or (
        type_of(definitions[0]) if definitions else None
    )
    keys = [text_of(one, "CustomerKey") for one in definitions]
    part = envelope.request.find(tag("Filter"))
    if part is not None and text_of(part, "Property") in _KEY_FILTERS:
        keys += texts_of(part, "Value")
    call.customer_keys = [key for key in keys if key]
    call.filter_operator = None if part is None else text_of(part, "SimpleOperator")


_KEY_FILTERS = ("CustomerKey", "ImportDefinitionCustomerKey")


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def empty_answer(operation: str, service: Service) -> Answer:
    """An OK with nothing in it, for spoiling answers when nothing was done."""
    if operation == "token":
        return token_answer("nothing", 0, "http://127.0.0.1")
    content = retrieve_message("OK", new_request_id())
    content.tag = tag(f"{operation}ResponseMsg")
    add(content, "OverallStatusMessage")
    return soap_answer(content, operation=operation, now=service.world.clock())
